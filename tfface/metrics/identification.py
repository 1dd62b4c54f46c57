"""Face identification: whose face is it? Ranks, CMC, and the open set's TPIR@FPIR.

A gallery holds images of known identities. A query is searched in it; an identity is as similar to
the query as the most similar of its images. Queries are mated (their identity is in the gallery) or
non-mated (of strangers).

    rank of a mated query = 1 + other identities that are as similar as the right one, or more so
    CMC(n)                = mated queries of rank n or less / mated queries

In the open set a query gets the name of its most similar identity when that similarity is >= a
threshold, and no name otherwise:

    FPIR (false positive identification rate) = non-mated queries that get a name / non-mated ones
    TPIR (true positive identification rate)  = mated queries that get the right name / mated ones
    FNIR (false negative identification rate) = 1 - TPIR

Ties count against the model: a right identity that isn't more similar than all others is not first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import Roc, just_above, tar_at_far

FPIRS = (1e-1, 1e-2, 1e-3)
RANKS = (1, 5, 10)
# The threshold that is advised is that of the first of these that the queries can resolve.
_ADVISED_FPIRS = (1e-2, 1e-1)

# What stands for "nobody": an empty place of a list of candidates, and a stranger's identity.
NOBODY = -1


@dataclass(frozen=True)
class TpirAtFpir:
    """What a threshold gives that lets at most `fpir` of the strangers get a name.

    Attributes:
        fpir: the false positive identification rate asked for.
        tpir: the true positive identification rate at `threshold`.
        measured_fpir: the false positive identification rate at `threshold`; never above `fpir`.
        fnir: 1 - `tpir`.
        wrong_name: share of the mated queries that get somebody else's name.
        threshold: the cosine from which a query gets a name (>=).
        sufficient: whether there are non-mated queries enough for `fpir` to allow one of them a
            name. Where not, `tpir` is measured at FPIR 0, which says little about `fpir`.
    """

    fpir: float
    tpir: float
    measured_fpir: float
    fnir: float
    wrong_name: float
    threshold: float
    sufficient: bool


@dataclass(frozen=True)
class NamingThreshold:
    """Where to operate: give a query a name when its cosine is >= `cosine`.

    That is squared L2 <= `squared_l2`, for embeddings of length 1. It was chosen on the queries
    that its rates are measured on.

    Attributes:
        fpir: at most so many strangers get a name.
        tpir: so many known people get the right one.
    """

    cosine: float
    squared_l2: float
    fpir: float
    tpir: float


@dataclass(frozen=True)
class IdentificationResult:
    """All figures of one model on one gallery and one set of queries.

    Attributes:
        num_identities: in the gallery.
        num_mated, num_non_mated: queries of people in the gallery, and of others.
        cmc: CMC(1), CMC(2), .. as far as ranks are known.
        tpir_at_fpir: one point for each of `FPIRS`; none without non-mated queries.
        threshold: the advice; None where there are too few non-mated queries for any.
        rank: int64 [num_queries], 0 where the right identity wasn't found or there is none.
        top_similarity: float [num_queries], of the most similar image.
        is_mated: bool [num_queries].
        fpir, tpir: float64, the open set's curve, both rising; empty without non-mated queries.
    """

    num_identities: int
    num_mated: int
    num_non_mated: int
    cmc: list[float]
    tpir_at_fpir: list[TpirAtFpir]
    threshold: NamingThreshold | None
    rank: np.ndarray = field(repr=False)
    top_similarity: np.ndarray = field(repr=False)
    is_mated: np.ndarray = field(repr=False)
    fpir: np.ndarray = field(repr=False)
    tpir: np.ndarray = field(repr=False)

    def at_rank(self, rank: int) -> float:
        """Returns CMC(rank); beyond the last known rank, that of the last."""
        return self.cmc[min(rank, len(self.cmc)) - 1]

    def to_json(self) -> dict:
        """Returns the figures as `eval_identification --json` writes them."""
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
    similarity: np.ndarray, identities: np.ndarray, right: np.ndarray, *, is_cut: bool
) -> np.ndarray:
    """Returns the rank of each query's right identity among the identities of its candidates.

    Args:
        similarity: float [num_queries, num_candidates], no NaN, in any order.
        identities: int, likewise: whose image a candidate is, >= 0; `NOBODY` for an empty place.
        right: int [num_queries]; `NOBODY` for a stranger.
        is_cut: whether there are further images, none of them more similar than these. Then an
            identity that is only as similar as the least of the candidates may have any rank from
            there on, and counts as not found.
    Returns: int64 [num_queries]; 0 where the right identity isn't found, or there is none.
    Raises InputError: a similarity is NaN, or lengths differ.
    """
    similarity, identities, right = map(np.asarray, (similarity, identities, right))
    if similarity.ndim != 2 or similarity.shape != identities.shape or not similarity.shape[1]:
        raise InputError(
            f"similarities of shape {similarity.shape} and identities of shape "
            f"{identities.shape}: expected one of each for every candidate of a query"
        )
    if right.shape != similarity.shape[:1]:
        raise InputError(
            f"{len(similarity)} queries, but right identities of shape {right.shape}: expected one "
            "for each"
        )
    if np.isnan(similarity).any():
        query = int(np.flatnonzero(np.isnan(similarity).any(axis=1))[0])
        raise InputError(f"a similarity of query {query} is NaN: its embedding has no direction")
    is_right = (identities == right[:, None]) & (identities != NOBODY)
    found = is_right.any(axis=1)
    best = np.where(is_right, similarity, -np.inf).max(axis=1)
    if is_cut:
        found &= best > np.where(identities != NOBODY, similarity, -np.inf).min(axis=1)
    is_rival = (similarity >= best[:, None]) & ~is_right
    # Of each row: the rivals' identities, sorted, so that a further one is where they change.
    rivals = np.sort(np.where(is_rival, identities, NOBODY), axis=1)
    num_rivals = np.count_nonzero(np.diff(rivals, axis=1), axis=1) + (rivals[:, 0] != NOBODY)
    return np.where(found, num_rivals + 1, 0)


def num_candidates(images_per_identity: np.ndarray, ranks: int) -> int:
    """Returns how many images of a gallery tell the ranks 1..`ranks` for certain.

    So many that they can't all be of `ranks` identities, whoever's they are: an identity that is
    not among them, or is only as similar as the last of them, has a higher rank.

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
    """Returns the figures of queries that were searched in a gallery.

    Args:
        rank: int [num_queries], as `rank_candidates` returns it.
        top_similarity: float [num_queries], cosine of the most similar image; finite.
        is_mated: bool [num_queries].
        num_identities: in the gallery, > 0.
        ranks: those up to this one are known, > 0; an identity beyond has rank 0, or its own.
    Raises InputError: lengths differ, a similarity isn't finite, there are no mated queries, or a
        query of a stranger has a rank.
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
        misnamed = np.sort(top_similarity[is_mated & (rank != 1)])
        points = [_point(curve, misnamed, fpir) for fpir in FPIRS]
    return IdentificationResult(
        num_identities=num_identities,
        num_mated=num_mated,
        num_non_mated=len(rank) - num_mated,
        cmc=cmc.tolist(),
        tpir_at_fpir=points,
        threshold=_advice(points),
        rank=rank,
        top_similarity=top_similarity,
        is_mated=is_mated,
        fpir=curve.far if curve else np.empty(0),
        tpir=curve.tar if curve else np.empty(0),
    )


def found_share(found: np.ndarray, nearest: np.ndarray, count: int) -> float:
    """Returns an index's recall: the share of the nearest `count` images that it finds.

    What it finds counts when it is as similar as the last of the nearest, so that of equal images
    any will do.

    Args:
        found: float [num_queries, at least count], similarities that the index gave, falling.
        nearest: likewise, of an exhaustive search.
        count: > 0.
    """
    # Two ways to compute one cosine in float32 differ by so much.
    last = nearest[:, count - 1 : count] - 1e-6
    return float(np.mean(found[:, :count] >= last))


def _check(rank: np.ndarray, top_similarity: np.ndarray, is_mated: np.ndarray) -> None:
    if not (rank.ndim == 1 and rank.shape == top_similarity.shape == is_mated.shape):
        raise InputError(
            f"{rank.shape} ranks, {top_similarity.shape} similarities and {is_mated.shape} marks "
            "of mated queries: expected one of each for every query"
        )
    if not np.isfinite(top_similarity).all():
        query = int(np.flatnonzero(~np.isfinite(top_similarity))[0])
        raise InputError(
            f"the similarity of query {query} is {top_similarity[query]}, not a number"
        )
    if not is_mated.any():
        raise InputError(
            f"none of the {len(rank)} queries is of a person in the gallery: identification needs "
            "some whose right name is known"
        )
    if rank.min() < 0 or rank[~is_mated].any():
        raise InputError("a rank is negative, or a query of a stranger has one: expected 0 there")


def _open_set(rank: np.ndarray, top_similarity: np.ndarray, is_mated: np.ndarray) -> Roc:
    """Returns the open set's curve: the ROC whose genuine pairs are the mated queries.

    A mated query is accepted only if its right identity is first, so the curve needn't reach 1.
    """
    strangers = np.sort(top_similarity[~is_mated])
    right = np.sort(top_similarity[is_mated & (rank == 1)])
    threshold = np.unique(top_similarity)[::-1]
    threshold = np.concatenate([[just_above(threshold[0])], threshold]).astype(np.float64)
    return Roc(
        threshold=threshold,
        false_accepts=_at_or_above(strangers, threshold),
        true_accepts=_at_or_above(right, threshold),
        num_impostor=len(strangers),
        num_genuine=int(np.count_nonzero(is_mated)),
    )


def _at_or_above(rising: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    return len(rising) - np.searchsorted(rising, threshold, side="left")


def _point(curve: Roc, misnamed: np.ndarray, fpir: float) -> TpirAtFpir:
    point = tar_at_far(curve, fpir)
    threshold = point.threshold_cosine
    return TpirAtFpir(
        fpir=fpir,
        tpir=point.tar,
        measured_fpir=point.measured_far,
        fnir=1 - point.tar,
        wrong_name=float(_at_or_above(misnamed, threshold) / curve.num_genuine),
        threshold=threshold,
        sufficient=point.sufficient,
    )


def _advice(points: Sequence[TpirAtFpir]) -> NamingThreshold | None:
    by_rate = {point.fpir: point for point in points if point.sufficient}
    for fpir in _ADVISED_FPIRS:
        if fpir in by_rate:
            point = by_rate[fpir]
            return NamingThreshold(
                cosine=point.threshold,
                squared_l2=2 - 2 * point.threshold,
                fpir=fpir,
                tpir=point.tpir,
            )
    return None
