"""Identification metrics: ranks and CMC (closed set), TPIR@FPIR (open set).

A gallery holds images of known identities. A query is searched in it; the similarity of an identity
is that of its most similar image. Queries are mated (their identity is in the gallery) or non-mated
(it is not).

    rank of a mated query = 1 + other identities with at least the similarity of the true one
    CMC(n)                = mated queries with rank <= n / mated queries

In open-set identification, a query is assigned its most similar identity if the similarity is >= a
threshold, and rejected otherwise:

    FPIR (false positive identification rate) = accepted non-mated queries / non-mated queries
    TPIR (true positive identification rate)  = correctly assigned mated queries / mated queries
    FNIR (false negative identification rate) = 1 - TPIR

Ties count against the model: the true identity is first only if it is more similar than all others.
The terms are those of ISO/IEC 19795-1.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import Roc, just_above, tar_at_far

FPIRS = (1e-1, 1e-2, 1e-3)
RANKS = (1, 5, 10)
# The recommended threshold is that of the first of these that the number of queries can resolve.
_RECOMMENDED_FPIRS = (1e-2, 1e-1)

# The label of an empty candidate, and of the identity of a non-mated query.
UNKNOWN = -1


@dataclass(frozen=True)
class TpirAtFpir:
    """The operating point at the lowest threshold with at most the requested FPIR.

    Attributes:
        fpir: the requested false positive identification rate.
        tpir: the true positive identification rate at `threshold`.
        measured_fpir: the false positive identification rate at `threshold`; never above `fpir`.
        fnir: 1 - `tpir`.
        wrong_name: share of the mated queries that are assigned a wrong identity.
        threshold: a query is accepted if its cosine is >= this.
        sufficient: whether there are enough non-mated queries for `fpir` to allow a single false
            positive. If not, `tpir` is measured at FPIR 0 and says little about `fpir`.

    Example:
        >>> similarity, is_mated = np.array([0.9, 0.8, 0.3]), np.array([True, True, False])
        >>> result = identification(
        ...     np.array([1, 1, 0]), similarity, is_mated, num_identities=2, ranks=1
        ... )
        >>> result.tpir_at_fpir[0].tpir, result.tpir_at_fpir[0].sufficient
        (1.0, False)
    """

    fpir: float
    tpir: float
    measured_fpir: float
    fnir: float
    wrong_name: float
    threshold: float
    sufficient: bool


@dataclass(frozen=True)
class IdentificationThreshold:
    """The recommended operating point: accept a query if its cosine is >= `cosine`.

    This equals squared L2 <= `squared_l2` for normalized embeddings. The threshold was chosen on
    the queries that its rates are measured on.

    Attributes:
        fpir: upper bound of the false positive identification rate.
        tpir: true positive identification rate.

    Example:
        >>> queries = np.arange(20)
        >>> is_mated = queries < 10
        >>> result = identification(
        ...     is_mated.astype(int), 1 - queries / 20, is_mated, num_identities=10, ranks=1
        ... )
        >>> result.threshold.fpir, result.threshold.tpir, round(result.threshold.cosine, 2)
        (0.1, 1.0, 0.5)
    """

    cosine: float
    squared_l2: float
    fpir: float
    tpir: float


@dataclass(frozen=True)
class IdentificationResult:
    """All metrics of a model on a gallery and a set of queries.

    Attributes:
        num_identities: in the gallery.
        num_mated, num_non_mated: queries whose identity is in the gallery, and others.
        cmc: CMC(1), CMC(2), .. up to the last known rank.
        tpir_at_fpir: one point for each of `FPIRS`; empty without non-mated queries.
        threshold: the recommendation; None with too few non-mated queries.
        rank: int64 [num_queries], 0 if the true identity was not found or is not in the gallery.
        top_similarity: float [num_queries], of the most similar image.
        is_mated: bool [num_queries].
        fpir, tpir: float64, the open-set curve, both ascending; empty without non-mated queries.

    Example:
        >>> similarity, is_mated = np.array([0.9, 0.8]), np.array([True, True])
        >>> result = identification(
        ...     np.array([1, 2]), similarity, is_mated, num_identities=2, ranks=2
        ... )
        >>> result.cmc, result.at_rank(1)
        ([0.5, 1.0], 0.5)
    """

    num_identities: int
    num_mated: int
    num_non_mated: int
    cmc: list[float]
    tpir_at_fpir: list[TpirAtFpir]
    threshold: IdentificationThreshold | None
    rank: np.ndarray = field(repr=False)
    top_similarity: np.ndarray = field(repr=False)
    is_mated: np.ndarray = field(repr=False)
    fpir: np.ndarray = field(repr=False)
    tpir: np.ndarray = field(repr=False)

    def at_rank(self, rank: int) -> float:
        """Returns CMC(rank); beyond the last known rank, that of the last known rank.

        Args:
            rank: > 0.
        """
        return self.cmc[min(rank, len(self.cmc)) - 1]

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate identification --json`."""
        return {
            **{f"rank{rank}": self.at_rank(rank) for rank in RANKS},
            "cmc": self.cmc,
            "tpir_at_fpir": [asdict(point) for point in self.tpir_at_fpir],
            "threshold": asdict(self.threshold) if self.threshold else None,
            "num_identities": self.num_identities,
            "num_mated": self.num_mated,
            "num_non_mated": self.num_non_mated,
        }


def rank_candidates(
    similarity: np.ndarray, identities: np.ndarray, true: np.ndarray, *, is_truncated: bool
) -> np.ndarray:
    """Returns the rank of each query's true identity among the identities of its candidates.

    Args:
        similarity: float [num_queries, num_candidates], no NaN, in any order.
        identities: int [num_queries, num_candidates], the label of each candidate, >= 0; `UNKNOWN`
            for an empty one.
        true: int [num_queries], the label of each query; `UNKNOWN` for a non-mated one.
        is_truncated: whether the gallery has further images, none of them more similar than the
            candidates. An identity that is only as similar as the last candidate then counts as
            not found: its rank is not known.

    Returns:
        int64 [num_queries]; 0 if the true identity is not found, or the query is non-mated.

    Raises:
        InputError: a similarity is NaN, or shapes do not match.

    Example:
        >>> rank_candidates([[0.9, 0.5]], [[7, 3]], [3], is_truncated=False).tolist()
        [2]
    """
    similarity, identities, true = map(np.asarray, (similarity, identities, true))
    if similarity.ndim != 2 or similarity.shape != identities.shape or not similarity.shape[1]:
        raise InputError(
            f"similarities have shape {similarity.shape} and identities have shape "
            f"{identities.shape}: expected [num_queries, num_candidates] for both"
        )
    if true.shape != similarity.shape[:1]:
        raise InputError(
            f"{len(similarity)} queries, but true identities of shape {true.shape}: expected one "
            "per query"
        )
    if np.isnan(similarity).any():
        query = int(np.flatnonzero(np.isnan(similarity).any(axis=1))[0])
        raise InputError(f"a similarity of query {query} is NaN: its embedding has norm 0")
    is_true = (identities == true[:, None]) & (identities != UNKNOWN)
    found = is_true.any(axis=1)
    best = np.where(is_true, similarity, -np.inf).max(axis=1)
    if is_truncated:
        found &= best > np.where(identities != UNKNOWN, similarity, -np.inf).min(axis=1)
    is_rival = (similarity >= best[:, None]) & ~is_true
    # Distinct identities of the rivals in each row: sorted, each change is a further one.
    rivals = np.sort(np.where(is_rival, identities, UNKNOWN), axis=1)
    num_rivals = np.count_nonzero(np.diff(rivals, axis=1), axis=1) + (rivals[:, 0] != UNKNOWN)
    return np.where(found, num_rivals + 1, 0)


def num_candidates(images_per_identity: np.ndarray, ranks: int) -> int:
    """Returns how many candidates determine the ranks 1..`ranks` exactly.

    So many images cannot all belong to `ranks` identities: an identity that is not among them, or
    is only as similar as the last of them, has a higher rank.

    Args:
        images_per_identity: int [num_identities].
        ranks: > 0.
    """
    largest = np.sort(images_per_identity)[::-1]
    return int(min(largest[:ranks].sum() + 1, largest.sum()))


def identification(
    rank: np.ndarray,
    top_similarity: np.ndarray,
    is_mated: np.ndarray,
    *,
    num_identities: int,
    ranks: int,
) -> IdentificationResult:
    """Computes the metrics of queries that were searched in a gallery.

    Args:
        rank: int [num_queries], from `rank_candidates`.
        top_similarity: float [num_queries], cosine of the most similar image; finite.
        is_mated: bool [num_queries].
        num_identities: in the gallery, > 0.
        ranks: ranks up to this one are known, > 0; those beyond may be 0.

    Raises:
        InputError: shapes do not match, a similarity is NaN or infinite, there are no mated
            queries, or a non-mated query has a rank.

    Example:
        >>> rank = np.array([1, 2, 0])
        >>> similarity, is_mated = np.array([0.9, 0.6, 0.3]), np.array([True, True, False])
        >>> result = identification(rank, similarity, is_mated, num_identities=5, ranks=2)
        >>> result.cmc, result.num_non_mated
        ([0.5, 1.0], 1)
    """
    rank = np.asarray(rank, np.int64)
    top_similarity = np.asarray(top_similarity)
    is_mated = np.asarray(is_mated, bool)
    _check(rank, top_similarity, is_mated)
    num_mated = int(np.count_nonzero(is_mated))
    counts = np.bincount(np.minimum(rank[is_mated], ranks + 1), minlength=ranks + 2)
    cmc = np.cumsum(counts[1 : min(ranks, num_identities) + 1]) / num_mated
    points, curve = [], None
    if num_mated < len(rank):
        curve = _open_set(rank, top_similarity, is_mated)
        wrong = np.sort(top_similarity[is_mated & (rank != 1)])
        points = [_point(curve, wrong, fpir) for fpir in FPIRS]
    return IdentificationResult(
        num_identities=num_identities,
        num_mated=num_mated,
        num_non_mated=len(rank) - num_mated,
        cmc=cmc.tolist(),
        tpir_at_fpir=points,
        threshold=_recommended_threshold(points),
        rank=rank,
        top_similarity=top_similarity,
        is_mated=is_mated,
        fpir=curve.far if curve else np.empty(0),
        tpir=curve.tar if curve else np.empty(0),
    )


def recall_at_k(found: np.ndarray, nearest: np.ndarray, k: int) -> float:
    """Returns the recall of an approximate index: the share of the `k` nearest images it finds.

    A result counts if it is as similar as the k-th nearest image, so that ties count.

    Args:
        found: float [num_queries, >= k], similarities from the index, descending.
        nearest: float [num_queries, >= k], from an exhaustive search, descending.
        k: > 0.

    Example:
        >>> recall_at_k(np.array([[0.9, 0.3]]), np.array([[0.9, 0.8]]), 2)
        0.5
    """
    # The same cosine computed in float32 by two methods differs by up to this.
    last = nearest[:, k - 1 : k] - 1e-6
    return float(np.mean(found[:, :k] >= last))


def _check(rank: np.ndarray, top_similarity: np.ndarray, is_mated: np.ndarray) -> None:
    if not (rank.ndim == 1 and rank.shape == top_similarity.shape == is_mated.shape):
        raise InputError(
            f"ranks have shape {rank.shape}, similarities {top_similarity.shape} and `is_mated` "
            f"{is_mated.shape}: expected [num_queries] for all"
        )
    if not np.isfinite(top_similarity).all():
        query = int(np.flatnonzero(~np.isfinite(top_similarity))[0])
        raise InputError(
            f"the similarity of query {query} is {top_similarity[query]}: expected a finite number"
        )
    if not is_mated.any():
        raise InputError(
            f"none of the {len(rank)} queries has an identity of the gallery: identification needs "
            "mated queries"
        )
    if rank.min() < 0 or rank[~is_mated].any():
        raise InputError("a rank is negative, or a non-mated query has one: expected 0")


def _open_set(rank: np.ndarray, top_similarity: np.ndarray, is_mated: np.ndarray) -> Roc:
    """Returns the open-set curve: an ROC with mated queries as genuine pairs.

    A mated query is accepted only if its true identity is first, so the curve may end below 1.
    """
    non_mated = np.sort(top_similarity[~is_mated])
    correct = np.sort(top_similarity[is_mated & (rank == 1)])
    threshold = np.unique(top_similarity)[::-1]
    threshold = np.concatenate([[just_above(threshold[0])], threshold]).astype(np.float64)
    return Roc(
        threshold=threshold,
        false_accepts=_at_or_above(non_mated, threshold),
        true_accepts=_at_or_above(correct, threshold),
        num_impostor=len(non_mated),
        num_genuine=int(np.count_nonzero(is_mated)),
    )


def _at_or_above(ascending: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    return len(ascending) - np.searchsorted(ascending, threshold, side="left")


def _point(curve: Roc, wrong: np.ndarray, fpir: float) -> TpirAtFpir:
    point = tar_at_far(curve, fpir)
    threshold = point.threshold_cosine
    return TpirAtFpir(
        fpir=fpir,
        tpir=point.tar,
        measured_fpir=point.measured_far,
        fnir=1 - point.tar,
        wrong_name=float(_at_or_above(wrong, threshold) / curve.num_genuine),
        threshold=threshold,
        sufficient=point.sufficient,
    )


def _recommended_threshold(points: Sequence[TpirAtFpir]) -> IdentificationThreshold | None:
    by_rate = {point.fpir: point for point in points if point.sufficient}
    for fpir in _RECOMMENDED_FPIRS:
        if fpir in by_rate:
            point = by_rate[fpir]
            return IdentificationThreshold(
                cosine=point.threshold,
                squared_l2=2 - 2 * point.threshold,
                fpir=fpir,
                tpir=point.tpir,
            )
    return None
