"""Passes over class centers give what plain formulas give."""

import numpy as np
import pytest
from keras import ops

from tfface.kernels.class_centers import cosine_gradient, l2_norms, top_k_positions

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(300, 16)).astype("float32")


def test_l2_norms():
    values = np.concatenate([CENTERS, np.zeros((1, 16), "float32"), CENTERS * 1e-6])
    found = ops.convert_to_numpy(l2_norms(ops.convert_to_tensor(values)))
    np.testing.assert_allclose(found, np.linalg.norm(values.astype("float64"), axis=1), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_cosine_gradient(batch_size):
    scaled = RNG.normal(size=(batch_size, 300)).astype("float32")
    embeddings = RNG.normal(size=(batch_size, 16)).astype("float32")
    cosines = RNG.uniform(-1, 1, size=(batch_size, 300)).astype("float32")
    inverse = RNG.uniform(0.5, 2, size=300).astype("float32")
    arguments = scaled, embeddings, cosines, inverse, CENTERS
    found = ops.convert_to_numpy(cosine_gradient(*map(ops.convert_to_tensor, arguments)))
    assert found.dtype == np.float32
    along = (scaled.astype("float64") * cosines).sum(axis=0) * inverse
    expected = scaled.T.astype("float64") @ embeddings - along[:, None] * CENTERS
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


UNIFORM = np.random.default_rng(0).uniform(size=5000).astype("float32")
FEW_ABOVE = np.where(np.arange(5000) % 250 == 7, 2.0, UNIFORM).astype("float32")
# None lies above the limit that the largest uniform numbers exceed.
ALL_LOW = UNIFORM / 10


@pytest.mark.parametrize("count", [1, 20, 500, 4999, 5000])
@pytest.mark.parametrize(
    "scores", [UNIFORM, FEW_ABOVE, ALL_LOW], ids=["uniform", "few above", "all low"]
)
def test_top_k_positions(scores, count):
    found = ops.convert_to_numpy(top_k_positions(ops.convert_to_tensor(scores), count))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.sort(np.argsort(-scores, kind="stable")[:count]))
