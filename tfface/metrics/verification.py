"""Face verification metrics of a pair set and its subgroups: accuracy, TAR@FAR, EER and AUC."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from tfface.errors import InputError
from tfface.metrics.bootstrap import NUM_REPLICATES, Intervals, bootstrap_intervals
from tfface.metrics.k_fold import (
    NUM_FOLDS,
    Accuracy,
    fold_accuracy,
    k_fold_thresholds,
    predict_folds,
)
from tfface.metrics.roc import Roc, TarAtFar, auc, check_labels, eer, roc, tar_at_far

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

# So many embeddings at a time stay in the processor's cache.
_ROWS = 256


@dataclass(frozen=True)
class Threshold:
    """The operating point: accept if cosine >= `cosine`, which equals squared L2 <= `squared_l2`.

    It is the mean of the folds' thresholds, so `Accuracy.mean` estimates its accuracy on new pairs.
    No accuracy is reported at the threshold itself, because it was chosen on all pairs.

    Example:
        >>> threshold = Threshold(cosine=0.5, squared_l2=1.0)
        >>> 1 - threshold.squared_l2 / 2
        0.5
    """

    cosine: float
    squared_l2: float


@dataclass(frozen=True)
class SubgroupMetrics:
    """Metrics of the pairs of one subgroup, at the thresholds of the whole set.

    A deployed model has a single threshold, so a subgroup gets none of its own: differences of FAR
    or TAR between subgroups show what their identities would experience. EER and AUC do not depend
    on a threshold; if they are equal and FAR is not, the similarities of the subgroup are as well
    separated, but shifted.

    Attributes:
        accuracy: share of correct predictions at the thresholds of the set's folds.
        far, tar: at the set's threshold; None without impostor or genuine pairs, respectively.
        eer, auc: None if all pairs are of one kind.

    Example:
        >>> similarity, is_genuine = np.array([0.9, 0.1]), np.array([True, False])
        >>> subgroup_metrics(similarity, is_genuine, is_genuine, 0.5, ["a", "a"])["a"].auc
        1.0
    """

    num_pairs: int
    num_genuine: int
    accuracy: float
    far: float | None
    tar: float | None
    eer: float | None
    auc: float | None


@dataclass(frozen=True)
class VerificationResult:
    """All metrics of a model on a pair set.

    Attributes:
        accuracy, threshold: None if the protocol has no folds, as for templates.
        tar_at_far: one point for each of `FARS`.
        d_prime: see `d_prime`; None if the similarities of neither kind vary.
        embedding_norm: mean norm of the embeddings before normalization.
        similarity: float64 [num_pairs], cosine of each pair.
        is_genuine: bool [num_pairs].
        roc: the curve of which `tar_at_far`, `eer` and `auc` are computed.
        interval_by: what the bootstrap of the 95 % intervals resamples, "identity" or "pair"; None
            without intervals.
        eer_interval, auc_interval: [low, high].
        groups: subgroup of pairs -> its metrics; None if the pairs have no subgroups.

    Example:
        >>> similarity = np.array([0.9, 0.7, 0.8, 0.1])
        >>> is_genuine = np.array([True, True, False, False])
        >>> result = metrics_from_scores(similarity, is_genuine, embedding_norm=1.0)
        >>> result.auc, result.eer, result.to_dict()["num_pairs"]
        (0.75, 0.5, 4)
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
    groups: dict[str, SubgroupMetrics] | None = None

    def to_dict(self) -> dict:
        """Returns the metrics as `tfface evaluate verification --json` writes them for one set."""
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
    num_folds: int = NUM_FOLDS,
    names: Sequence[str] | None = None,
    identities: np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    num_replicates: int = NUM_REPLICATES,
) -> VerificationResult:
    """Computes the metrics of a pair set from the embeddings of its images.

    Embeddings are L2-normalized; pairs are compared by squared L2 distance d in [0, 4], which is
    equivalent to cosine similarity 1 - d / 2. Computed in float64.

    Args:
        embeddings: float [num_images, embedding_size], with any norm > 0.
        first: int [num_pairs], row of each pair's first image.
        second: int [num_pairs], row of each pair's second image.
        is_genuine: bool [num_pairs], whether both images show the same identity.
        num_folds: folds of the accuracy; consecutive pairs, without shuffling.
        names: names of the images for error messages; by default "image 7".
        identities: int [num_images], for intervals by identity; None, if unknown, for intervals by
            pair.
        groups: the subgroup of each pair, for metrics of each subgroup.
        num_replicates: of the bootstrap that computes the intervals; 0 for no intervals.

    Returns:
        The metrics, with the ROC curve and the similarity of each pair.

    Raises:
        InputError: an embedding with NaN, infinity or norm 0, shapes that do not match, pairs of
            one kind only, or fewer pairs than folds.

    Example:
        >>> identities = np.repeat(np.arange(40), 2)
        >>> embeddings = np.eye(40)[identities] + 0.1
        >>> first = np.tile(np.arange(0, 80, 2), 2)
        >>> second = np.concatenate([first[:40] + 1, (first[:40] + 2) % 80])
        >>> result = verification(embeddings, first, second, np.arange(80) < 40)
        >>> result.accuracy.mean, result.eer, result.auc
        (1.0, 0.0, 1.0)
    """
    first, second = np.asarray(first), np.asarray(second)
    is_genuine = np.asarray(is_genuine, bool)
    unit, norms = l2_normalize(embeddings, names)
    check_pairs(first, second, is_genuine, len(unit), num_folds)
    of_pairs = None
    if identities is not None:
        of_pairs = _identities_of_pairs(
            np.asarray(identities), first, second, is_genuine, len(unit)
        )

    distance = _squared_distance(unit, first, second)
    thresholds = k_fold_thresholds(distance, is_genuine, num_folds)
    is_correct = predict_folds(distance, thresholds) == is_genuine
    squared_l2 = float(np.mean(thresholds))
    threshold = Threshold(cosine=1 - squared_l2 / 2, squared_l2=squared_l2)
    result = metrics_from_scores(
        1 - distance / 2,
        is_genuine,
        accuracy=fold_accuracy(is_correct, num_folds),
        threshold=threshold,
        embedding_norm=float(np.mean(norms)),
    )
    if groups is not None:
        by_group = subgroup_metrics(
            result.similarity, is_genuine, is_correct, threshold.cosine, groups
        )
        result = replace(result, groups=by_group)
    if not num_replicates:
        return result
    intervals = bootstrap_intervals(
        result.similarity, is_genuine, is_correct, FARS, of_pairs, num_replicates=num_replicates
    )
    return result if intervals is None else _with_intervals(result, intervals)


def metrics_from_scores(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    *,
    accuracy: Accuracy | None = None,
    threshold: Threshold | None = None,
    embedding_norm: float,
) -> VerificationResult:
    """Computes the metrics that depend on similarities only, and adds those that are given.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs].
        accuracy, threshold: of the k-fold protocol, if the pairs have folds.
        embedding_norm: mean norm of the embeddings.

    Raises:
        InputError: as in `roc`.
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
    """Returns the distance between genuine and impostor similarities in standard deviations.

    d' = |mean_g - mean_i| / sqrt((var_g + var_i) / 2) with population variances.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs], with both kinds.

    Returns:
        d'; None if both variances are 0.
    """
    kinds = similarity[is_genuine], similarity[~is_genuine]
    # The mean of equal numbers may be rounded, which would give a variance > 0.
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
    """Returns the identities of the first and of the second images of the pairs.

    Raises:
        InputError: identities and `is_genuine` contradict each other, or shapes do not match.
    """
    if identities.shape != (num_images,):
        raise InputError(
            f"{num_images} embeddings, but {len(identities)} identities: expected one per image"
        )
    of_first, of_second = identities[first], identities[second]
    wrong = np.flatnonzero((of_first == of_second) != is_genuine)
    if len(wrong):
        pair = int(wrong[0])
        raise InputError(
            f"pair {pair} is labeled as {'genuine' if is_genuine[pair] else 'impostor'}, but its "
            f"images have the identities {of_first[pair]} and {of_second[pair]} "
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


def l2_normalize(
    embeddings: np.ndarray, names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns L2-normalized embeddings (float64), and the norms before.

    Args:
        embeddings: float [num_images, embedding_size].
        names: names of the images for error messages; by default "image 7".

    Raises:
        InputError: an embedding contains NaN or infinity, or has norm 0; or a wrong shape.

    Example:
        >>> unit, norms = l2_normalize([[3.0, 4.0]])
        >>> unit.tolist(), norms.tolist()
        ([[0.6, 0.8]], [5.0])
    """
    unit = np.array(embeddings, np.float64)
    if unit.ndim != 2:
        raise InputError(
            f"embeddings have shape {unit.shape}: expected [num_images, embedding_size]"
        )
    norms = np.empty(len(unit))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, len(unit), _ROWS):
            rows = slice(start, start + _ROWS)
            norms[rows] = np.linalg.norm(unit[rows], axis=1)
            unit[rows] /= norms[rows, None]
    for wrong, what in (
        (~np.isfinite(norms), "contains NaN or infinity"),
        (norms == 0, "has norm 0"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"the embedding of {names[row] if names is not None else f'image {row}'} {what} "
                f"({np.count_nonzero(wrong)} of {len(norms)} embeddings): it can't be normalized"
            )
    return unit, norms


def check_pairs(
    first: np.ndarray, second: np.ndarray, is_genuine: np.ndarray, num_images: int, num_folds: int
) -> None:
    """Raises InputError unless pairs are of both kinds, fill the folds and have valid indices.

    Args:
        first, second: int [num_pairs], rows of the embeddings.
        is_genuine: bool [num_pairs].
        num_images: number of embeddings.
        num_folds: folds of the accuracy.
    """
    if not (first.ndim == 1 and first.shape == second.shape == is_genuine.shape):
        raise InputError(
            f"`first` has shape {first.shape}, `second` {second.shape} and `is_genuine` "
            f"{is_genuine.shape}: expected [num_pairs] for all"
        )
    if len(first) < num_folds:
        raise InputError(f"{len(first)} pairs are too few for {num_folds} folds")
    for rows in (first, second):
        if not np.issubdtype(rows.dtype, np.integer) or rows.min() < 0 or rows.max() >= num_images:
            raise InputError(
                f"a pair has an image outside the {num_images} embeddings: expected integers "
                f"from 0 to {num_images - 1}"
            )
    check_labels(is_genuine)


def hardest_pairs(result: VerificationResult, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the most similar impostor and the least similar genuine pairs.

    Pairs with equal similarity keep their order.

    Args:
        count: maximum number of each.
    """
    impostors, genuine = np.flatnonzero(~result.is_genuine), np.flatnonzero(result.is_genuine)
    return (
        impostors[np.argsort(-result.similarity[impostors], kind="stable")[:count]],
        genuine[np.argsort(result.similarity[genuine], kind="stable")[:count]],
    )


def subgroup_metrics(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    is_correct: np.ndarray,
    threshold: float,
    groups: Sequence[str],
) -> dict[str, SubgroupMetrics]:
    """Computes the metrics of each subgroup, sorted by name.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs].
        is_correct: bool [num_pairs], whether the prediction at the threshold of the pair's fold is
            correct.
        threshold: of the set; a pair is accepted if similarity >= threshold.
        groups: the subgroup of each pair.

    Raises:
        InputError: the number of groups is not the number of pairs.

    Example:
        >>> similarity, is_genuine = np.array([0.9, 0.1, 0.8, 0.3]), np.array([1, 0, 1, 0], bool)
        >>> metrics = subgroup_metrics(similarity, is_genuine, is_genuine, 0.5, list("aabb"))
        >>> metrics["a"].tar, metrics["a"].far
        (1.0, 0.0)
    """
    if len(groups) != len(similarity):
        raise InputError(f"{len(groups)} groups were given for {len(similarity)} pairs")
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    of_pair = np.fromiter((numbers[name] for name in groups), np.int64, len(groups))
    order = np.argsort(of_pair, kind="stable")
    bounds = np.searchsorted(of_pair[order], np.arange(len(numbers) + 1))
    accepted = similarity >= threshold
    metrics = {}
    for name, start, stop in zip(numbers, bounds[:-1], bounds[1:], strict=True):
        pairs = order[start:stop]
        genuine = is_genuine[pairs]
        num_genuine = int(np.count_nonzero(genuine))
        has_both = 0 < num_genuine < len(pairs)
        curve = roc(similarity[pairs], genuine) if has_both else None
        metrics[name] = SubgroupMetrics(
            num_pairs=len(pairs),
            num_genuine=num_genuine,
            accuracy=float(np.mean(is_correct[pairs])),
            far=_share(accepted[pairs][~genuine]),
            tar=_share(accepted[pairs][genuine]),
            eer=eer(curve) if curve else None,
            auc=auc(curve) if curve else None,
        )
    return metrics


def _share(accepted: np.ndarray) -> float | None:
    return float(np.mean(accepted)) if len(accepted) else None
