import math

import numpy as np
import pytest
from keras import ops

from tests.heads.reference import (
    CENTERS,
    EMBEDDINGS,
    IDENTITIES,
    check,
    cross_entropy,
    unit,
    with_centers,
)
from tfface.heads.curricularface import CurricularFaceHead


def make() -> CurricularFaceHead:
    return with_centers(CurricularFaceHead(scale=8.0, num_identities=4))


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9])
def test_golden_loss_and_gradient(t):
    """The formula of the paper; of the examples, some have hard identities and some have none."""

    def loss(cosines, identity, *_):
        own = math.cos(math.acos(cosines[identity]) + 0.5)
        logits = np.where(cosines > own, cosines * (t + cosines), cosines)
        logits[identity] = own
        return cross_entropy(8.0 * logits, identity)

    head = make()
    head.mean_cosine.assign(t)
    check(head, loss)


def test_t_is_a_running_mean_that_is_used_after_it_moves():
    head = make()
    single = EMBEDDINGS.astype("float32")
    mean = np.mean(np.sum(unit(EMBEDDINGS) * unit(CENTERS)[IDENTITIES], axis=1))
    first = head.loss_and_accuracy(single, IDENTITIES, training=True)[0]
    assert float(head.mean_cosine) == pytest.approx(0.01 * mean, rel=1e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(first),
        ops.convert_to_numpy(head.loss_and_accuracy(single, IDENTITIES)[0]),
        rtol=1e-5,
    )
    head.loss_and_accuracy(single, IDENTITIES, training=True)
    assert float(head.mean_cosine) == pytest.approx(0.01 * mean * 1.99, rel=1e-5)
