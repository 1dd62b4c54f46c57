import math

import numpy as np
import pytest

from tests.heads.reference import EMBEDDINGS, check, cross_entropy, with_centers
from tfface.errors import InputError
from tfface.heads.magface import MagFaceHead


def test_golden_loss_and_gradient():
    """The paper's formula; lengths lie below, between and beyond the two that clip them."""

    def loss(cosines, identity, length, _):
        a = np.clip(length, 10, 35)
        margin = 0.45 + (0.8 - 0.45) / (35 - 10) * (a - 10)
        cosines[identity] = math.cos(math.acos(cosines[identity]) + margin)
        return cross_entropy(8.0 * cosines, identity) + 20 * (1 / a + a / 35**2)

    lengths = np.linalg.norm(EMBEDDINGS, axis=1)
    assert np.any(lengths < 10)
    assert np.any(lengths > 35)
    assert np.any((lengths > 10) & (lengths < 35))
    head = MagFaceHead(upper_length=35.0, regulariser=20.0, scale=8.0, num_identities=4)
    check(with_centers(head), loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lower_margin": 0.9}, r"lower_margin 0\.9 is above its upper_margin 0\.8"),
        ({"upper_length": 10.0}, "lower_length 10 is not below its upper_length 10"),
    ],
)
def test_options_out_of_order(options, message):
    with pytest.raises(InputError, match=message):
        MagFaceHead(num_identities=4, **options)
