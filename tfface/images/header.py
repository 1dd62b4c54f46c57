"""What the bytes of an image file say before it is decoded: its kind, its size, who decodes it."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tfface.images.png_file import SIGNATURE, changes_pixels, read_chunks

# More than this many scans times pixels is no picture but an attack: each scan of a progressive
# JPEG takes the time of a pass over all pixels. Encoders write 10 scans, or some more.
_MOST_SCANNED = 1 << 31
# Even the smallest image may have so many scans that it counts as this large.
_LEAST_SCANNED = 1 << 16
# What a scan takes of the file: its marker, and its header of one component.
_LEAST_SCAN_BYTES = 10

# Markers of a JPEG file that begin a frame, and so give its size: SOF0 to SOF15 but for DHT, JPG
# and DAC, whose numbers lie among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive with Huffman codes: what TensorFlow decodes as Pillow does.
_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_SCAN = 0xDA
# Markers without a length: TEM and the restarts.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# Beginnings of segments that may say how a picture is turned; how the tag for that is spelled in
# them (Exif in either byte order, XMP), and how it is when the picture is upright.
_METADATA = (b"Exif\0\0", b"http://ns.adobe.com/xap")
_TURNS = (
    (b"\x01\x12", (b"\x01\x12\0\x03\0\0\0\x01\0\x01",)),
    (b"\x12\x01", (b"\x12\x01\x03\0\x01\0\0\0\x01\0",)),
    (
        b"tiff:Orientation",
        (b'tiff:Orientation="1"', b"tiff:Orientation='1'", b"tiff:Orientation>1<"),
    ),
)
_OS2_HEADER_BYTES = 12

# How files begin, and what they are: of images that are read, ...
_BEGINNINGS = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    # ... and of those that are not.
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIU\0", "raw"),
    (b"FOVb", "raw"),
)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1", b"mif2"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "raw",
}
READ_KINDS = frozenset({"JPEG", "PNG", "BMP", "GIF", "TIFF", "JPEG 2000", "WebP", "AVIF", "PPM"})
EXTENSIONS_OF_KINDS = {
    **{"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "GIF": ".gif", "TIFF": ".tif"},
    **{"JPEG 2000": ".jp2", "WebP": ".webp", "AVIF": ".avif", "PPM": ".ppm", "HEIC": ".heic"},
}
# As many bytes suffice for `image_kind`.
START_BYTES = 64


def image_kind(start: bytes) -> str | None:
    """Returns what kind of image the first `START_BYTES` bytes of a file begin; None if no image.

    Args:
        start: the first bytes of a file.

    Returns: one of `READ_KINDS`, or HEIC, JPEG XL, Photoshop or raw, which are images as well.
    """
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            # A text may begin like a BMP: the four bytes behind its size are zero.
            return None if kind == "BMP" and start[6:10] != b"\0\0\0\0" else kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[4:8] == b"ftyp":
        # Some name the format itself only among the compatible ones.
        brands = [start[8:12], *(start[place : place + 4] for place in range(16, 64, 4))]
        kinds = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in kinds else next(iter(kinds), None)
    if len(start) > 2 and start[0] == ord("P") and start[1] in b"123456" and start[2] in b" \t\r\n":
        return "PPM"
    return None


class Header(NamedTuple):
    """What an image file says of itself.

    Attributes:
        format: JPEG, PNG, BMP or GIF.
        height, width: as stored, which is not as seen where a picture is stored turned.
        suits_tensorflow: that TensorFlow's decoder gives the pixels that Pillow gives.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> Image.new("RGB", (4, 3)).save(file := io.BytesIO(), "BMP")
        >>> read_header(file.getvalue())[:3]
        ('BMP', 3, 4)
    """

    format: str
    height: int
    width: int
    suits_tensorflow: bool


def read_header(encoded: bytes) -> Header | None:
    """Reads the header of a JPEG, PNG, BMP or GIF image; None for anything else.

    About a hundredth of the time of decoding. That the header is sound does not mean that the
    pixels behind it are.

    Args:
        encoded: the bytes of an image file.
    """
    try:
        header = _read(encoded)
    except (struct.error, IndexError):
        # It ends before its size.
        return None
    # Without pixels, or with less than none, it is no image.
    return header if header is not None and min(header.height, header.width) > 0 else None


def too_many_scans(encoded: bytes, num_pixels: int) -> int:
    """Returns how many scans a JPEG has if it takes too long to decode for that, else 0.

    Args:
        encoded: the bytes of an image file.
        num_pixels: height times width.
    """
    most = _MOST_SCANNED // max(num_pixels, _LEAST_SCANNED)
    # Small files are not even looked through.
    if len(encoded) <= most * _LEAST_SCAN_BYTES or not encoded.startswith(b"\xff\xd8"):
        return 0
    # In compressed data the two bytes never follow each other.
    scans = encoded.count(b"\xff\xda")
    return scans if scans > most else 0


def _read(encoded: bytes) -> Header | None:
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg(encoded)
    if encoded.startswith(SIGNATURE):
        width, height = struct.unpack_from(">II", encoded, 16)
        return Header("PNG", height, width, _png_suits(encoded))
    if encoded.startswith(b"BM"):
        if struct.unpack_from("<I", encoded, 14)[0] == _OS2_HEADER_BYTES:
            width, height = struct.unpack_from("<HH", encoded, 18)
            return Header("BMP", height, width, False)
        # Rows that go down and not up are told by a negative height.
        width, height = struct.unpack_from("<ii", encoded, 18)
        depth, compression = struct.unpack_from("<HI", encoded, 28)
        return Header("BMP", abs(height), width, (depth, compression) == (24, 0) and height > 0)
    if encoded.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", encoded, 6)
        return Header("GIF", height, width, False)
    return None


def _jpeg(encoded: bytes) -> Header | None:
    frame, suits = None, True
    for marker, place, length in _segments(encoded):
        if marker in _FRAMES and frame is None:
            height, width, components = struct.unpack_from(">HHB", encoded, place + 3)
            frame = height, width
            suits &= marker in _USUAL_FRAMES and components in (1, 3)
        elif 0xE1 <= marker <= 0xEF and encoded.startswith(_METADATA, place + 2):
            suits &= _is_upright(encoded[place : place + length])
    return frame and Header("JPEG", *frame, suits)


def _segments(encoded: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields (marker, place of its length, length) up to the first scan of a JPEG."""
    place = 2
    while True:
        # Between segments there may be fill bytes, and decoders pass over anything else as well.
        place = encoded.find(b"\xff", place)
        if place < 0 or place + 3 >= len(encoded):
            return
        marker = encoded[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _BARE or marker == 0x00:
            place += 2
        elif marker == _SCAN:
            return
        else:
            length = struct.unpack_from(">H", encoded, place + 2)[0]
            yield marker, place + 2, length
            place += 2 + length


def _is_upright(metadata: bytes) -> bool:
    """Whether Exif or XMP surely turns no picture: each tag for it says that it is upright."""
    return all(metadata.count(tag) == sum(map(metadata.count, upright)) for tag, upright in _TURNS)


def _png_suits(encoded: bytes) -> bool:
    depth, color = encoded[24], encoded[25]
    if depth > 8 or color not in (0, 2, 3):
        return False
    chunks = read_chunks(encoded)
    # A turn may stand behind the pixels.
    return chunks is not None and not any(changes_pixels(encoded, chunk) for chunk in chunks)
