"""Finding the images that can't be decoded."""

import pytest

from tests.data.small_faces import encoded
from tfface.errors import InputError
from tfface.images.pillow_decoder import FORMATS
from tfface.images.undecodable import find_undecodable_images


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
