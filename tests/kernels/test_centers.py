"""Passes over class centers give what the plain formulas give."""

import numpy as np
import pytest
from keras import ops

from tfface.kernels import centers

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(300, 16)).astype("float32")


def test_lengths():
    values = np.concatenate([CENTERS, np.zeros((1, 16), "float32"), CENTERS * 1e-6])
    found = ops.convert_to_numpy(centers.lengths(ops.convert_to_tensor(values)))
    np.testing.assert_allclose(found, np.linalg.norm(values.astype("float64"), axis=1), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_gradient(batch_size):
    scaled = RNG.normal(size=(batch_size, 300)).astype("float32")
    embeddings = RNG.normal(size=(batch_size, 16)).astype("float32")
    cosines = RNG.uniform(-1, 1, size=(batch_size, 300)).astype("float32")
    inverse = RNG.uniform(0.5, 2, size=300).astype("float32")
    arguments = scaled, embeddings, cosines, inverse, CENTERS
    found = ops.convert_to_numpy(centers.gradient(*map(ops.convert_to_tensor, arguments)))
    assert found.dtype == np.float32
    along = (scaled.astype("float64") * cosines).sum(axis=0) * inverse
    wanted = scaled.T.astype("float64") @ embeddings - along[:, None] * CENTERS
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
