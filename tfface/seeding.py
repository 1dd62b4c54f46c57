"""Seeded orders and keys, the same on every machine and with every version of NumPy.

Only raw Philox words and the hash of `SeedSequence` are used: NumPy promises never to change those,
while it may change how `permutation` or `integers` use them.
"""

import numpy as np

# The first number after (seed, epoch) in the keys of a pipeline's random numbers.
ORDER, AUGMENT = 0, 1


def fold(*values: int) -> int:
    """Mixes whole numbers in [0, 2**64) into one such number; any change of them changes it."""
    # SeedSequence can't tell (1,) from (1, 0): hence the count, and two words for each value.
    halves = [half for value in values for half in (value & 0xFFFFFFFF, value >> 32)]
    entropy = np.random.SeedSequence([len(values), *halves])
    return int(entropy.generate_state(1, np.uint64)[0])


def words(key: int, count: int) -> np.ndarray:
    """Returns `count` random uint64 words; a longer run begins with the words of a shorter one.

    Args:
        key: int in [0, 2**64).
        count: number of words.
    """
    return np.random.Philox(key=key).random_raw(count)


def permutation(key: int, count: int) -> np.ndarray:
    """Returns the numbers 0..count-1 in a random order, int64 [count].

    Args:
        key: int in [0, 2**64).
        count: number of numbers.
    """
    return np.argsort(words(key, count), kind="stable")


def sample(count: int, most: int) -> np.ndarray:
    """Returns at most `most` of the numbers 0..count-1 in ascending order, the same every time.

    Args:
        count: number to choose from.
        most: number to choose, if there are so many.

    Example:
        >>> sample(3, 5).tolist(), len(sample(1000, 5))
        ([0, 1, 2], 5)
    """
    return np.sort(permutation(fold(0), count)[:most])
