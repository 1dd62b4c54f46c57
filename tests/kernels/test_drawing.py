"""The largest of many numbers, by whatever way, are the largest."""

import numpy as np
import pytest
from keras import ops

from tfface.kernels.drawing import places_of_largest

UNIFORM = np.random.default_rng(0).uniform(size=5000).astype("float32")
FEW_ABOVE = np.where(np.arange(5000) % 250 == 7, 2.0, UNIFORM).astype("float32")
# Of which none lies where so many of uniform numbers would.
ALL_LOW = UNIFORM / 10


@pytest.mark.parametrize("count", [1, 20, 500, 4999, 5000])
@pytest.mark.parametrize(
    "numbers", [UNIFORM, FEW_ABOVE, ALL_LOW], ids=["uniform", "few above", "all low"]
)
def test_largest(numbers, count):
    found = ops.convert_to_numpy(places_of_largest(ops.convert_to_tensor(numbers), count))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.sort(np.argsort(-numbers, kind="stable")[:count]))
