import math

import numpy as np
import pytest

from tests.heads.reference import EMBEDDINGS, IDENTITIES, check, cross_entropy, with_centers
from tfface.heads.adaface import AdaFaceHead


def make() -> AdaFaceHead:
    return with_centers(AdaFaceHead(scale=8.0, num_identities=4))


@pytest.mark.parametrize(("mean", "deviation"), [(20.0, 100.0), (12.0, 9.0), (10.0, 1.0)])
def test_golden_loss_and_gradient(mean, deviation):
    """The authors' code in float64: short, average and long embeddings."""

    def loss(cosines, identity, _, length):
        scaler = (np.clip(length, 0.001, 100) - mean) / (deviation + 1e-3)
        scaler = np.clip(0.333 * scaler, -1, 1)
        # The code keeps 1e-3 away from 0 and pi.
        angle = np.clip(math.acos(cosines[identity]) - 0.4 * scaler, 0, math.pi)
        cosines[identity] = math.cos(angle) - (0.4 + 0.4 * scaler)
        return cross_entropy(8.0 * cosines, identity)

    head = make()
    head.mean_length.assign(mean)
    head.length_deviation.assign(deviation)
    check(head, loss)


def test_running_statistics():
    head = make()
    single = EMBEDDINGS.astype("float32")
    head.loss_and_accuracy(single, IDENTITIES, training=True)
    lengths = np.linalg.norm(EMBEDDINGS, axis=1)
    assert float(head.mean_length) == pytest.approx(0.99 * 20 + 0.01 * lengths.mean(), rel=1e-5)
    expected = 0.99 * 100 + 0.01 * lengths.std(ddof=1)
    assert float(head.length_deviation) == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_has_the_deviation_0():
    head = make()
    head.loss_and_accuracy(EMBEDDINGS[:1].astype("float32"), IDENTITIES[:1], training=True)
    assert float(head.length_deviation) == pytest.approx(99.0, rel=1e-6)
