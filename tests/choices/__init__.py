"""What a measurement or a simulation has chosen once. Each is a command that still runs; its record is committed."""
