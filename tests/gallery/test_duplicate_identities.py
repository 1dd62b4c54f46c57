"""Similar identities and the ones to exclude, compared with a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import identity_centers
from tfface.evaluation.labeled_faces import sample_images
from tfface.gallery import duplicate_identities
from tfface.gallery.duplicate_identities import (
    DuplicatePairs,
    Overlap,
    chance_threshold,
    choose_exclusions,
    find_overlap,
    nearest_impostor,
    similar_pairs,
)

NAMES = [f"image {i}" for i in range(100)]
NOBODY = np.empty(0, np.int64)


def unit(seed: int, number: int, size: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(number, size)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class TestChooseImages:
    def test_up_to_so_many_of_each(self):
        labels = np.array([2, 0, 0, 2, -1, 2, 2, 1])
        chosen = sample_images(labels, 2, 0)
        assert chosen.tolist() == sorted(chosen.tolist())
        assert np.bincount(labels[chosen]).tolist() == [2, 1, 2]
        assert sample_images(labels, 9, 0).tolist() == [0, 1, 2, 3, 5, 6, 7]

    def test_by_the_seed(self):
        labels = np.zeros(6, int)
        assert sample_images(labels, 2, 5).tolist() == sample_images(labels, 2, 5).tolist()
        assert len({tuple(sample_images(labels, 2, seed)) for seed in range(60)}) == 15


class TestCenters:
    def test_mean_of_directions(self):
        # The length of an embedding doesn't count, only its direction.
        batches = [np.array([[3, 0], [0, 1]], np.float32), np.array([[0, -7]], np.float32)]
        found, sampled = identity_centers(batches, np.array([0, 0, 2]), 3, NAMES, np.array([1, 2]))
        np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [0, 0], [0, -1]], rtol=1e-6)
        np.testing.assert_allclose(sampled, [[0, 1], [0, -1]])

    def test_a_blank_image_does_not_count(self):
        batches = [np.array([[0, 0], [5, 0], [0, 0]], np.float32)]
        found, sampled = identity_centers(batches, np.array([0, 0, 1]), 2, NAMES, np.array([0]))
        assert found.tolist() == [[1, 0], [0, 0]]
        assert sampled.tolist() == [[0, 0]]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_not_finite_is_named(self, value):
        batches = [np.ones((2, 3), np.float32), np.array([[1, 1, 1], [1, value, 1]], np.float32)]
        with pytest.raises(InputError, match="embedding of image 3 contains NaN or infinity"):
            identity_centers(batches, np.zeros(4, int), 1, NAMES, NOBODY)


class TestSimilarPairs:
    @given(st.integers(0, 10**6), st.booleans(), st.integers(1, 8))
    @examples(60)
    def test_as_by_a_loop(self, seed, within_source, block):
        rng = np.random.default_rng(seed)
        vectors = unit(seed, 17, 3)
        sources = rng.integers(0, 3, 17)
        expected = {
            (i, j)
            for i in range(17)
            for j in range(i + 1, 17)
            if vectors[i] @ vectors[j] >= 0.8 and (within_source or sources[i] != sources[j])
        }
        before = duplicate_identities._BLOCK
        duplicate_identities._BLOCK = block
        try:
            pairs = similar_pairs(vectors, sources, 0.8, within_source=within_source)
        finally:
            duplicate_identities._BLOCK = before
        assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected
        assert (np.diff(pairs.similarity) <= 0).all()
        for i, j, value in zip(pairs.first, pairs.second, pairs.similarity, strict=True):
            assert abs(vectors[i] @ vectors[j] - value) < 1e-5

    def test_an_identity_without_center_is_like_nobody(self):
        vectors = np.array([[1, 0], [0, 0], [0, 0]], np.float32)
        assert len(similar_pairs(vectors, np.array([0, 1, 2]), 0.01).first) == 0

    def test_a_model_that_cannot_tell_people_apart(self, monkeypatch):
        monkeypatch.setattr(duplicate_identities, "MAX_PAIRS", 20)
        vectors = np.ones((10, 1), np.float32)
        with pytest.raises(InputError, match=r"more than 20 pairs .* of 0\.3 or more: the model"):
            similar_pairs(vectors, np.arange(10) % 2, 0.3)
        assert len(similar_pairs(vectors[:9], np.arange(9) % 2, 0.3).first) == 20


def test_find_among(monkeypatch):
    monkeypatch.setattr(duplicate_identities, "_BLOCK", 4)
    vectors, images = unit(1, 11, 3), unit(2, 9, 3)
    similarity = vectors @ images.T
    found = find_overlap(vectors, images, 0.9)
    expected = np.flatnonzero(similarity.max(axis=1) >= 0.9)
    assert sorted(found.labels.tolist()) == expected.tolist()
    assert 0 < len(expected) < 11
    np.testing.assert_array_equal(found.images, similarity[found.labels].argmax(axis=1))
    np.testing.assert_allclose(found.similarity, similarity[found.labels].max(axis=1), rtol=1e-5)
    assert (np.diff(found.similarity) <= 0).all()


class TestChance:
    def test_nearest_other(self, monkeypatch):
        monkeypatch.setattr(duplicate_identities, "_BLOCK", 4)
        vectors = unit(3, 10)
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -1)
        labels = np.arange(10) + 5
        found = nearest_impostor(vectors[3:7], labels[3:7], vectors, labels)
        np.testing.assert_allclose(found, similarity[3:7].max(axis=1), rtol=1e-5)

    def test_few_are_found_by_chance(self):
        nearest = np.linspace(0, 1, 1001)
        assert chance_threshold(nearest, 1000, 1000) == pytest.approx(0.95)
        assert chance_threshold(nearest, 1000, 500) == pytest.approx(0.95)
        # Twice as many to be compared with, so half as many may be found.
        assert chance_threshold(nearest, 1000, 2000) == pytest.approx(0.975)
        assert chance_threshold(nearest, 1000, 10**9) == pytest.approx(0.98)

    def test_what_was_meant_comes_true(self):
        """People who all differ: about 5 % of them find somebody in another source."""
        vectors = unit(4, 4000, 16)
        own, others = np.arange(2000), vectors[2000:]
        level = chance_threshold(
            nearest_impostor(vectors[:2000], own, vectors[:2000], own), 2000, 2000
        )
        assert 0.03 < np.mean((vectors[:2000] @ others.T).max(axis=1) >= level) < 0.07


def pairs_of(*rows: tuple[int, int, float]) -> DuplicatePairs:
    rows = sorted(rows, key=lambda row: -row[2])
    columns = np.array(rows).reshape(-1, 3).T
    return DuplicatePairs(
        columns[0].astype(int), columns[1].astype(int), columns[2].astype(np.float32)
    )


class TestExclusions:
    def test_the_one_with_fewer_images_goes(self):
        excluded = choose_exclusions(pairs_of((0, 1, 0.5), (2, 3, 0.6)), {}, np.array([5, 9, 7, 3]))
        assert {label: why.other for label, why in excluded.items()} == {0: 1, 3: 2}
        assert excluded[3].similarity == pytest.approx(0.6)
        assert excluded[3].set_name is None

    def test_of_equals_the_first_stays(self):
        assert list(choose_exclusions(pairs_of((0, 1, 0.5)), {}, np.array([4, 4]))) == [1]

    def test_of_a_cluster_one_stays(self):
        pairs = pairs_of((0, 1, 0.5), (1, 2, 0.6), (0, 2, 0.7))
        assert list(choose_exclusions(pairs, {}, np.array([5, 9, 7]))) == [0, 2]

    def test_the_ends_of_a_chain_are_two_people(self):
        pairs = pairs_of((0, 1, 0.5), (1, 2, 0.6))
        assert list(choose_exclusions(pairs, {}, np.array([5, 4, 3]))) == [1]
        # But with the most images in the middle, that is the one who stays.
        assert list(choose_exclusions(pairs, {}, np.array([5, 9, 3]))) == [0, 2]

    def test_people_of_a_verification_set_go_and_whoever_is_like_them(self):
        found = {
            "lfw": Overlap(np.array([1, 3]), np.array([6, 7]), np.array([0.8, 0.5], np.float32)),
            "agedb": Overlap(np.array([3]), np.array([2]), np.array([0.6], np.float32)),
        }
        pairs = pairs_of((0, 1, 0.5), (1, 3, 0.45), (2, 4, 0.4))
        excluded = choose_exclusions(pairs, found, np.array([9, 1, 9, 1, 1]))
        assert list(excluded) == [0, 1, 3, 4]
        assert (excluded[1].set_name, excluded[1].image) == ("lfw", 6)
        assert (excluded[3].set_name, excluded[3].image) == ("agedb", 2)
        assert excluded[0].other == 1
        assert excluded[4].other == 2

    @given(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda p: p[0] < p[1])),
        st.lists(st.integers(1, 5), min_size=10, max_size=10),
        st.sets(st.integers(0, 9), max_size=3),
    )
    def test_what_is_promised(self, rows, num_images, in_set):
        rows = sorted(set(rows))
        pairs = pairs_of(*((a, b, 0.5) for a, b in rows))
        found = {"s": Overlap(np.array(sorted(in_set), int), *2 * [np.zeros(len(in_set))])}
        excluded = choose_exclusions(pairs, found, np.array(num_images))
        assert in_set <= set(excluded)
        for a, b in rows:
            assert a in excluded or b in excluded
        for label, why in excluded.items():
            if label not in in_set:
                assert tuple(sorted((label, why.other))) in rows
                assert why.other in in_set or why.other not in excluded
                if why.other not in in_set:
                    assert num_images[why.other] >= num_images[label]
