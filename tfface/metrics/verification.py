"""Face verification: are two images of one person? Accuracy, TAR@FAR, EER, AUC of a pair set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import Roc, TarAtFar, auc, check_labels, eer, roc, tar_at_far

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

# The reference protocol tries these squared distances, whatever the embeddings are.
DISTANCE_THRESHOLDS = np.arange(0, 4, 0.01)


@dataclass(frozen=True)
class Accuracy:
    """Accuracy by k-fold cross-validation: each fold is judged by a threshold chosen on the others.

    Attributes:
        mean, std: over the folds; `std` is the population's (divided by the number of folds).
        folds: the accuracy of each fold, in order.
    """

    mean: float
    std: float
    folds: list[float]


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
        tar_at_far: one point for each of `FARS`.
        embedding_norm: mean length of the embeddings as they were given, before normalisation.
        similarity: float64 [num_pairs], cosine of each pair.
        is_genuine: bool [num_pairs].
        roc: the curve that `tar_at_far`, `eer` and `auc` are read off.
    """

    num_pairs: int
    num_genuine: int
    accuracy: Accuracy
    threshold: Threshold
    tar_at_far: list[TarAtFar]
    eer: float
    auc: float
    embedding_norm: float
    similarity: np.ndarray = field(repr=False)
    is_genuine: np.ndarray = field(repr=False)
    roc: Roc = field(repr=False)

    def to_json(self) -> dict:
        """Returns the figures as `eval_verification --json` writes them for one set."""
        return {
            "num_pairs": self.num_pairs,
            "num_genuine": self.num_genuine,
            "accuracy": asdict(self.accuracy),
            "threshold": asdict(self.threshold),
            "tar_at_far": [asdict(point) for point in self.tar_at_far],
            "eer": self.eer,
            "auc": self.auc,
            "embedding_norm": self.embedding_norm,
        }


def verification(
    embeddings: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_genuine: np.ndarray,
    *,
    num_folds: int = 10,
    names: Sequence[str] | None = None,
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

    Raises InputError: a NaN, infinite or all-zero embedding, arrays that don't fit together, pairs
        of one kind only, or fewer pairs than folds.
    """
    first, second = np.asarray(first), np.asarray(second)
    is_genuine = np.asarray(is_genuine, bool)
    unit, norms = _normalise(embeddings, names)
    check_pairs(first, second, is_genuine, len(unit), num_folds)

    distance = np.sum(np.square(unit[first] - unit[second]), axis=1)
    accuracy, threshold = k_fold_accuracy(distance, is_genuine, num_folds)
    similarity = 1 - distance / 2
    curve = roc(similarity, is_genuine)
    return VerificationResult(
        num_pairs=len(is_genuine),
        num_genuine=int(np.count_nonzero(is_genuine)),
        accuracy=accuracy,
        threshold=Threshold(cosine=1 - threshold / 2, squared_l2=threshold),
        tar_at_far=[tar_at_far(curve, far) for far in FARS],
        eer=eer(curve),
        auc=auc(curve),
        embedding_norm=float(np.mean(norms)),
        similarity=similarity,
        is_genuine=is_genuine,
        roc=curve,
    )


def k_fold_accuracy(
    distance: np.ndarray, is_genuine: np.ndarray, num_folds: int = 10
) -> tuple[Accuracy, float]:
    """Returns the accuracy by the reference protocol, and the mean of the thresholds it chose.

    Pairs are cut into `num_folds` runs in order (as scikit-learn's KFold without shuffling). For
    each, the first of 0, 0.01, .. 3.99 with the most right answers on the *other* folds is taken,
    and a pair of the fold is called genuine when distance < threshold.

    Args:
        distance: float [num_pairs], squared L2 distance of normalised embeddings, in [0, 4].
        is_genuine: bool [num_pairs].

    Source: the protocol of LFW's View 2 as InsightFace's `verification.py` computes it.
    """
    if not 2 <= num_folds <= len(distance):
        raise InputError(
            f"{num_folds} folds of {len(distance)} pairs: expected at least 2 folds, "
            "and a pair for each"
        )
    folds = [
        _num_right(distances, labels)
        for distances, labels in zip(
            np.array_split(distance, num_folds), np.array_split(is_genuine, num_folds), strict=True
        )
    ]
    # array_split gives the first folds one pair more when they can't be equal, as KFold does.
    sizes = np.array([len(part) for part in np.array_split(distance, num_folds)])
    num_right = np.stack(folds)  # [num_folds, num_thresholds]
    chosen = np.argmax(num_right.sum(axis=0) - num_right, axis=1)
    accuracies = num_right[np.arange(num_folds), chosen] / sizes
    accuracy = Accuracy(
        mean=float(np.mean(accuracies)), std=float(np.std(accuracies)), folds=accuracies.tolist()
    )
    return accuracy, float(np.mean(DISTANCE_THRESHOLDS[chosen]))


def _num_right(distance: np.ndarray, is_genuine: np.ndarray) -> np.ndarray:
    """Returns how many pairs each of `DISTANCE_THRESHOLDS` judges rightly: int [num_thresholds]."""
    genuine, impostor = np.sort(distance[is_genuine]), np.sort(distance[~is_genuine])
    accepted_genuine = np.searchsorted(genuine, DISTANCE_THRESHOLDS, side="left")
    accepted_impostor = np.searchsorted(impostor, DISTANCE_THRESHOLDS, side="left")
    return accepted_genuine + len(impostor) - accepted_impostor


def _normalise(
    embeddings: np.ndarray, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns unit embeddings (float64) and the lengths they had."""
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2:
        raise InputError(
            f"embeddings of shape {embeddings.shape}: expected [num_images, embedding_size]"
        )
    norms = np.linalg.norm(embeddings, axis=1)
    for wrong, what in ((~np.isfinite(norms), "holds NaN or infinity"), (norms == 0, "is all 0")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"the embedding of {names[row] if names is not None else f'image {row}'} {what} "
                f"({np.count_nonzero(wrong)} of {len(norms)} embeddings): it has no direction"
            )
    return embeddings / norms[:, None], norms


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
