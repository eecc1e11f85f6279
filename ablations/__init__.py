"""Vocabulary: what was changed and what was claimed, as pure typed data. Imports no torch and touches no file."""
