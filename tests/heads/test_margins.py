import math

import numpy as np
import pytest
from keras import ops

from tfface.heads.margins import adaface_margin, arcface_margin, combined_margin


def test_is_cosine_of_shifted_angle():
    theta = np.linspace(0.01, math.pi - 0.51, 50)
    shifted = ops.convert_to_numpy(arcface_margin(np.cos(theta).astype("float32"), 0.5))
    np.testing.assert_allclose(shifted, np.cos(theta + 0.5), atol=2e-6)


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.5])
def test_falls_with_the_angle_everywhere(margin):
    theta = np.linspace(0, math.pi, 2001)
    shifted = ops.convert_to_numpy(arcface_margin(np.cos(theta).astype("float32"), margin))
    assert np.all(np.diff(shifted) <= 1e-6)


@pytest.mark.parametrize(
    "margin",
    [
        lambda cosines: combined_margin(cosines, 4.0, 0.0, 0.0),
        lambda cosines: combined_margin(cosines, 1.5, 0.4, 0.1),
        lambda cosines: combined_margin(cosines, 0.9, 0.4, 0.15),
        lambda cosines: adaface_margin(cosines, 0.4, 0.0),
        lambda cosines: adaface_margin(cosines, -0.4, 0.8),
    ],
)
def test_other_margins_fall_with_the_angle_too(margin):
    theta = np.linspace(0, math.pi, 2001)
    shifted = ops.convert_to_numpy(margin(np.cos(theta).astype("float32")))
    # The arccosine of float32 is good to about 1e-3 near the ends.
    assert np.all(np.diff(shifted) <= 2e-5)


def test_a_margin_may_be_a_tensor():
    cosines = np.cos(np.linspace(0, math.pi, 50)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(arcface_margin(cosines, ops.convert_to_tensor(0.5))),
        ops.convert_to_numpy(arcface_margin(cosines, 0.5)),
        atol=1e-6,
    )


def test_no_margin_changes_nothing():
    cosines = np.linspace(-1, 1, 101).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(arcface_margin(cosines, 0.0)), cosines, atol=1e-6
    )
