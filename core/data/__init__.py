"""Real images, as the discriminator sees them: embedded procedural rooms, or a folder or zip of images."""
