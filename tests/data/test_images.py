"""The decoder, against Pillow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.small_faces import encoded, pixels
from tfface.data.images import decode, decode_batches, undecodable_reason
from tfface.errors import InputError

KINDS = [
    *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "L")),
    *(("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("BMP", "RGB"), ("BMP", "L"), ("BMP", "P")),
    *(("BMP", "RGBA"),),
]


def pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(("format", "mode"), KINDS)
def test_pixels_are_those_of_pillow(format, mode):
    data = encoded(1, 23, format, mode)
    np.testing.assert_array_equal(decode(tf.constant(data), 23, 23), pillow(data))


def test_in_tf_data_as_eagerly():
    data = [encoded(i, 16 + i, format) for i, format in enumerate(("JPEG", "PNG", "BMP"))]
    dataset = tf.data.Dataset.from_tensor_slices(data).map(lambda image: decode(image, 16, 17))
    assert dataset.element_spec == tf.TensorSpec((16, 17, 3), tf.uint8)
    for image, found in zip(data, dataset, strict=True):
        np.testing.assert_array_equal(found, decode(tf.constant(image), 16, 17))


def test_resize_is_pillows_antialiased_bilinear():
    data = encoded(2, 61, "PNG")
    expected = Image.fromarray(pillow(data)).resize((20, 30), Image.Resampling.BILINEAR)
    found = decode(tf.constant(data), 30, 20).numpy().astype(int)
    assert np.abs(found - np.asarray(expected)).max() <= 1


def test_batches_keep_order_and_remainder():
    images = [encoded(i, 8, "PNG") for i in range(11)]
    batches = list(decode_batches(images, [str(i) for i in range(11)], (8, 8), 4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(batches), [pixels(i, 8) for i in range(11)])
    assert batches[0].dtype == np.uint8


def test_no_images_give_no_batches():
    assert list(decode_batches([], [], (8, 8), 4)) == []


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"hello", r"not an image that can be read \(JPEG, PNG or BMP\)"),
        (encoded(0, 64)[:-300], "the image data are damaged or truncated"),
        (encoded(0, 64, "PNG")[:-300], "the image data are damaged or truncated"),
        (encoded(0, 64, "BMP")[:-300], "a damaged BMP, or one that has not 8, 24 or 32"),
        (encoded(0, 64, "BMP", "1"), "a damaged BMP, or one that has not 8, 24 or 32"),
    ],
)
def test_an_undecodable_image_is_named(damaged, reason):
    images = [*(encoded(i, 8) for i in range(5)), damaged, encoded(7, 8)]
    with pytest.raises(InputError, match=f"^face 5: {reason}"):
        list(decode_batches(images, [f"face {i}" for i in range(7)], (8, 8), 4))


def test_a_good_image_has_no_reason():
    assert undecodable_reason(encoded(0)) is None


def test_as_many_names_as_images():
    with pytest.raises(InputError, match="2 images but 1 names were given"):
        list(decode_batches([b"", b""], ["a"], (8, 8), 4))


def test_a_short_bmp_is_an_error_like_others():
    for image in (b"BM", b"BM\xf6", b"BM" + bytes(range(60))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(image), 8, 8)
        assert undecodable_reason(image).startswith("a damaged BMP")
