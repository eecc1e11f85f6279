"""Layers of an INR, one file per way in which a generator can emit one.

Each is a module with `emitted`, the count of numbers it takes per image, and `forward(x_BPI, emitted_BE) -> y_BPO`.
Every formula expects emitted numbers of about unit variance.
"""
