import math

import numpy as np
from keras import ops

from tests.heads.reference import CENTERS, EMBEDDINGS, check, cross_entropy, unit, with_centers
from tfface.heads.subcenter_arcface import SubcenterArcFaceHead


def make() -> SubcenterArcFaceHead:
    return with_centers(SubcenterArcFaceHead(scale=8.0, num_centers=2, num_identities=2))


def test_golden_loss_and_gradient():
    """Four centers, the first two of identity 0: the nearest of each counts."""

    def loss(cosines, identity, *_):
        nearest = np.array([max(cosines[0], cosines[1]), max(cosines[2], cosines[3])])
        nearest[identity] = math.cos(math.acos(nearest[identity]) + 0.5)
        return cross_entropy(8.0 * nearest, identity)

    check(make(), loss, identities=np.array([0, 1, 0, 1, 1], "int32"))


def test_logits_are_of_identities():
    logits = ops.convert_to_numpy(make().logits(EMBEDDINGS.astype("float32")))
    cosines = unit(EMBEDDINGS) @ unit(CENTERS).T
    expected = np.stack([cosines[:, :2].max(axis=1), cosines[:, 2:].max(axis=1)], axis=1)
    np.testing.assert_allclose(logits, 8.0 * expected, rtol=1e-5)
