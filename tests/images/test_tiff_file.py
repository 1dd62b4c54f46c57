"""TIFFs that lack pixels."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tests.data.small_faces import pixels
from tfface.images.decoding import decode_picture, undecodable_reason
from tfface.images.tiff_file import has_all_pixels

OFFSETS, ROWS, SIZES = 273, 278, 279
COMPRESSIONS = ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]


def tiff(monkeypatch, compression: str | None) -> bytes:
    """64 x 64 pixels, in several strips where it is compressed."""
    monkeypatch.setattr(TiffImagePlugin, "STRIP_SIZE", 2048)
    buffer = io.BytesIO()
    Image.fromarray(pixels(0, 64)).save(buffer, "TIFF", compression=compression)
    return buffer.getvalue()


def edited(data: bytes, tag: int, edit: Callable[[bytearray, int], None]) -> bytes:
    """The same file after `edit(bytes, place of the tag's entry)`."""
    data = bytearray(data)
    start = struct.unpack_from("<I", data, 4)[0]
    for place in range(start + 2, start + 2 + 12 * data[start], 12):
        if struct.unpack_from("<H", data, place)[0] == tag:
            edit(data, place)
            return bytes(data)
    raise AssertionError(f"no tag {tag}")


def halve_count(data: bytearray, place: int) -> None:
    count = struct.unpack_from("<I", data, place + 4)[0]
    struct.pack_into("<I", data, place + 4, count // 2)


def change_last(change: Callable[[int], int]) -> Callable[[bytearray, int], None]:
    def edit(data: bytearray, place: int) -> None:
        kind, count, value = struct.unpack_from("<HII", data, place + 2)
        format = {3: "<H", 4: "<I"}[kind]
        size = struct.calcsize(format)
        last = (value if size * count > 4 else place + 8) + size * (count - 1)
        struct.pack_into(format, data, last, change(struct.unpack_from(format, data, last)[0]))

    return edit


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
def test_whole_files_are_read(monkeypatch, compression):
    found = decode_picture(tiff(monkeypatch, compression))
    difference = np.abs(found.astype(int) - pixels(0, 64)).mean()
    assert difference == 0 if compression != "jpeg" else difference < 10


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("tags", [(OFFSETS,), (SIZES,), (OFFSETS, SIZES)], ids=str)
def test_too_few_strips_are_damage(monkeypatch, compression, tags):
    data = tiff(monkeypatch, compression)
    for tag in tags:
        data = edited(data, tag, halve_count)
    assert undecodable_reason(data) == "the image data are damaged or truncated"


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
@pytest.mark.parametrize("tag", [OFFSETS, SIZES])
def test_a_strip_that_was_never_written_is_damage(monkeypatch, compression, tag):
    data = edited(tiff(monkeypatch, compression), tag, change_last(lambda value: 0))
    assert undecodable_reason(data) == "the image data are damaged or truncated"


def test_too_few_strips_without_compression_are_damage(monkeypatch):
    data = tiff(monkeypatch, None)
    assert undecodable_reason(edited(data, ROWS, change_last(lambda rows: rows // 2)))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_short_strip_is_damage(monkeypatch, compression):
    data = edited(tiff(monkeypatch, compression), SIZES, change_last(lambda size: size // 2))
    assert undecodable_reason(data).startswith("the image data are damaged")


def test_damage_is_not_told_in_words_of_python(monkeypatch):
    def of_text(data: bytearray, place: int) -> None:
        struct.pack_into("<H", data, place + 2, 2)

    data = edited(tiff(monkeypatch, None), OFFSETS, of_text)
    assert undecodable_reason(data) == "the image data are damaged or truncated"


def test_tiles_and_planes():
    tags = {256: 100, 257: 50, 322: 32, 323: 32, 324: (8,) * 8, 325: (9,) * 8}
    assert has_all_pixels(b"", tags)
    assert not has_all_pixels(b"", tags | {324: (8,) * 7})
    planes = {284: 2, 277: 3}
    assert not has_all_pixels(b"", tags | planes)
    assert has_all_pixels(b"", tags | planes | {324: (8,) * 24, 325: (9,) * 24})
    assert not has_all_pixels(b"", tags | {322: 0})
