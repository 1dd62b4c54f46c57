"""Face verification: are two images of one person? Accuracy, TAR@FAR, EER, AUC of a pair set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from tfface.errors import InputError
from tfface.metrics.bootstrap import NUM_REPLICATES, Intervals, bootstrap_intervals
from tfface.metrics.k_fold import Accuracy, fold_accuracy, judge, k_fold_thresholds
from tfface.metrics.roc import Roc, TarAtFar, auc, check_labels, eer, roc, tar_at_far
from tfface.metrics.subgroups import GroupFigures, group_figures

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

# Embeddings that are worked on at a time stay in the processor's cache.
_ROWS = 256


@dataclass(frozen=True)
class Threshold:
    """Where to operate: accept when cosine >= `cosine`, which is squared L2 <= `squared_l2`.

    It is the mean of the thresholds that the folds chose, so `Accuracy.mean` is what it may be
    expected to give on new pairs; no accuracy is reported at it, because it has seen every pair.
    """

    cosine: float
    squared_l2: float


@dataclass(frozen=True)
class VerificationResult:
    """All figures of one model on one pair set.

    Attributes:
        accuracy, threshold: None where the protocol has no folds, as that of templates.
        tar_at_far: one point for each of `FARS`.
        d_prime: |mean - mean| / sqrt((variance + variance) / 2) of the similarities of genuine and
            of impostor pairs; None where neither vary.
        embedding_norm: mean length of the embeddings as they were given, before normalisation.
        similarity: float64 [num_pairs], cosine of each pair.
        is_genuine: bool [num_pairs].
        roc: the curve that `tar_at_far`, `eer` and `auc` are read off.
        interval_by: what the 95 % intervals are by, "identity" or "pair"; None without any.
        eer_interval, auc_interval: [low, high].
        groups: group of pairs -> its figures; None where pairs have no groups.
    """

    num_pairs: int
    num_genuine: int
    accuracy: Accuracy | None
    threshold: Threshold | None
    tar_at_far: list[TarAtFar]
    eer: float
    auc: float
    d_prime: float | None
    embedding_norm: float
    similarity: np.ndarray = field(repr=False)
    is_genuine: np.ndarray = field(repr=False)
    roc: Roc = field(repr=False)
    interval_by: str | None = None
    eer_interval: list[float] | None = None
    auc_interval: list[float] | None = None
    groups: dict[str, GroupFigures] | None = None

    def to_json(self) -> dict:
        """Returns the figures as `eval_verification --json` writes them for one set."""
        return {
            "num_pairs": self.num_pairs,
            "num_genuine": self.num_genuine,
            "accuracy": self.accuracy and asdict(self.accuracy),
            "threshold": self.threshold and asdict(self.threshold),
            "tar_at_far": [asdict(point) for point in self.tar_at_far],
            "eer": self.eer,
            "eer_interval": self.eer_interval,
            "auc": self.auc,
            "auc_interval": self.auc_interval,
            "interval_by": self.interval_by,
            "d_prime": self.d_prime,
            "embedding_norm": self.embedding_norm,
            "groups": self.groups and {name: asdict(group) for name, group in self.groups.items()},
        }


def verification(
    embeddings: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_genuine: np.ndarray,
    *,
    num_folds: int = 10,
    names: Sequence[str] | None = None,
    identities: np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    num_replicates: int = NUM_REPLICATES,
) -> VerificationResult:
    """Returns the figures of a pair set from the embeddings of its images.

    Embeddings are L2-normalised here; pairs are compared by squared L2 distance d in [0, 4], or
    what is the same by cosine similarity 1 - d / 2. All arithmetic is float64.

    Args:
        embeddings: float [num_images, embedding_size], of any length but 0.
        first: int [num_pairs], row of each pair's first image.
        second: int [num_pairs], row of each pair's second image.
        is_genuine: bool [num_pairs], true where both images show one person.
        num_folds: folds of the accuracy; pairs are dealt to them in order, without shuffling.
        names: what to call the images in an error message; by default "image 7".
        identities: int [num_images], who is in each image, for intervals by identity; None where
            unknown, which makes them by pair.
        groups: a text for each pair, by which figures are told apart as well.
        num_replicates: of the bootstrap that makes the intervals; 0 makes none.

    Raises InputError: a NaN, infinite or all-zero embedding, arrays that don't fit together, pairs
        of one kind only, or fewer pairs than folds.
    """
    first, second = np.asarray(first), np.asarray(second)
    is_genuine = np.asarray(is_genuine, bool)
    unit, norms = normalised(embeddings, names)
    check_pairs(first, second, is_genuine, len(unit), num_folds)
    of_pairs = None
    if identities is not None:
        of_pairs = _identities_of_pairs(
            np.asarray(identities), first, second, is_genuine, len(unit)
        )

    distance = _squared_distance(unit, first, second)
    thresholds = k_fold_thresholds(distance, is_genuine, num_folds)
    is_right = judge(distance, thresholds) == is_genuine
    squared_l2 = float(np.mean(thresholds))
    threshold = Threshold(cosine=1 - squared_l2 / 2, squared_l2=squared_l2)
    result = figures_of_similarities(
        1 - distance / 2,
        is_genuine,
        accuracy=fold_accuracy(is_right, num_folds),
        threshold=threshold,
        embedding_norm=float(np.mean(norms)),
    )
    if groups is not None:
        by_group = group_figures(result.similarity, is_genuine, is_right, threshold.cosine, groups)
        result = replace(result, groups=by_group)
    if not num_replicates:
        return result
    intervals = bootstrap_intervals(
        result.similarity, is_genuine, is_right, FARS, of_pairs, num_replicates=num_replicates
    )
    return result if intervals is None else _with_intervals(result, intervals)


def figures_of_similarities(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    *,
    accuracy: Accuracy | None = None,
    threshold: Threshold | None = None,
    embedding_norm: float,
) -> VerificationResult:
    """Returns the figures that follow from similarities alone, beside those that are given.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs].
    Raises InputError: as `roc`.
    """
    curve = roc(similarity, is_genuine)
    return VerificationResult(
        num_pairs=len(is_genuine),
        num_genuine=curve.num_genuine,
        accuracy=accuracy,
        threshold=threshold,
        tar_at_far=[tar_at_far(curve, far) for far in FARS],
        eer=eer(curve),
        auc=auc(curve),
        d_prime=d_prime(similarity, is_genuine),
        embedding_norm=embedding_norm,
        similarity=similarity,
        is_genuine=is_genuine,
        roc=curve,
    )


def d_prime(similarity: np.ndarray, is_genuine: np.ndarray) -> float | None:
    """Returns how far genuine and impostor pairs lie apart, in standard deviations.

    |mean_g - mean_i| / sqrt((var_g + var_i) / 2), with the variances of the pairs themselves
    (divided by their number). None where both are 0.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs], some of each kind.
    """
    kinds = similarity[is_genuine], similarity[~is_genuine]
    # Equal numbers may have a mean that is off by a rounding, and so a variance.
    if all(kind.min() == kind.max() for kind in kinds):
        return None
    (mean_g, var_g), (mean_i, var_i) = (
        (np.mean(kind, dtype=np.float64), np.var(kind, dtype=np.float64)) for kind in kinds
    )
    return float(abs(mean_g - mean_i) / np.sqrt((var_g + var_i) / 2))


def _squared_distance(unit: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the squared L2 distance of each pair: float64 [num_pairs]."""
    distance = np.empty(len(first))
    for start in range(0, len(first), _ROWS):
        pairs = slice(start, start + _ROWS)
        difference = unit.take(first[pairs], axis=0)
        difference -= unit.take(second[pairs], axis=0)
        np.sum(np.square(difference, out=difference), axis=1, out=distance[pairs])
    return distance


def _identities_of_pairs(
    identities: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_genuine: np.ndarray,
    num_images: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns who is in the first image of each pair and who in the second.

    Raises InputError: genuine pairs aren't those of one person, or somebody isn't known.
    """
    if identities.shape != (num_images,):
        raise InputError(
            f"{num_images} embeddings and {len(identities)} identities: expected one of each"
        )
    of_first, of_second = identities[first], identities[second]
    wrong = np.flatnonzero((of_first == of_second) != is_genuine)
    if len(wrong):
        pair = int(wrong[0])
        raise InputError(
            f"pair {pair} is said to be {'genuine' if is_genuine[pair] else 'of impostors'}, but "
            f"its images are of the identities {of_first[pair]} and {of_second[pair]} "
            f"({len(wrong):,} such pairs)"
        )
    return of_first, of_second


def _with_intervals(result: VerificationResult, intervals: Intervals) -> VerificationResult:
    return replace(
        result,
        interval_by=intervals.by,
        accuracy=result.accuracy and replace(result.accuracy, interval=intervals.accuracy),
        eer_interval=intervals.eer,
        auc_interval=intervals.auc,
        tar_at_far=[
            replace(point, interval=interval if point.sufficient else None)
            for point, interval in zip(result.tar_at_far, intervals.tar_at_far, strict=True)
        ],
    )


def normalised(
    embeddings: np.ndarray, names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns unit embeddings (float64) and the lengths they had.

    Raises InputError: an embedding has no direction (the message names it), or they aren't
        [num_images, embedding_size].
    """
    unit = np.array(embeddings, np.float64)
    if unit.ndim != 2:
        raise InputError(f"embeddings of shape {unit.shape}: expected [num_images, embedding_size]")
    norms = np.empty(len(unit))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, len(unit), _ROWS):
            rows = slice(start, start + _ROWS)
            norms[rows] = np.linalg.norm(unit[rows], axis=1)
            unit[rows] /= norms[rows, None]
    for wrong, what in ((~np.isfinite(norms), "holds NaN or infinity"), (norms == 0, "is all 0")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"the embedding of {names[row] if names is not None else f'image {row}'} {what} "
                f"({np.count_nonzero(wrong)} of {len(norms)} embeddings): it has no direction"
            )
    return unit, norms


def check_pairs(
    first: np.ndarray, second: np.ndarray, is_genuine: np.ndarray, num_images: int, num_folds: int
) -> None:
    """Raises InputError unless pairs are of both kinds, fill the folds and name known images."""
    if not (first.ndim == 1 and first.shape == second.shape == is_genuine.shape):
        raise InputError(
            f"{first.shape} first images, {second.shape} second images and {is_genuine.shape} "
            "labels: expected as many of each, in one dimension"
        )
    if len(first) < num_folds:
        raise InputError(f"{len(first)} pairs are too few for {num_folds} folds")
    for rows in (first, second):
        if not np.issubdtype(rows.dtype, np.integer) or rows.min() < 0 or rows.max() >= num_images:
            raise InputError(
                f"a pair names an image outside the {num_images} embeddings: expected whole "
                f"numbers from 0 to {num_images - 1}"
            )
    check_labels(is_genuine)


def hardest_pairs(result: VerificationResult, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the most similar impostor and the least similar genuine pairs.

    Of pairs with one similarity the first come first.

    Args:
        count: how many of each at most.
    """
    impostors, genuine = np.flatnonzero(~result.is_genuine), np.flatnonzero(result.is_genuine)
    return (
        impostors[np.argsort(-result.similarity[impostors], kind="stable")[:count]],
        genuine[np.argsort(result.similarity[genuine], kind="stable")[:count]],
    )
