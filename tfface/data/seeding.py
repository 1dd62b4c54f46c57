"""Seeded orders and keys, the same on every machine and with every version of NumPy.

Only raw Philox words and the hash of `SeedSequence` are used: NumPy promises never to change those,
while it may change how `permutation` or `integers` use them.
"""

import numpy as np


def fold(*values: int) -> int:
    """Mixes whole numbers >= 0 into one key of 64 bits; any change of a value changes the key."""
    return int(np.random.SeedSequence(values).generate_state(1, np.uint64)[0])


def words(key: int, count: int) -> np.ndarray:
    """Returns `count` random uint64 words; a longer run begins with the words of a shorter one."""
    return np.random.Philox(key=key).random_raw(count)


def permutation(key: int, count: int) -> np.ndarray:
    """Returns the numbers 0..count-1 in a random order, int64 [count]."""
    return np.argsort(words(key, count), kind="stable")
