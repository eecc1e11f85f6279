"""The networks. Shape suffixes: B images, P pixels, I inputs, O outputs, R rank, E emitted numbers, Z latent size."""
