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
    with_centers,
)
from tfface.heads.arcface import ArcFaceHead
from tfface.heads.combined import CombinedHead
from tfface.heads.cosface import CosFaceHead
from tfface.heads.sphereface import SphereFaceHead


@pytest.mark.parametrize(
    ("m1", "m2", "m3"), [(1.0, 0.3, 0.2), (0.9, 0.4, 0.15), (1.3, 0.2, 0.1), (2.0, 0.0, 0.3)]
)
def test_golden_loss_and_gradient(m1, m2, m3):
    def loss(cosines, identity, *_):
        angle = m1 * math.acos(cosines[identity]) + m2
        turns = angle // math.pi
        cosines[identity] = (-1) ** turns * math.cos(angle) - 2 * turns - m3
        return cross_entropy(8.0 * cosines, identity)

    check(with_centers(CombinedHead(m1, m2, m3, scale=8.0, num_identities=4)), loss)


@pytest.mark.parametrize(
    ("margins", "single"),
    [
        ((1.0, 0.5, 0.0), ArcFaceHead(0.5, num_identities=4)),
        ((1.0, 0.0, 0.35), CosFaceHead(0.35, scale=64.0, num_identities=4)),
        ((1.5, 0.0, 0.0), SphereFaceHead(1.5, scale=64.0, num_identities=4)),
    ],
)
def test_one_margin_alone_is_the_head_of_that_name(margins, single):
    combined = with_centers(CombinedHead(*margins, num_identities=4))
    embeddings, identities = EMBEDDINGS.astype("float32"), IDENTITIES
    # ArcFace continues in another way where theta + margin is beyond pi.
    angles = np.arccos(
        np.sum(EMBEDDINGS * CENTERS[identities], axis=1)
        / np.linalg.norm(EMBEDDINGS, axis=1)
        / np.linalg.norm(CENTERS[identities], axis=1)
    )
    assert np.all(angles + 0.5 < math.pi)
    losses = [
        ops.convert_to_numpy(head.loss_and_accuracy(embeddings, identities)[0])
        for head in (combined, with_centers(single))
    ]
    np.testing.assert_allclose(*losses, rtol=1e-4)
