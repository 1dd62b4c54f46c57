"""Verification metrics: the reference protocol, known LFW results, subgroups, bad input."""

import json
import subprocess
import sys
from statistics import fmean, pvariance

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import confusion_matrix, roc_auc_score
from sklearn.metrics.pairwise import paired_cosine_distances

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics.roc import eer, roc
from tfface.metrics.verification import FARS, d_prime, hardest_pairs, subgroup_metrics, verification


def random_set(seed: int, num_pairs: int = 200, size: int = 8):
    """Embeddings of two images of each identity, and pairs of both kinds."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(num_pairs, size))
    embeddings = np.repeat(people, 2, axis=0) + 0.7 * rng.normal(size=(2 * num_pairs, size))
    is_genuine = rng.permutation(np.arange(num_pairs) % 2 == 0)
    first = 2 * np.arange(num_pairs)
    second = np.where(is_genuine, first + 1, (first + 3) % (2 * num_pairs))
    return embeddings, first, second, is_genuine


def test_known_results_of_lfw(test_data):
    fixtures = test_data / "fixtures"
    golden = json.loads((fixtures / "golden_verification_lfw.json").read_text())
    arrays = np.load(fixtures / "golden_verification_lfw.npz")
    embeddings = arrays["embeddings"] + arrays["flipped"]
    first, second = arrays["index"][0::2], arrays["index"][1::2]

    result = verification(embeddings, first, second, arrays["is_genuine"])
    assert result.num_pairs == golden["num_pairs"]
    assert result.accuracy.mean == pytest.approx(golden["accuracy_mean"], abs=1e-9)
    assert result.accuracy.std == pytest.approx(golden["accuracy_std"], abs=1e-9)
    assert result.accuracy.folds == pytest.approx(golden["folds"], abs=1e-9)
    assert result.auc == pytest.approx(golden["auc"], abs=1e-9)
    assert result.eer == pytest.approx(golden["eer_approx"], abs=5e-4)
    tar = {point.far: point.tar for point in result.tar_at_far}
    assert tar[1e-3] == pytest.approx(golden["tar_at_far_0.001"], abs=1e-9)
    assert tar[1e-2] == pytest.approx(golden["tar_at_far_0.01"], abs=1e-9)
    assert result.accuracy.folds == golden["folds"]
    assert result.interval_by == "pair"
    assert 0.990 < result.accuracy.interval[0] < 0.992
    assert 0.994 < result.accuracy.interval[1] < 0.996


def test_result_as_json():
    result = verification(*random_set(0))
    metrics = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(metrics) == [
        "num_pairs",
        "num_genuine",
        "accuracy",
        "threshold",
        "tar_at_far",
        "eer",
        "eer_interval",
        "auc",
        "auc_interval",
        "interval_by",
        "d_prime",
        "embedding_norm",
        "groups",
    ]
    assert metrics["num_pairs"] == 200
    assert metrics["num_genuine"] == 100
    assert set(metrics["accuracy"]) == {"mean", "std", "folds", "interval"}
    assert len(metrics["accuracy"]["folds"]) == 10
    assert metrics["threshold"]["cosine"] == 1 - metrics["threshold"]["squared_l2"] / 2
    assert [point["far"] for point in metrics["tar_at_far"]] == list(FARS)
    for point in metrics["tar_at_far"]:
        assert set(point) == {
            *("far", "tar", "measured_far", "threshold_cosine", "sufficient", "interval")
        }
        assert point["sufficient"] == (point["far"] >= 0.01)
        assert point["measured_far"] <= point["far"]
        if point["sufficient"]:
            low, high = point["interval"]
            assert low <= point["tar"] <= high
        else:
            assert point["interval"] is None
    assert metrics["interval_by"] == "pair"
    assert metrics["eer_interval"][0] <= metrics["eer"] <= metrics["eer_interval"][1]
    assert metrics["auc_interval"][0] <= metrics["auc"] <= metrics["auc_interval"][1]
    low, high = metrics["accuracy"]["interval"]
    assert low <= metrics["accuracy"]["mean"] <= high
    assert metrics["groups"] is None


def test_without_intervals():
    plain = verification(*random_set(0), num_replicates=0).to_dict()
    assert plain["interval_by"] is plain["eer_interval"] is plain["auc_interval"] is None
    assert plain["accuracy"]["interval"] is None
    assert all(point["interval"] is None for point in plain["tar_at_far"])
    assert plain["auc"] == verification(*random_set(0)).auc


def test_identities():
    embeddings, first, second, is_genuine = random_set(0)
    identities = np.arange(len(embeddings)) // 2
    by_identity = verification(embeddings, first, second, is_genuine, identities=identities)
    assert by_identity.interval_by == "identity"
    plain = verification(embeddings, first, second, is_genuine)
    assert by_identity.accuracy.folds == plain.accuracy.folds
    assert by_identity.auc_interval != plain.auc_interval
    with pytest.raises(
        InputError, match="400 embeddings, but 399 identities: expected one per image"
    ):
        verification(embeddings, first, second, is_genuine, identities=identities[1:])
    pair = int(np.argmax(is_genuine))
    identities[first[pair]] = -1
    with pytest.raises(
        InputError, match=rf"pair {pair} is labeled as genuine, but its images have .* -1 and"
    ):
        verification(embeddings, first, second, is_genuine, identities=identities)


@examples(15)
@given(st.integers(0, 1000))
def test_pairs_can_be_swapped_and_shuffled_within_their_folds(seed):
    embeddings, first, second, is_genuine = random_set(seed, num_pairs=60)
    # Equal images, so that there are ties.
    embeddings = np.round(embeddings)
    embeddings[:, 0] += 0.5
    plain = verification(embeddings, first, second, is_genuine, num_folds=4).to_dict()
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(fold) for fold in np.split(np.arange(60), 4)])
    first, second, is_genuine = first[order], second[order], is_genuine[order]
    swapped = rng.random(60) < 0.5
    first, second = np.where(swapped, second, first), np.where(swapped, first, second)
    changed = verification(embeddings, first, second, is_genuine, num_folds=4).to_dict()
    assert changed.pop("d_prime") == pytest.approx(plain.pop("d_prime"), rel=1e-12)
    assert changed == plain


def test_similarities_are_cosines():
    """As scikit-learn's, and the metrics are computed from them."""
    embeddings, first, second, is_genuine = random_set(6)
    result = verification(embeddings, first, second, is_genuine, num_replicates=0)
    expected = 1 - paired_cosine_distances(embeddings[first], embeddings[second])
    np.testing.assert_allclose(result.similarity, expected, rtol=0, atol=1e-14)
    assert result.auc == pytest.approx(roc_auc_score(is_genuine, expected), abs=1e-12)
    assert result.d_prime == pytest.approx(d_prime(expected, is_genuine), rel=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=30), st.integers(1, 29))
def test_d_prime(values, num_genuine):
    similarity = np.array(values) / 4
    is_genuine = np.arange(len(values)) < min(num_genuine, len(values) - 1)
    genuine, impostor = similarity[is_genuine].tolist(), similarity[~is_genuine].tolist()
    pooled = (pvariance(genuine) + pvariance(impostor)) / 2
    if pooled == 0:
        assert d_prime(similarity, is_genuine) is None
    else:
        expected = abs(fmean(genuine) - fmean(impostor)) / pooled**0.5
        assert d_prime(similarity, is_genuine) == pytest.approx(expected)


def test_d_prime_of_normal_similarities_tells_their_auc():
    rng = np.random.default_rng(0)
    is_genuine = np.arange(40_000) % 2 == 0
    similarity = rng.normal(np.where(is_genuine, 1.5, 0), np.where(is_genuine, 1.2, 0.7))
    expected = norm.cdf(d_prime(similarity, is_genuine) / np.sqrt(2))
    assert roc_auc_score(is_genuine, similarity) == pytest.approx(expected, abs=0.005)


def test_d_prime_of_equal_similarities():
    # Rounding of the mean must not look like a variance.
    similarity = np.array([0.1] * 10 + [0.7] * 3)
    assert d_prime(similarity, np.arange(13) < 3) is not None
    assert d_prime(similarity, np.arange(13) >= 10) is None


def test_hardest_pairs():
    embeddings, first, second, is_genuine = random_set(5)
    result = verification(embeddings, first, second, is_genuine, num_replicates=0)
    impostors, genuine = hardest_pairs(result, 3)
    assert not is_genuine[impostors].any()
    assert is_genuine[genuine].all()
    assert np.array_equal(
        result.similarity[impostors], np.sort(result.similarity[~is_genuine])[::-1][:3]
    )
    assert np.array_equal(result.similarity[genuine], np.sort(result.similarity[is_genuine])[:3])
    assert [len(kind) for kind in hardest_pairs(result, 1000)] == [100, 100]
    # Of equally similar pairs the first comes first.
    alike = verification(np.ones_like(embeddings), first, second, is_genuine, num_replicates=0)
    impostors, genuine = hardest_pairs(alike, 4)
    assert np.array_equal(impostors, np.flatnonzero(~is_genuine)[:4])
    assert np.array_equal(genuine, np.flatnonzero(is_genuine)[:4])


def test_length_of_an_embedding_and_order_within_a_pair_do_not_matter():
    embeddings, first, second, is_genuine = random_set(1)
    plain = verification(embeddings, first, second, is_genuine)
    # Powers of two, so that not even the rounding differs.
    lengths = 2.0 ** np.random.default_rng(0).integers(-8, 8, (len(embeddings), 1))
    changed = verification(embeddings * lengths, second, first, is_genuine)
    assert changed.to_dict() | {"embedding_norm": 0} == plain.to_dict() | {"embedding_norm": 0}
    assert changed.embedding_norm == pytest.approx(
        np.mean(np.linalg.norm(embeddings * lengths, axis=1))
    )


def test_identical_images_are_accepted():
    embeddings = np.random.default_rng(2).normal(size=(20, 16)).astype(np.float32)
    first = np.arange(20)
    is_genuine = np.arange(20) % 2 == 0
    result = verification(embeddings, first, np.where(is_genuine, first, 19 - first), is_genuine)
    assert result.accuracy.mean == 1
    assert result.auc == 1
    assert np.all(result.similarity[is_genuine] == 1)


def test_bad_embeddings_are_named():
    embeddings, first, second, is_genuine = random_set(3)
    embeddings[7] = np.nan
    with pytest.raises(InputError, match="embedding of image 7 contains NaN or infinity"):
        verification(embeddings, first, second, is_genuine)
    embeddings[7], embeddings[4, 2] = 1, np.inf
    names = [f"{index}.jpg" for index in range(len(embeddings))]
    with pytest.raises(InputError, match=r"embedding of 4\.jpg contains NaN or infinity"):
        verification(embeddings, first, second, is_genuine, names=names)
    embeddings[4] = 0
    with pytest.raises(InputError, match="embedding of image 4 has norm 0"):
        verification(embeddings, first, second, is_genuine)
    with pytest.raises(InputError, match=r"expected \[num_images, embedding_size\]"):
        verification(embeddings[0], first, second, is_genuine)


def test_bad_pairs():
    embeddings, first, second, is_genuine = random_set(4)
    with pytest.raises(InputError, match="200 genuine and 0 impostor pairs"):
        verification(embeddings, first, second, np.ones_like(is_genuine))
    with pytest.raises(InputError, match=r"expected \[num_pairs\] for all"):
        verification(embeddings, first, second[:-1], is_genuine)
    with pytest.raises(InputError, match="9 pairs are too few for 10 folds"):
        verification(embeddings, first[:9], second[:9], is_genuine[:9])
    with pytest.raises(InputError, match="outside the 390 embeddings"):
        verification(embeddings[:-10], first, second, is_genuine)
    with pytest.raises(InputError, match="outside the 400 embeddings"):
        verification(embeddings, first - 1, second, is_genuine)
    with pytest.raises(InputError, match="1 folds of 200 pairs: expected at least 2 folds"):
        verification(embeddings, first, second, is_genuine, num_folds=1)


def test_needs_numpy_alone():
    code = (
        "import sys, tfface.metrics.verification; "
        "print([m for m in ('tensorflow', 'keras', 'jax', 'scipy', 'sklearn') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


@examples(60)
@given(st.integers(0, 1000), st.integers(2, 40), st.integers(-2, 2))
def test_metrics_equal_those_of_the_pairs_alone(seed, num_pairs, threshold):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(-3, 4, num_pairs) / 2
    is_genuine, is_correct = rng.random((2, num_pairs)) < 0.5
    groups = [f"group {number}" for number in rng.integers(0, 4, num_pairs)]
    metrics = subgroup_metrics(similarity, is_genuine, is_correct, threshold / 2, groups)
    assert list(metrics) == sorted(set(groups))
    for name, of_group in metrics.items():
        own = np.array([group == name for group in groups])
        accepted = similarity[own] >= threshold / 2
        (rejects, false_accepts), (misses, true_accepts) = confusion_matrix(
            is_genuine[own], accepted, labels=[False, True]
        )
        num_impostor, num_genuine = rejects + false_accepts, misses + true_accepts
        assert of_group.num_pairs == num_impostor + num_genuine
        assert of_group.num_genuine == num_genuine
        assert of_group.accuracy == np.mean(is_correct[own])
        assert of_group.far == (false_accepts / num_impostor if num_impostor else None)
        assert of_group.tar == (true_accepts / num_genuine if num_genuine else None)
        if num_impostor and num_genuine:
            expected = roc_auc_score(is_genuine[own], similarity[own])
            assert of_group.auc == pytest.approx(expected, abs=1e-12)
            assert of_group.eer == eer(roc(similarity[own], is_genuine[own]))
        else:
            assert of_group.eer is of_group.auc is None


def test_subgroups_share_the_thresholds_of_the_set():
    embeddings, first, second, is_genuine = random_set(0)
    groups = ["odd" if pair % 2 else "even" for pair in range(200)]
    result = verification(embeddings, first, second, is_genuine, groups=groups)
    assert list(result.groups) == ["even", "odd"]
    # Folds have equal size, and so have the groups.
    both = [group.accuracy for group in result.groups.values()]
    assert np.mean(both) == pytest.approx(result.accuracy.mean)
    point = result.groups["odd"]
    accepted = result.similarity[1::2] >= result.threshold.cosine
    assert point.far == np.mean(accepted[~is_genuine[1::2]])
    written = result.to_dict()["groups"]["even"]
    assert list(written) == ["num_pairs", "num_genuine", "accuracy", "far", "tar", "eer", "auc"]


def test_wrong_number_of_groups():
    embeddings, first, second, is_genuine = random_set(0)
    with pytest.raises(InputError, match="3 groups were given for 200 pairs"):
        verification(embeddings, first, second, is_genuine, groups=["a", "b", "c"])
