"""Whether a TIFF has all of its pixels."""

from collections.abc import Mapping
from typing import Any

_WIDTH, _HEIGHT, _COMPRESSION, _SAMPLES, _PLANES = 256, 257, 259, 277, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_PLANE_FOR_EACH_SAMPLE = 2
_JPEG = 7
_END_OF_JPEG = b"\xff\xd9"


def has_all_pixels(encoded: bytes, tags: Mapping[int, Any]) -> bool:
    """Whether a TIFF says where all of its strips or tiles are, and JPEGs in it have an end.

    Decoders leave the missing pixels black or grey.

    Args:
        encoded: the file's bytes.
        tags: number -> value, as Pillow's `tag_v2`.
    """
    width, height = tags[_WIDTH], tags[_HEIGHT]
    if _TILE_OFFSETS in tags:
        offsets, sizes = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES)
        num_parts = _parts(width, tags[_TILE_WIDTH]) * _parts(height, tags[_TILE_HEIGHT])
    elif _STRIP_OFFSETS in tags:
        offsets, sizes = tags[_STRIP_OFFSETS], tags.get(_STRIP_BYTES)
        num_parts = _parts(height, tags.get(_ROWS_PER_STRIP, height))
    else:
        # Other ways to store pixels are for the decoder to judge.
        return True
    if tags.get(_PLANES) == _PLANE_FOR_EACH_SAMPLE:
        num_parts *= tags.get(_SAMPLES, 1)
    # Zeros stand for parts that were never written.
    for values in (offsets, sizes):
        if values is not None and not (len(values) >= num_parts and all(values[:num_parts])):
            return False
    if tags.get(_COMPRESSION) != _JPEG or sizes is None:
        return True
    parts = list(zip(offsets, sizes, strict=False))[:num_parts]
    # Parts may be filled up with zeros.
    return all(
        encoded[offset : offset + size].rstrip(b"\0").endswith(_END_OF_JPEG)
        for offset, size in parts
    )


def _parts(length: int, step: int) -> int:
    """Returns how many parts there are; of a step that makes no sense, one for each pixel."""
    return -(-length // max(min(step, length), 1))
