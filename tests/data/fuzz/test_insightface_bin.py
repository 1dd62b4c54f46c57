"""`.bin` files that are damaged in all ways."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import encoded
from tests.property_tests import examples
from tfface.data.pairs import load_pair_set

IMAGES = [encoded(seed, 8) for seed in range(4)]
ARRAYS = [np.frombuffer(image, np.uint8) for image in IMAGES]
FILES = [
    pickle.dumps((images, [True, False]), protocol)
    for images in (IMAGES, ARRAYS)
    for protocol in (2, 4, 5)
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("bin") / "damaged.bin"


@examples(400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES).flatmap(damaged))
def test_only_input_errors(path, data):
    path.write_bytes(data)
    with only_input_errors():
        pair_set = load_pair_set(path)
        assert len(pair_set.first) == len(pair_set.second) == len(pair_set.is_genuine) > 0
        assert all(isinstance(image, bytes) for image in pair_set.images)
