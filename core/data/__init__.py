"""What the discriminator sees as real: embedded procedural rooms, or a folder or zip of images."""
