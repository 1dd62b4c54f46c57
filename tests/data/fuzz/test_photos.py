"""Damaged photos are read as far as they go or refused in one line, and never use much memory."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import pixels
from tests.property_tests import examples
from tfface.alignment.photos import count_pixels, read_photo


def whole(format: str) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(0, 40)).save(file, format, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@examples(40)
@given(data=st.data())
def test_damaged_photos(tmp_path_factory, format, data):
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    path.write_bytes(data.draw(damaged(whole(format))))
    with only_input_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count_pixels(path)
        photo = read_photo(path)
        assert photo.mode == "RGB"
