"""Identification metrics against SciPy's ranks and scikit-learn's search, also with many ties."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import roc_curve, top_k_accuracy_score
from sklearn.neighbors import NearestNeighbors

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics.identification import (
    FPIRS,
    UNKNOWN,
    identification,
    num_candidates,
    rank_candidates,
    recall_at_k,
)

GRID = st.integers(-4, 4).map(lambda value: value / 4)


@st.composite
def searches(draw):
    """Similarities of queries to gallery images, and their identities; one query is mated."""
    identities = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=12)))
    _, identities = np.unique(identities, return_inverse=True)
    mated = st.integers(0, int(identities.max()))
    true = np.array([draw(mated), *draw(st.lists(mated | st.just(UNKNOWN), max_size=15))])
    similarity = draw(
        st.lists(
            st.lists(GRID, min_size=len(identities), max_size=len(identities)),
            min_size=len(true),
            max_size=len(true),
        )
    )
    # As an exact search gives them, and FAISS.
    dtype = draw(st.sampled_from(["float64", "float32"]))
    return np.array(similarity, dtype), identities, true


def best_of_each(similarity: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """Returns how similar each identity is to each query: [num_queries, num_identities]."""
    of_each = [similarity[:, identities == number] for number in range(identities.max() + 1)]
    return np.stack([of_one.max(axis=1) for of_one in of_each], axis=1)


def expected_ranks(similarity, identities, true) -> np.ndarray:
    """SciPy's ranks of the identities, the last of ties: they count against the model."""
    ranks = rankdata(-best_of_each(similarity, identities), method="max", axis=1)
    return np.where(true == UNKNOWN, 0, ranks[np.arange(len(true)), true])


def searched(similarity, identities, true, ranks=50):
    """Takes the most similar images as a search does, and computes the metrics."""
    count = num_candidates(np.bincount(identities), ranks)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    candidates = np.take_along_axis(similarity, order, axis=1)
    rank = rank_candidates(
        candidates, identities[order], true, is_truncated=count < len(identities)
    )
    return identification(
        rank,
        candidates[:, 0],
        true != UNKNOWN,
        num_identities=int(identities.max()) + 1,
        ranks=ranks,
    )


@given(searches())
def test_rank_counts_identities_that_are_at_least_as_similar(drawn):
    similarity, identities, true = drawn
    every = np.broadcast_to(identities, similarity.shape)
    ranks = rank_candidates(similarity, every, true, is_truncated=False)
    np.testing.assert_array_equal(ranks, expected_ranks(*drawn))


@given(searches(), st.integers(1, 5))
def test_few_candidates_determine_the_first_ranks(drawn, ranks):
    similarity, _, true = drawn
    expected = expected_ranks(*drawn)
    result = searched(*drawn, ranks=ranks)
    sure = expected <= ranks
    np.testing.assert_array_equal(result.rank[sure], expected[sure])
    assert all(rank == 0 or rank > ranks for rank in result.rank[~sure])
    mated = true != UNKNOWN
    assert result.cmc == [
        pytest.approx(np.mean(expected[mated] <= rank))
        for rank in range(1, min(ranks, result.num_identities) + 1)
    ]
    assert result.top_similarity.tolist() == similarity.max(axis=1).tolist()


@given(searches())
def test_cmc_ends_at_1_and_never_falls(drawn):
    cmc = searched(*drawn).cmc
    assert len(cmc) == drawn[1].max() + 1
    assert cmc[-1] == 1
    assert np.all(np.diff(cmc) >= 0)


@examples(30)
@given(st.integers(0, 1000), st.integers(3, 9), st.sampled_from([1, 4]))
def test_cmc_is_that_of_a_nearest_neighbor_search(seed, num_identities, images_of_each):
    """By scikit-learn: names in the order in which a brute-force search finds their images."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(num_identities, 4))
    identities = np.repeat(np.arange(num_identities), images_of_each)
    gallery = people[identities] + rng.normal(size=(len(identities), 4))
    true = rng.integers(0, num_identities, 20)
    queries = people[true] + rng.normal(size=(20, 4))

    index = NearestNeighbors(metric="cosine", algorithm="brute").fit(gallery)
    distance, nearest = index.kneighbors(queries, n_neighbors=len(gallery))
    names = [list(dict.fromkeys(row)) for row in identities[nearest].tolist()]
    ranks = [1 + found.index(name) for found, name in zip(names, true, strict=True)]

    by_image = np.empty_like(distance)
    np.put_along_axis(by_image, nearest, 1 - distance, axis=1)
    result = searched(by_image, identities, true)
    assert result.rank.tolist() == ranks
    # With a score for each identity, and none of them equal, CMC is a classifier's top-k accuracy.
    scores, labels = best_of_each(by_image, identities), np.arange(num_identities)
    assert result.cmc[:-1] == [
        pytest.approx(top_k_accuracy_score(true, scores, k=rank, labels=labels))
        for rank in range(1, num_identities)
    ]
    np.testing.assert_array_equal(result.top_similarity, 1 - distance[:, 0])


@given(searches())
def test_open_set_points_are_steps_of_an_roc_curve(drawn):
    """By scikit-learn, with mated and non-mated queries; a wrong identity is never correct."""
    similarity, _, true = drawn
    result = searched(*drawn)
    mated, first = true != UNKNOWN, expected_ranks(*drawn) == 1
    top = similarity.max(axis=1)
    if mated.all():
        assert result.tpir_at_fpir == []
        assert result.threshold is None
        return
    far, tar, _ = roc_curve(mated, np.where(mated & ~first, -9, top), drop_intermediate=False)
    for fpir, point in zip(FPIRS, result.tpir_at_fpir, strict=True):
        step = np.searchsorted(far, fpir, side="right") - 1
        assert point.fpir == fpir
        assert (point.measured_fpir, point.tpir) == (far[step], tar[step])
        assert point.fnir == 1 - point.tpir
        assert point.sufficient == (1 / np.count_nonzero(~mated) <= fpir)
        named = top >= point.threshold
        assert point.measured_fpir == np.mean(named[~mated])
        assert point.tpir == np.mean((named & first)[mated])
        assert point.wrong_name == np.mean((named & ~first)[mated])


def shares(result) -> tuple:
    points = [(p.tpir, p.measured_fpir, p.wrong_name) for p in result.tpir_at_fpir]
    return result.cmc, points


@given(searches(), st.randoms(use_true_random=False))
def test_the_order_of_gallery_and_queries_does_not_matter(drawn, random):
    similarity, identities, true = drawn
    columns = random.sample(range(len(identities)), len(identities))
    rows = random.sample(range(len(true)), len(true))
    shuffled = searched(similarity[rows][:, columns], identities[columns], true[rows], ranks=3)
    assert shares(shuffled) == shares(searched(*drawn, ranks=3))


@given(searches())
def test_metrics_depend_on_the_order_of_similarities_only(drawn):
    similarity, identities, true = drawn
    stretched = searched(np.exp(2 * similarity) - 5, identities, true)
    assert shares(stretched) == shares(searched(*drawn))


def test_equal_embeddings_identify_no_query():
    result = searched(np.ones((3, 40)), np.arange(40) // 2, np.array([0, 7, UNKNOWN]), ranks=5)
    assert result.rank.tolist() == [0, 0, 0]
    assert result.cmc == [0] * 5
    assert result.tpir_at_fpir[0].tpir == 0


def test_empty_candidates():
    similarity = np.array([[0.9, 0.5, -np.inf], [0.9, -np.inf, -np.inf]])
    identities = np.array([[1, 0, UNKNOWN], [0, UNKNOWN, UNKNOWN]])
    rank = rank_candidates(similarity, identities, np.array([0, 1]), is_truncated=False)
    assert rank.tolist() == [2, 0]


def test_number_of_candidates():
    # Two identities may have 5 + 3 images; a ninth image is of a third.
    assert num_candidates(np.array([1, 5, 3, 2]), 2) == 9
    assert num_candidates(np.array([1, 5, 3, 2]), 4) == 11


def test_recommended_threshold_depends_on_the_number_of_non_mated_queries():
    similarity = np.linspace(0, 1, 250)
    rank = np.where(np.arange(250) % 2, 1, 0)
    many = identification(rank, similarity, rank == 1, num_identities=9, ranks=9)
    assert many.threshold.fpir == 1e-2
    assert many.threshold.squared_l2 == 2 - 2 * many.threshold.cosine
    assert not many.tpir_at_fpir[2].sufficient
    few = identification(rank[:30], similarity[:30], rank[:30] == 1, num_identities=9, ranks=9)
    assert few.threshold.fpir == 1e-1
    fewer = identification(rank[:10], similarity[:10], rank[:10] == 1, num_identities=9, ranks=9)
    assert fewer.threshold is None
    assert [point.sufficient for point in fewer.tpir_at_fpir] == [False] * 3


def test_json():
    metrics = searched(np.eye(4), np.arange(4), np.array([0, 1, 2, UNKNOWN])).to_dict()
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["rank1"] == metrics["rank10"] == 1
    assert metrics["cmc"] == [1, 1, 1, 1]
    assert (metrics["num_identities"], metrics["num_mated"], metrics["num_non_mated"]) == (4, 3, 1)
    assert list(metrics["tpir_at_fpir"][0]) == [
        *("fpir", "tpir", "measured_fpir", "fnir", "wrong_name", "threshold", "sufficient")
    ]
    assert metrics["threshold"] is None


def test_recall_counts_ties():
    nearest = np.array([[0.9, 0.8, 0.8], [0.5, 0.4, 0.3]])
    found = np.array([[0.9, 0.8, 0.8], [0.5, 0.3, -np.inf]])
    assert recall_at_k(found, nearest, 1) == 1
    assert recall_at_k(found, nearest, 2) == 0.75
    assert recall_at_k(nearest, nearest, 3) == 1


def test_bad_input():
    one = np.ones(1)
    with pytest.raises(InputError, match="a similarity of query 1 is NaN"):
        rank_candidates([[0.1], [np.nan]], [[0], [0]], [0, 0], is_truncated=False)
    with pytest.raises(InputError, match=r"expected \[num_queries, num_candidates\] for both"):
        rank_candidates([[0.1, 0.2]], [[0]], [0], is_truncated=False)
    with pytest.raises(InputError, match="2 queries, but true identities of shape"):
        rank_candidates([[0.1], [0.2]], [[0], [0]], [0], is_truncated=False)
    with pytest.raises(InputError, match=r"expected \[num_queries\] for all"):
        identification([1, 1], one, [True], num_identities=1, ranks=1)
    with pytest.raises(InputError, match="the similarity of query 0 is inf"):
        identification([1], [np.inf], [True], num_identities=1, ranks=1)
    with pytest.raises(InputError, match="none of the 1 queries has an identity of the gallery"):
        identification([0], one, [False], num_identities=1, ranks=1)
    with pytest.raises(InputError, match="a non-mated query has one"):
        identification([1, 1], [1.0, 1.0], [True, False], num_identities=1, ranks=1)
