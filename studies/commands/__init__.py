"""What the study command does, one module each: `studies.run` imports the one that is asked for, and no other."""
