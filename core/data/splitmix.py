"""Counter-based random numbers: any of them is computed alone, in any order, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def splitmix64(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of Steele, Lea and Flood's SplitMix generator (OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        z = state + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def keys(seed: int, indices: NDArray[np.integer]) -> NDArray[np.uint64]:
    """A key for every one of `indices` [N] under any integer `seed`, to be mixed with counters."""
    seed_1 = np.array([seed & (2**64 - 1)], np.uint64)
    return splitmix64(splitmix64(seed_1) ^ np.asarray(indices).astype(np.uint64))


def uniform(key_N: NDArray[np.uint64], counters_C: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers in [0, 1), one a counter and key: [C, N]."""
    bits_CN = splitmix64(splitmix64(counters_C)[:, None] ^ key_N) >> np.uint64(11)
    return bits_CN.astype(np.float64) * 2.0**-53
