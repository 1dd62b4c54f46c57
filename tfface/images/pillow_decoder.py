"""Images of any kind, read by Pillow: upright, RGB, on white.

What TensorFlow decodes as well, and faster, `images` leaves to it.
"""

import io
import re
import struct
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tfface.errors import InputError
from tfface.file_kind import other_kind
from tfface.images import png_file, tiff_file
from tfface.images.header import (
    READ_KINDS,
    START_BYTES,
    image_kind,
    read_header,
    too_many_scans,
)

FORMATS = "JPEG, PNG, BMP, WebP, TIFF, GIF, JPEG 2000, AVIF or PPM"
HEIC_ADVICE = "install pillow-heif (pip install pillow-heif) to have it read, or convert it to JPEG"
# Not all that Pillow knows: some of the others run programs.
_PLUGINS = {"JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF", "PPM"}
_KINDS = {"WEBP": "WebP", "JPEG2000": "JPEG 2000", "HEIF": "HEIC", "MPO": "JPEG"}

# More is taken for an attack or a mistake, as by Pillow.
MOST_PIXELS = 2 * 89_478_485

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_DAMAGED = "the image data are damaged or truncated"
_UNREAD = "a {} image, which is not read here: convert it to JPEG or PNG"
# Tags of a TIFF.
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC, _DNG_VERSION = 254, 258, 262, 50706
_WHITE_IS_ZERO = 0
_32_BITS = "its pixels have 32 bits; save it with 8 or 16 bits"

# Depth and kind of a PNG in color with 16 bits.
_DEEP_COLOR = (16, 2)
_MOST_DEEP_PIXELS = 1 << 26
# Of an image, as many are made RGB at a time.
_BAND_PIXELS = 1 << 22

# Pillow itself knows double quotes only.
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>\s*)([1-8])""")
# Formats with a way of their own to say how a picture is turned, which counts.
_TURNED_OTHERWISE = {"TIFF", "HEIF", "AVIF"}
# How the pixels of a JPEG 2000 begin: the markers of their start and of their size.
_JPEG_2000_PIXELS = b"\xff\x4f\xff\x51"

# Of photos that are read all the same.
warnings.filterwarnings("ignore", module=r"PIL\b")


def read_image(encoded: bytes, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """Reads an image, turned upright as its Exif tag (or XMP) says.

    Grey, palette and CMYK become RGB; of 16 bits the upper 8 stay; what is transparent is put on
    white; color profiles are not applied. Of an animation it is the first picture.

    Args:
        encoded: the file's bytes.
        most_pixels: an image that claims more is not read.
    Returns: RGB, loaded.
    Raises InputError: it can't be read; the message says why.
    """
    header = read_header(encoded)
    if header is not None:
        check_effort(encoded, header.height, header.width, most_pixels)
    try:
        with _open(encoded) as image:
            if _is_raw(image, encoded):
                raise InputError(_UNREAD.format("raw"))
            check_effort(encoded, image.height, image.width, most_pixels)
            # Pillow makes rows that are missing black, or whatever memory held.
            if image.format == "PNG" and not png_file.has_all_pixels(encoded):
                raise InputError(_DAMAGED)
            if image.format == "TIFF" and not tiff_file.has_all_pixels(encoded, image.tag_v2):
                raise InputError(_DAMAGED)
            if image.format == "JPEG2000" and _is_deep_color(encoded):
                raise InputError("a JPEG 2000 image in color of more than 8 bits; save it with 8")
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            image = _as_rgb(image, encoded)
        return image if turn is None else image.transpose(turn)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(why_no_image(encoded)) from None
    except Image.DecompressionBombError:
        raise InputError(f"claims to have more than {MOST_PIXELS:,} pixels") from None
    # They have no words that would help.
    except (AssertionError, TypeError, LookupError, AttributeError):
        raise InputError(why_no_image(encoded)) from None
    # Damaged files make decoders raise anything.
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"the image data are damaged: {reason.splitlines()[0]}") from error


def read_opened(image: Image.Image) -> Image.Image:
    """Reads an image that Pillow has opened or made, as `read_image` reads files.

    Args:
        image: of any mode; it stays as it is.
    Returns: RGB, loaded.
    Raises InputError: it has no pixels, can't be loaded, or isn't of 8 or 16 bits.
    """
    if not image.width or not image.height:
        raise InputError(f"an image of {image.width} x {image.height} pixels")
    try:
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        upright = _opened_as_rgb(image)
    except InputError:
        raise
    # Damaged files make decoders raise anything.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"the image can't be loaded: {reason.splitlines()[0]}") from error
    return upright if turn is None else upright.transpose(turn)


def _opened_as_rgb(image: Image.Image) -> Image.Image:
    # In memory, nothing says what is white among 32 bits.
    if image.mode == "I" and image.format is None:
        raise InputError(_32_BITS)
    # Only the file's bytes say how deep a PNG is. A copy has no format, and may be changed.
    is_png = image.format == "PNG"
    return _as_rgb(image.copy() if is_png or image.mode == "RGB" else image, b"")


def check_effort(encoded: bytes, height: int, width: int, most_pixels: int) -> None:
    """Raises InputError: decoding an image would take absurdly much memory or time."""
    if height * width > most_pixels:
        raise InputError(
            f"claims to have {width:,} x {height:,} pixels; {most_pixels:,} can be read"
        )
    if scans := too_many_scans(encoded, height * width):
        raise InputError(f"a JPEG of {scans:,} scans, which only an attack has")


def read_size(encoded: bytes) -> tuple[str, int, int] | None:
    """Returns (kind, height, width) of an image as `read_image` gives it, without decoding it.

    Returns: None if it is no image, or its header is damaged.
    """
    header = read_header(encoded)
    if header is not None and header.suits_tensorflow:
        return header[:3]
    try:
        with _open(encoded) as image:
            width, height = image.size
            # Of a TIFF Pillow itself gives the size as seen.
            if image.format != "TIFF" and _orientation(image) in _ON_ITS_SIDE:
                width, height = height, width
            return _KINDS.get(image.format, image.format), height, width
    # `read_image` says what is wrong with it.
    except Exception:
        return header and header[:3]


def is_read(kind: str | None) -> bool:
    """Whether images of a kind, as `image_header.image_kind` calls it, are read here."""
    return kind in READ_KINDS or (kind == "HEIC" and reads_heic())


def reads_heic() -> bool:
    """Whether HEIC images are read: pillow-heif is installed."""
    return "HEIF" in _plugins()


def why_no_image(encoded: bytes) -> str:
    """Returns why bytes that Pillow doesn't know are no image to use, in a few words."""
    if not encoded:
        return "the file is empty (0 bytes)"
    kind = image_kind(encoded[:START_BYTES])
    if kind == "HEIC" and not reads_heic():
        return f"a HEIC image: {HEIC_ADVICE}"
    if kind in ("raw", "JPEG XL", "Photoshop"):
        return _UNREAD.format(kind)
    if kind is not None:
        return _DAMAGED
    if other := other_kind(encoded[:START_BYTES]):
        return f"not an image, but {other}"
    return f"not an image that can be read ({FORMATS})"


def _open(encoded: bytes) -> Image.Image:
    if encoded.startswith(png_file.SIGNATURE):
        chunks = png_file.read_chunks(encoded)
        if chunks is None:
            raise InputError(_DAMAGED)
        encoded = png_file.without_others(encoded, chunks)
    return Image.open(io.BytesIO(encoded), formats=_plugins())


@cache
def _plugins() -> tuple[str, ...]:
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        heif = set()
    else:
        pillow_heif.register_heif_opener()
        heif = {"HEIF"}
    # Old versions of Pillow don't know all of them.
    return tuple(sorted((_PLUGINS | heif) & set(Image.OPEN)))


def _is_raw(image: Image.Image, encoded: bytes) -> bool:
    """Whether a TIFF is a camera's raw file, whose first picture is only a preview."""
    if image.format != "TIFF":
        return False
    tags = image.tag_v2
    return encoded[8:10] == b"CR" or _DNG_VERSION in tags or bool(tags.get(_SUBFILE_TYPE, 0) & 1)


def _is_deep_color(encoded: bytes) -> bool:
    """Whether a JPEG 2000 has several channels and more than 8 bits in one of them.

    Of those Pillow makes the brightest values black: it rounds them up beyond 255.
    """
    # Behind the markers: 36 bytes, the number of channels, and three bytes for each, of which the
    # first has the number of bits less one, and a sign.
    header = encoded.partition(_JPEG_2000_PIXELS)[2][36:]
    channels = int.from_bytes(header[:2])
    return channels > 1 and any((byte & 0x7F) + 1 > 8 for byte in header[2 : 2 + 3 * channels : 3])


def _as_rgb(image: Image.Image, encoded: bytes) -> Image.Image:
    if image.format == "PNG" and "transparency" in image.info:
        depth, color = encoded[24:26]
        if (depth, color) == _DEEP_COLOR:
            return _from_transparent_deep_png(encoded)
        _scale_transparency(image, depth)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _in_bands(image, _from_16_bits(image))
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.has_transparency_data:
        # As viewers do: many programs leave the fourth byte of a BMP at zero.
        if image.format == "BMP" and image.getchannel("A").getextrema() == (0, 0):
            return image.convert("RGB")
        return _in_bands(image, _on_white)
    return image.convert("RGB")


def _in_bands(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Makes an image RGB, in place if it can be and some rows at a time: copies take gigabytes."""
    whole = image if image.mode == "RGB" else Image.new("RGB", image.size)
    height = max(_BAND_PIXELS // image.width, 1)
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        whole.paste(to_rgb(image.crop(box)), box)
    return whole


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Brings the color that a PNG says to be transparent to the range of the loaded pixels.

    Of grey with fewer than 8 bits, Pillow does so with the pixels only.
    """
    color = image.info["transparency"]
    if isinstance(color, int) and image.mode in ("1", "L"):
        most = (1 << depth) - 1
        image.info["transparency"] = (color & most) * (255 // most)


def _from_transparent_deep_png(encoded: bytes) -> Image.Image:
    """Reads a PNG in color of 16 bits of which one is transparent, on white.

    Pillow drops the lower bits, by which that color differs from its neighbors.
    """
    # Only here: all else is read without it.
    import tensorflow as tf

    # TensorFlow takes so much more memory for each.
    width, height = struct.unpack_from(">II", encoded, 16)
    check_effort(encoded, height, width, _MOST_DEEP_PIXELS)
    pixels = tf.io.decode_png(encoded, channels=4, dtype=tf.uint16).numpy()
    upper = np.empty((*pixels.shape[:2], 3), np.uint8)
    np.right_shift(pixels[..., :3], 8, out=upper, casting="unsafe")
    upper[pixels[..., 3] == 0] = 255
    return Image.fromarray(upper)


def _from_16_bits(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Returns what makes bands of a grey image RGB. Raises InputError: it has more than 16 bits."""
    tags = image.tag_v2 if image.format == "TIFF" else {}
    # However small its values: what is white among them, nothing says.
    bits = tags.get(_BITS, (16,))[0]
    if bits > 16:
        raise InputError(_32_BITS)
    # Pillow turns them over with 8 bits only.
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    # The one value that a PNG says to be transparent.
    transparent = image.info.get("transparency")

    def to_rgb(band: Image.Image) -> Image.Image:
        pixels = np.asarray(band)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise InputError(_32_BITS)
        # As Pillow itself does where there are three colors of 16 bits.
        upper = (pixels >> max(bits - 8, 0)).astype(np.uint8)
        if white_is_zero:
            upper = 255 - upper
        if transparent is not None:
            upper[pixels == transparent] = 255
        return Image.fromarray(upper).convert("RGB")

    return to_rgb


def _orientation(image: Image.Image) -> int | None:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # An unreadable tag is none: the picture itself is fine.
    except Exception:
        return None
    if orientation is not None or image.format in _TURNED_OTHERWISE:
        return orientation
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    found = _XMP_ORIENTATION.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return found and int(found[1])
