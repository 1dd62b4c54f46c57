"""Format and size of an image from its first bytes: as Pillow says, for whatever it writes."""

import io

import pytest
from PIL import Image

from tests.data.small_faces import encoded, pixels
from tfface.images.header import read_header


def written(format: str, size=(30, 20), mode="RGB", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(3)).resize(size).convert(mode).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF"])
def test_formats(format, mode):
    assert read_header(written(format, mode=mode))[:3] == (format, 20, 30)


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"comment": b"\xff\xc0 looks like a frame"},
        {"exif": b"Exif\0\0" + encoded(1, 8)},
        {"icc_profile": b"\xff\xc2" * 40_000},
    ],
    ids=lambda options: next(iter(options)),
)
def test_jpeg_segments_before_the_frame_are_passed_over(options):
    assert read_header(written("JPEG", **options))[:3] == ("JPEG", 20, 30)


def test_jpeg_fill_bytes():
    image = written("JPEG")
    assert read_header(image[:2] + b"\xff\xff\xff" + image[2:])[:3] == ("JPEG", 20, 30)


def test_bmp_whose_rows_go_down():
    image = bytearray(written("BMP"))
    image[22:26] = (-20).to_bytes(4, "little", signed=True)
    assert read_header(bytes(image))[:3] == ("BMP", 20, 30)


@pytest.mark.parametrize("width", [0, -30])
def test_an_image_without_pixels_is_none(width):
    image = bytearray(written("BMP"))
    image[18:22] = width.to_bytes(4, "little", signed=True)
    assert read_header(bytes(image)) is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF"])
def test_cut_before_the_size(format):
    assert read_header(written(format)[:9]) is None


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"no image" * 9])
def test_no_image(data):
    assert read_header(data) is None
