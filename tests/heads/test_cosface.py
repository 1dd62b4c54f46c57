import math

import numpy as np

from tests.heads.reference import check, cross_entropy, with_centers
from tfface.heads.cosface import CosFaceHead


def test_golden_loss_and_gradient():
    def loss(cosines, identity, *_):
        cosines[identity] -= 0.35
        return cross_entropy(16.0 * cosines, identity)

    check(with_centers(CosFaceHead(scale=16.0, num_identities=4)), loss)


def test_by_hand():
    """60 degrees from the own center, 30 from the other: logits 2 * (0.5 - 0.25) and sqrt(3)."""
    head = with_centers(CosFaceHead(margin=0.25, scale=2.0, num_identities=2), np.eye(2))
    embedding = np.array([[math.cos(math.pi / 3), math.sin(math.pi / 3)]], "float32")
    losses, found = head.loss_and_accuracy(embedding, np.array([0], "int32"))
    golden = math.log(1 + math.exp(math.sqrt(3) - 0.5))
    np.testing.assert_allclose(float(losses[0]), golden, rtol=1e-6)
    assert float(found[0]) == 0.0
