"""The figures of a pair set: the reference protocol, the golden LFW figures, bad input."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.metrics.k_fold import k_fold_accuracy
from tfface.metrics.verification import FARS, verification


def random_set(seed: int, num_pairs: int = 200, size: int = 8):
    """Embeddings of two images of each of many people, and pairs of them of both kinds."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(num_pairs, size))
    embeddings = np.repeat(people, 2, axis=0) + 0.7 * rng.normal(size=(2 * num_pairs, size))
    is_genuine = rng.permutation(np.arange(num_pairs) % 2 == 0)
    first = 2 * np.arange(num_pairs)
    second = np.where(is_genuine, first + 1, (first + 3) % (2 * num_pairs))
    return embeddings, first, second, is_genuine


def reference_accuracy(distance, is_genuine, num_folds):
    """The protocol as its sources write it: loops over folds and thresholds."""
    thresholds = np.arange(0, 4, 0.01)
    n = len(distance)
    sizes = np.full(num_folds, n // num_folds)
    sizes[: n % num_folds] += 1
    folds, chosen, start = [], [], 0
    for size in sizes:
        test = np.zeros(n, bool)
        test[start : start + size] = True
        start += size
        train = [np.mean((distance[~test] < t) == is_genuine[~test]) for t in thresholds]
        best = thresholds[np.argmax(train)]
        chosen.append(best)
        folds.append(np.mean((distance[test] < best) == is_genuine[test]))
    return folds, np.mean(chosen)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(23, 60), st.integers(2, 10))
def test_accuracy_is_the_reference_protocol(seed, num_pairs, num_folds):
    rng = np.random.default_rng(seed)
    is_genuine = rng.random(num_pairs) < 0.5
    # On the grid of thresholds itself, where `<` and `<=` part.
    distance = rng.integers(0, 400, num_pairs) * 0.01
    distance = np.where(is_genuine, distance / 2, distance)
    accuracy, threshold = k_fold_accuracy(distance, is_genuine, num_folds)
    folds, expected = reference_accuracy(distance, is_genuine, num_folds)
    np.testing.assert_allclose(accuracy.folds, folds, rtol=0, atol=1e-12)
    assert accuracy.mean == pytest.approx(np.mean(folds), abs=1e-12)
    assert accuracy.std == pytest.approx(np.std(folds), abs=1e-12)
    assert threshold == pytest.approx(expected, abs=1e-12)


def test_golden_figures_of_lfw(test_data):
    fixtures = test_data / "fixtures"
    golden = json.loads((fixtures / "golden_verification_lfw.json").read_text())
    arrays = np.load(fixtures / "golden_verification_lfw.npz")
    embeddings = arrays["embeddings"] + arrays["flipped"]
    first, second = arrays["index"][0::2], arrays["index"][1::2]

    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = verification(embeddings, first, second, arrays["is_genuine"])
        seconds.append(time.perf_counter() - start)

    assert result.num_pairs == golden["num_pairs"]
    assert result.accuracy.mean == pytest.approx(golden["accuracy_mean"], abs=1e-9)
    assert result.accuracy.std == pytest.approx(golden["accuracy_std"], abs=1e-9)
    assert result.accuracy.folds == pytest.approx(golden["folds"], abs=1e-9)
    assert result.auc == pytest.approx(golden["auc"], abs=1e-9)
    assert result.eer == pytest.approx(golden["eer_approx"], abs=5e-4)
    tar = {point.far: point.tar for point in result.tar_at_far}
    assert tar[1e-3] == pytest.approx(golden["tar_at_far_0.001"], abs=1e-9)
    assert tar[1e-2] == pytest.approx(golden["tar_at_far_0.01"], abs=1e-9)
    assert min(seconds) < 0.3


def test_result_as_json():
    result = verification(*random_set(0))
    figures = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert list(figures) == [
        "num_pairs",
        "num_genuine",
        "accuracy",
        "threshold",
        "tar_at_far",
        "eer",
        "auc",
        "embedding_norm",
    ]
    assert figures["num_pairs"] == 200
    assert figures["num_genuine"] == 100
    assert set(figures["accuracy"]) == {"mean", "std", "folds"}
    assert len(figures["accuracy"]["folds"]) == 10
    assert figures["threshold"]["cosine"] == 1 - figures["threshold"]["squared_l2"] / 2
    assert [point["far"] for point in figures["tar_at_far"]] == list(FARS)
    for point in figures["tar_at_far"]:
        assert set(point) == {"far", "tar", "measured_far", "threshold_cosine", "sufficient"}
        assert point["sufficient"] == (point["far"] >= 0.01)
        assert point["measured_far"] <= point["far"]


def test_length_of_an_embedding_and_order_within_a_pair_do_not_matter():
    embeddings, first, second, is_genuine = random_set(1)
    plain = verification(embeddings, first, second, is_genuine)
    # Powers of two, so that not even the rounding differs.
    lengths = 2.0 ** np.random.default_rng(0).integers(-8, 8, (len(embeddings), 1))
    changed = verification(embeddings * lengths, second, first, is_genuine)
    assert changed.to_json() | {"embedding_norm": 0} == plain.to_json() | {"embedding_norm": 0}
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
    with pytest.raises(InputError, match="embedding of image 7 holds NaN or infinity"):
        verification(embeddings, first, second, is_genuine)
    embeddings[7], embeddings[4, 2] = 1, np.inf
    names = [f"{index}.jpg" for index in range(len(embeddings))]
    with pytest.raises(InputError, match=r"embedding of 4\.jpg holds NaN or infinity"):
        verification(embeddings, first, second, is_genuine, names=names)
    embeddings[4] = 0
    with pytest.raises(InputError, match="embedding of image 4 is all 0"):
        verification(embeddings, first, second, is_genuine)
    with pytest.raises(InputError, match=r"expected \[num_images, embedding_size\]"):
        verification(embeddings[0], first, second, is_genuine)


def test_bad_pairs():
    embeddings, first, second, is_genuine = random_set(4)
    with pytest.raises(InputError, match="200 genuine and 0 impostor pairs"):
        verification(embeddings, first, second, np.ones_like(is_genuine))
    with pytest.raises(InputError, match="expected as many of each"):
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
