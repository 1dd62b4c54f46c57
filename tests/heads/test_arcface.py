import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.contracts.gradients import gradient
from tests.heads.reference import central_differences, cross_entropy
from tfface.heads.arcface import ArcFaceHead

CENTERS = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]], "float32")


@pytest.fixture
def head():
    head = ArcFaceHead(margin=0.5, scale=4.0, num_identities=3)
    head.build((None, 2))
    head.class_centers.assign(CENTERS)
    return head


def test_golden_loss(head):
    """By hand: 60 degrees from center 0, 30 from center 1, 120 from center 2."""
    embedding = np.array([[math.cos(math.pi / 3), math.sin(math.pi / 3)]], "float32")
    losses, found = head.loss_and_accuracy(embedding, np.array([0], "int32"))
    logits = 4.0 * np.cos([math.pi / 3 + 0.5, math.pi / 6, 2 * math.pi / 3])
    np.testing.assert_allclose(float(losses[0]), cross_entropy(logits, 0), rtol=1e-5)
    assert float(found[0]) == 0.0


def test_golden_gradient(head):
    """Against central differences of the same formula in float64."""
    point = np.array([0.7, 0.4])

    def loss(x):
        unit = x / np.linalg.norm(x)
        cosines = unit @ (CENTERS / np.linalg.norm(CENTERS, axis=1, keepdims=True)).T
        cosines[0] = np.cos(np.arccos(cosines[0]) + 0.5)
        return cross_entropy(4 * cosines, 0)

    found = gradient(
        lambda x: ops.sum(head.loss_and_accuracy(x, np.array([0], "int32"))[0]),
        point[None].astype("float32"),
    )
    np.testing.assert_allclose(found[0], central_differences(loss, point), rtol=1e-4)


def test_logits_have_no_margin(head):
    logits = ops.convert_to_numpy(head.logits(np.array([[5.0, 0.0]], "float32")))
    np.testing.assert_allclose(logits, [[4.0, 0.0, -4.0]], atol=1e-5)


def test_ms1m_size_and_first_loss():
    """85,742 identities of 512: 43,899,904 weights, and about 46.0 on random embeddings."""
    keras.utils.set_random_seed(0)
    head = ArcFaceHead(num_identities=85_742)
    head.build((None, 512))
    assert math.prod(head.class_centers.shape) == 43_899_904
    rng = np.random.default_rng(0)
    losses, _ = head.loss_and_accuracy(
        rng.normal(size=(16, 512)).astype("float32"), rng.integers(0, 85_742, 16).astype("int32")
    )
    assert float(ops.mean(losses)) == pytest.approx(46.0, abs=1.0)
