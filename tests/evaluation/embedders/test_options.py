"""What users may say of a model's pixels."""

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.embedders.options import PixelInput, parse_range


@pytest.mark.parametrize(
    ("text", "at_0", "at_255"),
    [
        ("-1..1", -1, 1),
        ("0..1", 0, 1),
        ("0..255", 0, 255),
        ("-0.5 .. .5", -0.5, 0.5),
        ("(x-127.5)/128", -127.5 / 128, 127.5 / 128),
        ("(x - 127.5) / 127.5", -1, 1),
        ("(x-100)*0.5", -50, 77.5),
        ("(x+1)", 1, 256),
        ("x/255", 0, 1),
        ("x", 0, 255),
    ],
)
def test_ranges(text, at_0, at_255):
    scale, shift = parse_range(text)
    assert shift == pytest.approx(at_0)
    assert 255 * scale + shift == pytest.approx(at_255)


# What float32 doesn't hold, either.
_HUGE = ["0.." + 40 * "9", "x/" + 40 * "9", "x/" + 400 * "9", f"0..0.{40 * '0'}1"]


@pytest.mark.parametrize(
    "text", ["", "1..1", "2..1", "-1,1", "x/0", "x/-2", "(x-1", "y/2", "1e3", *_HUGE]
)
def test_what_is_no_range(text):
    with pytest.raises(InputError, match=r"expected the values of 0 and 255, as in -1\.\.1"):
        parse_range(text)


def test_apply():
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    given = PixelInput("rgb", 2.0, -1.0).apply(images)
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given, 2.0 * images - 1)
    np.testing.assert_array_equal(PixelInput("bgr", 1.0, 0.0).apply(images), images[..., ::-1])
    usual = PixelInput().apply(images)
    np.testing.assert_allclose(usual, (images - 127.5) / 128, atol=1e-6)
