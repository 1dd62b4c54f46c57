"""Cosines with class centers, and their gradient that is written by hand."""

import numpy as np
from keras import ops

from tests.contracts.gradients import gradient
from tests.heads.reference import CENTERS, EMBEDDINGS, central_differences, unit
from tfface.heads.cosine_logits import cosines_to

UNIT = unit(EMBEDDINGS)
WEIGHTS = np.cos(np.arange(20.0)).reshape(5, 4)


def loss(embeddings, centers):
    return float(np.sum(WEIGHTS * (embeddings @ unit(centers).T)))


def test_values():
    found = cosines_to(UNIT.astype("float32"), CENTERS.astype("float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(found), UNIT @ unit(CENTERS).T, atol=1e-6)


def test_gradients():
    single = UNIT.astype("float32"), CENTERS.astype("float32")
    weights = WEIGHTS.astype("float32")
    of_embeddings = gradient(lambda x: ops.sum(weights * cosines_to(x, single[1])), single[0])
    of_centers = gradient(lambda w: ops.sum(weights * cosines_to(single[0], w)), single[1])
    np.testing.assert_allclose(
        of_embeddings, central_differences(lambda x: loss(x, CENTERS), UNIT), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        of_centers, central_differences(lambda w: loss(UNIT, w), CENTERS), rtol=1e-4, atol=1e-5
    )


def test_a_center_of_no_length():
    centers = np.zeros((2, 3), "float32")
    found = gradient(lambda x: ops.sum(cosines_to(x, centers)), UNIT.astype("float32"))
    np.testing.assert_array_equal(found, 0)
