"""Images that are damaged in all ways."""

import re

import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import encoded
from tests.property_tests import examples
from tfface.errors import InputError
from tfface.images.decoding import decode, decode_batches, undecodable_reason

FILES = [
    encoded(0, 32),
    encoded(1, 32, mode="L"),
    encoded(2, 32, "PNG"),
    encoded(3, 32, "PNG", "P"),
    encoded(4, 32, "PNG", "RGBA"),
    encoded(5, 32, "BMP"),
    encoded(6, 32, "BMP", "P"),
    encoded(7, 32, "BMP", "RGBA"),
    encoded(8, 32, "GIF", "P"),
]
damaged_images = st.sampled_from(FILES).flatmap(damaged) | st.binary(max_size=100)


@examples(400)
@given(damaged_images)
@example(b"\x89PNG")
@example(b"\xff\xd8\xff\xc0\x00")
@example(b"BM\xbe")
def test_an_image_or_a_reason(data):
    with only_input_errors():
        if undecodable_reason(data) is None:
            # Damage may leave an image an image.
            assert decode(tf.constant(data), 8, 8).shape == (8, 8, 3)


@examples(40)
@given(st.lists(damaged_images | st.sampled_from(FILES[:8]), min_size=1, max_size=6))
def test_batches_or_the_first_that_fails(images):
    reasons = [undecodable_reason(image) for image in images]
    first = next((number for number, reason in enumerate(reasons) if reason), None)
    names = [f"image {number}" for number in range(len(images))]
    with only_input_errors():
        if first is None:
            [batch] = decode_batches(images, names, (8, 8), 6)
            assert batch.shape == (len(images), 8, 8, 3)
        else:
            message = f"^image {first}: {re.escape(reasons[first])}$"
            with pytest.raises(InputError, match=message):
                list(decode_batches(images, names, (8, 8), 6))
