"""How far figures of several runs lie apart, and how far two variants of a run do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Figures of runs that differ in their seed alone.

    Attributes:
        mean: of them.
        std: standard deviation of a sample (divided by n - 1); None of a single figure.
        lowest, highest: of them.
    """

    mean: float
    std: float | None
    lowest: float
    highest: float

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """How much higher one variant's figures are than another's, seed by seed.

    Attributes:
        mean: of the differences.
        standard_error: of that mean, their standard deviation / sqrt(n); None of a single one.
        num_seeds: how many there are.
    """

    mean: float
    standard_error: float | None
    num_seeds: int

    def to_json(self) -> dict:
        return asdict(self)


def spread(figures: Sequence[float]) -> Spread:
    """Returns mean and spread of at least one figure."""
    values = np.asarray(figures, np.float64)
    return Spread(float(values.mean()), _std(values), float(values.min()), float(values.max()))


def paired_difference(
    figures: Mapping[int, float], reference: Mapping[int, float]
) -> Difference | None:
    """Compares two variants on the seeds that both have; None where there are none.

    Runs of one seed see the same split, the same order and, in one architecture, the same starting
    weights: what these do to both is no part of the differences.

    Args:
        figures, reference: seed -> figure.
    """
    shared = sorted(figures.keys() & reference.keys())
    if not shared:
        return None
    differences = np.array([figures[seed] - reference[seed] for seed in shared], np.float64)
    std = _std(differences)
    error = None if std is None else std / float(np.sqrt(len(shared)))
    return Difference(float(differences.mean()), error, len(shared))


def _std(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
