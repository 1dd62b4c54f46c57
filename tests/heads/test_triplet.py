import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.spatial.distance import cdist

from tests.contracts.gradients import gradient
from tests.heads.reference import central_differences, unit
from tests.property_tests import examples
from tfface.heads.triplet import TripletHead


def losses_by_looking_at_all(embeddings, identities, margin=0.2):
    """The definition, triplet by triplet, in float64."""
    points = unit(embeddings)
    distances = cdist(points, points, "sqeuclidean")
    losses = []
    for a, own in enumerate(identities):
        positives = [p for p in range(len(points)) if identities[p] == own and p != a]
        negatives = distances[a, identities != own]
        found = []
        for p in positives if len(negatives) else []:
            farther = negatives[negatives > distances[a, p]]
            n = farther.min() if len(farther) else negatives.max()
            found.append(max(0.0, distances[a, p] - n + margin))
        losses.append(np.mean(found) if found else None)
    num_anchors = sum(loss is not None for loss in losses)
    return np.array([0.0 if loss is None else loss * len(losses) / num_anchors for loss in losses])


def drawn(seed: int, batch: int, num_identities: int):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, 4)), rng.integers(0, num_identities, batch).astype("int32")


# Few sizes: each is compiled anew.
@examples(40)
@given(st.integers(0, 999), st.sampled_from([1, 2, 9]), st.integers(1, 5))
def test_is_what_the_definition_says(seed, batch, num_identities):
    embeddings, identities = drawn(seed, batch, num_identities)
    losses, correct = TripletHead().losses_and_correct(embeddings.astype("float32"), identities)
    expected = losses_by_looking_at_all(embeddings, identities)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected, atol=1e-5)
    similarity = unit(embeddings) @ unit(embeddings).T - 9 * np.eye(batch)
    right = identities[np.argmax(similarity, axis=1)] == identities
    np.testing.assert_array_equal(ops.convert_to_numpy(correct), right & (batch > 1))


def test_golden_gradient():
    embeddings, identities = drawn(seed=3, batch=8, num_identities=3)
    found = gradient(
        lambda x: ops.sum(TripletHead().losses_and_correct(x, identities)[0]),
        embeddings.astype("float32"),
    )
    golden = central_differences(
        lambda x: float(losses_by_looking_at_all(x, identities).sum()), embeddings
    )
    assert np.abs(golden).max() > 0.1
    np.testing.assert_allclose(found, golden, atol=1e-4)


def test_by_hand():
    """The positive at 60 degrees; others at 90 (the semi-hard one), 110 and 30 degrees."""
    angles = np.radians([0, 60, 90, 110, -30])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    identities = np.array([7, 7, 1, 2, 3], "int32")
    losses, correct = TripletHead(margin=1.5).losses_and_correct(embeddings, identities)
    # d = 2 - 2 cos: 1 to the positive, 2 to the semi-hard one; two anchors of five.
    # From the other anchor: 1, and 2 to the only one that is farther, at 90 degrees.
    np.testing.assert_allclose(ops.convert_to_numpy(losses), [1.25, 1.25, 0, 0, 0], atol=1e-5)
    # Nearest to 0 is -30, and to 60 is 90.
    np.testing.assert_array_equal(ops.convert_to_numpy(correct)[:2], [0, 0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradients_are_finite_for_equal_and_opposite_embeddings(sign):
    point = np.array([0.3, -0.5, 0.8], "float32")
    embeddings = np.stack([point, sign * point, point, sign * point])
    identities = np.array([0, 0, 1, 1], "int32")

    def loss(x):
        return ops.sum(TripletHead().losses_and_correct(x, identities)[0])

    assert np.isfinite(float(loss(embeddings)))
    assert np.all(np.isfinite(gradient(loss, embeddings)))


def test_an_embedding_may_be_compared_at_any_length():
    embeddings, identities = drawn(seed=1, batch=8, num_identities=3)
    once, tenfold = (
        ops.convert_to_numpy(
            TripletHead().losses_and_correct((factor * embeddings).astype("float32"), identities)[0]
        )
        for factor in (1, 10)
    )
    np.testing.assert_allclose(once, tenfold, atol=1e-5)


def test_one_hot_labels_are_refused():
    with pytest.raises(ValueError, match=r"of shape \[batch\], got \[4, 3\]; of one-hot labels"):
        TripletHead()(np.ones((4, 8), "float32"), np.eye(4, 3, dtype="int32"))
