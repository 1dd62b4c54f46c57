"""Statistics of a metric over runs with different seeds, and of the difference of two variants."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class SeedStatistics:
    """A metric over runs that differ only in their seed.

    Attributes:
        mean: over the runs.
        std: standard deviation of a sample (divided by n - 1); None for a single run.
        lowest, highest: over the runs.

    Example:
        >>> seed_statistics([0.5, 0.75]).to_dict()["mean"]
        0.625
    """

    mean: float
    std: float | None
    lowest: float
    highest: float

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class PairedDifference:
    """The difference of a metric between two variants, paired by seed.

    Attributes:
        mean: of the differences.
        standard_error: of the mean, std / sqrt(n); None for a single seed.
        num_seeds: seeds that both variants have.

    Example:
        >>> paired_difference({1: 0.5, 2: 0.75}, {1: 0.25, 2: 0.5}).to_dict()
        {'mean': 0.25, 'standard_error': 0.0, 'num_seeds': 2}
    """

    mean: float
    standard_error: float | None
    num_seeds: int

    def to_dict(self) -> dict:
        return asdict(self)


def seed_statistics(values: Sequence[float]) -> SeedStatistics:
    """Computes the statistics of at least one value.

    Args:
        values: the metric of each run.

    Example:
        >>> seed_statistics([0.5, 0.75])
        SeedStatistics(mean=0.625, std=0.1767766952966369, lowest=0.5, highest=0.75)
    """
    array = np.asarray(values, np.float64)
    return SeedStatistics(float(array.mean()), _std(array), float(array.min()), float(array.max()))


def paired_difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> PairedDifference | None:
    """Compares two variants on the seeds that both have.

    Runs with the same seed share the data split, the order and, for one architecture, the initial
    weights. These effects cancel in the paired difference.

    Args:
        values, reference: seed -> metric.

    Returns:
        `values` minus `reference`; None if they have no seed in common.

    Example:
        >>> paired_difference({1: 0.5, 2: 0.75}, {1: 0.25, 2: 0.5, 3: 0.9})
        PairedDifference(mean=0.25, standard_error=0.0, num_seeds=2)
    """
    shared = sorted(values.keys() & reference.keys())
    if not shared:
        return None
    differences = np.array([values[seed] - reference[seed] for seed in shared], np.float64)
    std = _std(differences)
    error = None if std is None else std / float(np.sqrt(len(shared)))
    return PairedDifference(float(differences.mean()), error, len(shared))


def _std(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
