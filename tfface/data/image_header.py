"""What the first bytes of an image file say: format and size, without decoding it."""

import struct

# Markers of a JPEG file that begin a frame, and so give its size: SOF0 to SOF15 but for DHT, JPG
# and DAC, whose numbers lie among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length: TEM and the restarts.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})


def read_header(encoded: bytes) -> tuple[str, int, int] | None:
    """Returns (format, height, width) of a JPEG, PNG, BMP or GIF image; None for anything else.

    About a hundredth of the time of decoding. That the header is sound does not mean that the
    pixels behind it are.
    """
    try:
        header = _read(encoded)
    except struct.error:
        # It ends before its size.
        return None
    # Without pixels, or with less than none, it is no image.
    return header if header is not None and min(header[1:]) > 0 else None


def _read(encoded: bytes) -> tuple[str, int, int] | None:
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg(encoded)
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", encoded, 16)
        return "PNG", height, width
    if encoded.startswith(b"BM"):
        # Rows that go down and not up are told by a negative height.
        width, height = struct.unpack_from("<ii", encoded, 18)
        return "BMP", abs(height), width
    if encoded.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", encoded, 6)
        return "GIF", height, width
    return None


def _jpeg(encoded: bytes) -> tuple[str, int, int] | None:
    place = 2
    while True:
        # Between segments there may be fill bytes, and decoders pass over anything else as well.
        place = encoded.find(b"\xff", place)
        if place < 0 or place + 1 >= len(encoded):
            return None
        marker = encoded[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", encoded, place + 5)
            return "JPEG", height, width
        if marker == 0xFF:
            place += 1
        elif marker in _BARE or marker == 0x00:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", encoded, place + 2)[0]
