"""Layers of an INR, one file per way in which a generator can emit one; `emitted` has what they share."""
