"""What a PNG file is made of, and whether all of it is there.

Decoders differ in what they overlook: a missing end, checksums, too few pixels. Here none of it is
overlooked, so that a file is either the same picture to every decoder or damaged to all of them.
(What is not made by accident may still be refused by one alone: damage behind the last pixel, in a
chunk whose checksum is right all the same.)
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Those that must be understood. Of others the fifth bit of the first letter says that they need
# not be.
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_NEED_NOT = 0x20
# What makes a picture more than pixels: transparency, a turn, an animation.
_EXTRAS = frozenset({b"tRNS", b"eXIf", b"acTL"})
_TEXTS = frozenset({b"iTXt", b"tEXt", b"zTXt"})
# Texts that may tell of a turn: XMP, and Exif as ImageMagick writes it.
_METADATA = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
# Width, height, depth, kind of color, compression, filters, whether it is interlaced.
_HEADER = struct.Struct(">IIBBBBB")
_PALETTE = 3
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# The passes of an interlaced image: first column and row, distances to the next.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
# Compressed data are taken in pieces, and come out in blocks, so that none is copied often.
_PIECE_BYTES, _BLOCK_BYTES = 1 << 16, 1 << 20
# Chunks take memory, and the smallest little of a file.
_MOST_CHUNKS = 1 << 18


class Chunk(NamedTuple):
    """A part of a PNG: its kind, and where its content lies in the file."""

    kind: bytes
    start: int
    stop: int


def read_chunks(encoded: bytes) -> list[Chunk] | None:
    """Returns the chunks of a PNG, from header to end; None if it is damaged.

    It is if a chunk is cut short, or one that must be understood has a wrong checksum or isn't
    known; if the first is no header, if pixels are missing or lie apart, if there is no palette
    where there should be, or no end (within 262,144 chunks). Other chunks with wrong checksums are
    as if they weren't there.

    Args:
        encoded: the bytes of a PNG file.
    """
    chunks = list(itertools.islice(_chunks(encoded), _MOST_CHUNKS))
    kinds = [chunk.kind for chunk in chunks]
    if not kinds or kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or kinds[-1] != b"IEND":
        return None
    if chunks[0].stop - chunks[0].start != _HEADER.size or not _is_known(encoded):
        return None
    pixels = [place for place, kind in enumerate(kinds) if kind == b"IDAT"]
    if not pixels or pixels[-1] - pixels[0] != len(pixels) - 1:
        return None
    if encoded[25] == _PALETTE:
        sizes = [c.stop - c.start for c in chunks[: pixels[0]] if c.kind == b"PLTE"]
        if len(sizes) != 1 or sizes[0] not in range(3, 3 * 256 + 1, 3):
            return None
    return chunks


def _is_known(encoded: bytes) -> bool:
    """Whether there are PNGs of the kinds of pixels, compression and order that a header says."""
    _, _, depth, color, compression, filtering, interlaced = _HEADER.unpack_from(encoded, 16)
    return depth in _DEPTHS.get(color, ()) and not compression and not filtering and interlaced < 2


def changes_pixels(encoded: bytes, chunk: Chunk) -> bool:
    """Whether a chunk makes a picture more than its pixels: transparent, turned, animated.

    Args:
        encoded: the bytes of a PNG file.
        chunk: one of its chunks.
    """
    return chunk.kind in _EXTRAS or (
        chunk.kind in _TEXTS and encoded.startswith(_METADATA, chunk.start)
    )


def without_others(encoded: bytes, chunks: Sequence[Chunk]) -> bytes:
    """Returns a PNG of those chunks only that change what is seen.

    Pillow refuses images for what is wrong in the others, which most viewers pass over.

    Args:
        encoded: the bytes of a PNG file.
        chunks: as `read_chunks` returns them.
    """
    kept = (c for c in chunks if c.kind in _CRITICAL or changes_pixels(encoded, c))
    # With the length and the kind before the content, and the checksum behind it.
    return SIGNATURE + b"".join(encoded[c.start - 8 : c.stop + 4] for c in kept)


def has_all_pixels(encoded: bytes) -> bool:
    """Whether the compressed data of a PNG hold as many bytes as its header says there are pixels.

    The file is one of `read_chunks`. Takes about half of the time of decoding, and little memory.

    Args:
        encoded: the bytes of a PNG file.
    """
    width, height, depth, color, _, _, interlaced = _HEADER.unpack_from(encoded, 16)
    bits = depth * _CHANNELS[color]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    needed = 0
    for left, top, across, down in passes:
        # Of a pass without columns there are no rows either.
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            needed += rows * (1 + -(-columns * bits // 8))
    # What is too much is nothing to decoders.
    return _inflates_to(_pixel_data(encoded), needed)


def _chunks(encoded: bytes) -> Iterator[Chunk]:
    """Yields chunks up to the end, or up to the first that is damaged."""
    place = len(SIGNATURE)
    view = memoryview(encoded)
    while place + 12 <= len(encoded):
        length, kind = struct.unpack_from(">I4s", encoded, place)
        start, stop = place + 8, place + 8 + length
        if stop + 4 > len(encoded) or not kind.isalpha():
            return
        if not kind[0] & _NEED_NOT and kind not in _CRITICAL:
            return
        checksum = struct.unpack_from(">I", encoded, stop)[0]
        if zlib.crc32(view[place + 4 : stop]) == checksum:
            yield Chunk(kind, start, stop)
        elif kind in _CRITICAL:
            return
        if kind == b"IEND":
            return
        place = stop + 4


def _pixel_data(encoded: bytes) -> Iterator[memoryview]:
    view = memoryview(encoded)
    for chunk in _chunks(encoded):
        if chunk.kind == b"IDAT":
            for place in range(chunk.start, chunk.stop, _PIECE_BYTES):
                yield view[place : min(place + _PIECE_BYTES, chunk.stop)]


def _inflates_to(pieces: Iterable[memoryview], needed: int) -> bool:
    """Whether compressed data are that many bytes with a sound end, or more with any."""
    inflater = zlib.decompressobj()
    for piece in itertools.chain(pieces, (b"",)):
        data = piece
        while not inflater.eof:
            try:
                found = len(inflater.decompress(data, min(needed + 1, _BLOCK_BYTES)))
            except zlib.error:
                return False
            needed -= found
            if needed < 0:
                return True
            data = inflater.unconsumed_tail
            # What it holds back comes with the next piece, or behind the last.
            if not data and (piece or not found):
                break
    return inflater.eof and needed == 0
