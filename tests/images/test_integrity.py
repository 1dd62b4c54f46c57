"""The quick check fails for exactly the images that the decoder fails for."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.damage import damaged
from tests.data.small_faces import encoded, pixels
from tests.property_tests import examples
from tfface.images.decoding import undecodable_reason
from tfface.images.integrity import check_images


def saved(mode: str, format: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(1, 24)).convert(mode).save(file, format, **options)
    return file.getvalue()


IMAGES = {
    "rgb": saved("RGB", "JPEG", quality=90),
    "grey": saved("L", "JPEG"),
    "cmyk": saved("CMYK", "JPEG"),
    "progressive": saved("RGB", "JPEG", progressive=True),
    "no subsampling": saved("RGB", "JPEG", subsampling=0),
    "png": saved("RGBA", "PNG"),
    "bmp": saved("RGB", "BMP"),
}


def test_sizes_and_reasons():
    images = [
        encoded(0, 16),
        encoded(1, 20, "PNG"),
        b"",
        encoded(2, 24)[:-50],
        encoded(3, 9, "BMP"),
    ]
    sizes, bad = check_images(images)
    assert sizes.tolist() == [[16, 16], [20, 20], [0, 0], [0, 0], [9, 9]]
    assert bad == {
        2: "the file is empty (0 bytes)",
        3: "the image data are damaged or truncated",
    }
    sizes, bad = check_images(images[:2])
    assert sizes.dtype == np.int32
    assert sizes.tolist() == [[16, 16], [20, 20]]
    assert bad == {}


@pytest.mark.parametrize("name", IMAGES)
def test_all_kinds_pass(name):
    sizes, bad = check_images([IMAGES[name]])
    assert sizes.tolist() == [[24, 24]]
    assert bad == {}


@examples(300)
@given(st.sampled_from(sorted(IMAGES)).flatmap(lambda name: damaged(IMAGES[name])))
def test_it_fails_when_the_decoder_does(image):
    decodes = undecodable_reason(image) is None
    sizes, bad = check_images([image, IMAGES["rgb"]])
    assert (0 not in bad) == decodes
    assert 1 not in bad
    assert (sizes[0] > 0).all() == decodes
