"""Images that can't be decoded are found, and no others."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.damage import damaged
from tests.data.small_faces import encoded, pixels
from tests.property_tests import examples
from tfface.errors import InputError
from tfface.images.decoding import undecodable_reason
from tfface.images.pillow_decoder import FORMATS
from tfface.images.validation import check_images, find_undecodable_images


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


class Images(list):
    """Images of which some can't be read."""

    def __getitem__(self, index):
        image = super().__getitem__(index)
        if image is None:
            raise InputError(f"folder/{index}.jpg: can't be read: gone")
        return image


def names(images):
    return [f"image {number}" for number in range(len(images))]


@pytest.mark.parametrize("num_images", [0, 1, 150])
def test_good_images(num_images):
    images = [encoded(seed, 16) for seed in range(num_images)]
    assert find_undecodable_images(images, names(images)) == []


def test_all_that_fail_are_named():
    images = Images(encoded(seed, 16) for seed in range(150))
    images[3] = b""
    images[70] = b"hello"
    images[71] = None
    images[149] = encoded(0, 64)[:-300]
    assert sorted(find_undecodable_images(images, names(images))) == [
        ("folder/71.jpg", "can't be read: gone"),
        ("image 149", "the image data are damaged or truncated"),
        ("image 3", "the file is empty (0 bytes)"),
        ("image 70", f"not an image that can be read ({FORMATS})"),
    ]
