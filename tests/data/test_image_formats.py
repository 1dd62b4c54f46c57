"""One decoder: whatever the format, every path sees the pixels that a viewer shows."""

import io
import re
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.data.small_faces import encoded, pixels
from tfface.alignment.photos import read_photo
from tfface.errors import InputError
from tfface.images import pillow_decoder
from tfface.images.decoding import (
    decode,
    decode_all,
    decode_batches,
    decode_picture,
    undecodable_reason,
)
from tfface.images.header import read_header
from tfface.images.integrity import check_images
from tfface.images.pillow_decoder import read_size
from tfface.images.reencoding import reencoder

HEIGHT, WIDTH = 24, 40
PHOTO = Image.fromarray(pixels(5, WIDTH)[:HEIGHT])
ALPHA = Image.fromarray(np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1)))
# Of 16 bits: the photo and its alpha, each with a lower half of its own.
DEEP = np.dstack([np.asarray(PHOTO), np.asarray(ALPHA)]).astype(np.uint16) * 256 + 177


def saved(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(format: str, orientation: int, image: Image.Image = PHOTO, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, format, exif=exif, **options)


def with_alpha(mode: str = "RGBA") -> Image.Image:
    image = PHOTO.convert(mode.removesuffix("A") if mode == "LA" else "RGB")
    image.putalpha(ALPHA)
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk, behind its header."""
    start = len(b"\x89PNG\r\n\x1a\n") + len(chunk(b"IHDR", bytes(13)))
    return png[:start] + chunk(kind, data) + png[start:]


def png16(channels: int) -> bytes:
    """A PNG of 16 bits, which Pillow writes in grey only."""
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = DEEP[:, :, :channels].astype(">u2").reshape(HEIGHT, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, color, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def exif_as_text(kind: bytes) -> bytes:
    """A PNG that lies on its side as ImageMagick says it: Exif in hexadecimal digits."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes()
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    content = {
        b"tEXt": b"\0" + text,
        b"zTXt": b"\0\0" + zlib.compress(text),
        b"iTXt": b"\0\0\0\0\0" + text,
    }[kind]
    return with_chunk(saved(PHOTO, "PNG"), kind, b"Raw profile type exif" + content)


def os2_bmp() -> bytes:
    """A BMP of the oldest kind, whose header has 12 bytes and a size of 16 bits."""
    data = np.asarray(PHOTO)[::-1, :, ::-1].tobytes()
    header = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    return b"BM" + struct.pack("<IHHI", 26 + len(data), 0, 0, 26) + header + data


def retagged(tiff: bytes, tag: int, old: int, new: int) -> bytes:
    """A TIFF with another value of a tag."""
    entry = struct.pack("<HHI", tag, 3, 1)
    assert tiff.count(entry + struct.pack("<H", old)) == 1
    return tiff.replace(entry + struct.pack("<H", old), entry + struct.pack("<H", new))


def xmp(text: str) -> bytes:
    body = b"http://ns.adobe.com/xap/1.0/\0" + f"<x tiff:Orientation{text}/>".encode()
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return encoded(4, 24)[:2] + segment + encoded(4, 24)[2:]


def exif_behind_the_tables() -> bytes:
    """As no program writes it, and Pillow reads it."""
    image = turned("JPEG", 6)
    start = image.index(b"\xff\xe1")
    stop = start + 2 + struct.unpack_from(">H", image, start + 2)[0]
    rest = image[:start] + image[stop:]
    scan = rest.index(b"\xff\xda")
    return rest[:scan] + image[start:stop] + rest[scan:]


def bit_field_bmp(masks: tuple[int, ...], image: Image.Image = PHOTO) -> bytes:
    """A 32-bit BMP that says itself where its colors lie, as GIMP writes it."""
    shifts = [(mask & -mask).bit_length() - 1 for mask in masks]
    channels = np.asarray(image.convert("RGBA")).astype(np.uint32)[::-1]
    data = sum(channels[..., i] << shift for i, shift in enumerate(shifts)).astype("<u4").tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, WIDTH, HEIGHT, 1, 32, 3, len(data), 1, 1, 0, 0)
    header += struct.pack("<4I", *masks) + b"\0" * (124 - len(header) - 16)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(data), 0, 0, 14 + 124) + header + data


def animation(format: str) -> bytes:
    frames = [Image.fromarray(pixels(seed, WIDTH)[:HEIGHT]) for seed in (7, 8)]
    options = {"lossless": True} if format == "WEBP" else {}
    return saved(frames[0], format, save_all=True, append_images=frames[1:], **options)


PALETTE = PHOTO.quantize(16)
IMAGES = {
    "jpeg": saved(PHOTO, "JPEG"),
    "jpeg 4:4:4": saved(PHOTO, "JPEG", subsampling=0, quality=95),
    "jpeg grey": saved(PHOTO.convert("L"), "JPEG"),
    "jpeg cmyk": saved(PHOTO.convert("CMYK"), "JPEG"),
    "jpeg cmyk with black": saved(
        Image.merge("CMYK", [*PHOTO.split(), ALPHA.point(lambda v: v // 2)]), "JPEG"
    ),
    "jpeg progressive": saved(PHOTO, "JPEG", progressive=True),
    "jpeg optimized": saved(PHOTO, "JPEG", optimize=True),
    "jpeg comment": saved(PHOTO, "JPEG", comment=b"a comment"),
    "jpeg icc": saved(PHOTO, "JPEG", icc_profile=b"no profile " * 99),
    "jpeg restarts": saved(PHOTO, "JPEG", restart_marker_blocks=1),
    "jpeg xmp upright": xmp('="1"'),
    "jpeg xmp upright in single quotes": xmp("='1'"),
    "jpeg xmp": xmp('="6"'),
    "jpeg xmp element": xmp(">8</tiff:Orientation"),
    "jpeg exif behind tables": exif_behind_the_tables(),
    "jpeg exif without a turn": saved(PHOTO, "JPEG", exif=Image.Exif()),
    **{f"jpeg exif {turn}": turned("JPEG", turn) for turn in range(1, 9)},
    "jpeg grey exif 6": turned("JPEG", 6, PHOTO.convert("L")),
    "png": saved(PHOTO, "PNG"),
    "png grey": saved(PHOTO.convert("L"), "PNG"),
    "png 1 bit": saved(PHOTO.convert("1"), "PNG"),
    "png palette": saved(PALETTE, "PNG", bits=4),
    "png palette transparent": saved(PALETTE, "PNG", transparency=3),
    "png color transparent": saved(PHOTO, "PNG", transparency=PHOTO.getpixel((3, 3))),
    "png alpha": saved(with_alpha(), "PNG"),
    "png grey alpha": saved(with_alpha("LA"), "PNG"),
    "png opaque alpha": saved(PHOTO.convert("RGBA"), "PNG"),
    "png text": saved(PHOTO, "PNG", dpi=(72, 72)),
    "png animated": animation("PNG"),
    **{f"png 16 bits {channels}": png16(channels) for channels in (1, 2, 3, 4)},
    **{f"png exif {turn}": turned("PNG", turn) for turn in (1, 3, 6)},
    **{f"png exif {kind}": exif_as_text(kind.encode()) for kind in ("tEXt", "zTXt", "iTXt")},
    "bmp": saved(PHOTO, "BMP"),
    "bmp grey": saved(PHOTO.convert("L"), "BMP"),
    "bmp palette": saved(PALETTE, "BMP"),
    "bmp 1 bit": saved(PHOTO.convert("1"), "BMP"),
    "bmp 32 bits": saved(PHOTO.convert("RGBA"), "BMP"),
    "bmp abgr": bit_field_bmp((0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "bmp rgba": bit_field_bmp((0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "bmp of os/2": os2_bmp(),
    "webp": saved(PHOTO, "WEBP"),
    "webp alpha": saved(with_alpha(), "WEBP", lossless=True),
    "webp exif": turned("WEBP", 8, lossless=True),
    "webp animated": animation("WEBP"),
    "gif": saved(PHOTO, "GIF"),
    "gif animated": animation("GIF"),
    "gif transparent": saved(PALETTE, "GIF", transparency=2),
    "tiff": saved(PHOTO, "TIFF"),
    "tiff exif": turned("TIFF", 6),
    "tiff cmyk": saved(PHOTO.convert("CMYK"), "TIFF"),
    "tiff 16 bits": saved(Image.fromarray(DEEP[..., 0]), "TIFF"),
    "jpeg 2000": saved(PHOTO, "JPEG2000"),
    "jpeg 2000 16 bits": saved(Image.fromarray(DEEP[..., 0]), "JPEG2000"),
    "ppm": saved(PHOTO, "PPM"),
    "pgm 16 bits": saved(Image.fromarray(DEEP[..., 0]), "PPM"),
}
# By TensorFlow alone, in all speed.
FAST = {
    *("jpeg", "jpeg 4:4:4", "jpeg grey", "jpeg progressive", "jpeg optimized", "jpeg comment"),
    *("jpeg icc", "jpeg restarts", "jpeg xmp upright", "jpeg exif without a turn", "jpeg exif 1"),
    "jpeg xmp upright in single quotes",
    *("png", "png grey", "png 1 bit", "png palette", "png text", "bmp"),
}


def seen(data: bytes) -> np.ndarray:
    """The pixels by Pillow's own words."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        deep = np.asarray(image).astype(int) if image.mode.startswith("I") else None
        if deep is not None:
            image = Image.fromarray((deep // 256).astype(np.uint8))
        else:
            image = ImageOps.exif_transpose(image)
    whole = image.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    if image.has_transparency_data:
        return np.asarray(Image.alpha_composite(ground, whole).convert("RGB"))
    return np.asarray(image.convert("RGB"))


SEEN = {name: seen(data) for name, data in IMAGES.items()}
SIZES = sorted({image.shape[:2] for image in SEEN.values()})


def of_size(size: tuple[int, int]) -> list[str]:
    return [name for name in IMAGES if SEEN[name].shape[:2] == size]


def assert_seen(found, names: list[str]) -> None:
    for name, image in zip(names, found, strict=True):
        np.testing.assert_array_equal(image, SEEN[name], err_msg=name)


def test_one_by_one():
    assert_seen([decode_picture(IMAGES[name]) for name in IMAGES], list(IMAGES))


@pytest.mark.parametrize("size", SIZES)
def test_as_training_and_its_cache_decode(size):
    names = of_size(size)
    dataset = tf.data.Dataset.from_tensor_slices([IMAGES[name] for name in names])
    one = dataset.map(lambda image: decode(image, *size))
    assert_seen(one.as_numpy_iterator(), names)
    several = dataset.batch(5).map(lambda images: decode_all(images, *size)).unbatch()
    assert_seen(several.as_numpy_iterator(), names)


@pytest.mark.parametrize("size", SIZES)
def test_as_evaluation_and_galleries_decode(size):
    names = of_size(size)
    [found] = decode_batches([IMAGES[name] for name in names], names, size, len(names))
    assert_seen(found, names)


def test_as_photos_are_aligned(tmp_path):
    for number, data in enumerate(IMAGES.values()):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    found = [np.asarray(read_photo(tmp_path / f"{number}.jpg")) for number in range(len(IMAGES))]
    assert_seen(found, list(IMAGES))


def test_conversion_and_inspection_know_the_size_as_seen():
    sizes, bad = check_images(list(IMAGES.values()))
    assert bad == {}
    shapes = [image.shape[:2] for image in SEEN.values()]
    assert list(map(tuple, sizes.tolist())) == shapes
    assert [read_size(data)[1:] for data in IMAGES.values()] == shapes


def test_encoding_anew_keeps_what_is_seen():
    again = reencoder(None, 100)(
        list(IMAGES.values()), [image.shape[:2] for image in SEEN.values()]
    )
    for (name, expected), data in zip(SEEN.items(), again, strict=True):
        found = decode_picture(data).astype(int)
        assert found.shape == expected.shape, name
        assert np.abs(found - expected).mean() < 6, name


@pytest.mark.parametrize("name", IMAGES)
def test_ordinary_images_stay_with_tensorflow(name):
    header = read_header(IMAGES[name])
    assert (header is not None and header.suits_tensorflow) == (name in FAST)


def test_it_is_a_turn_that_the_turned_images_differ_by():
    upright = SEEN["png exif 1"]
    np.testing.assert_array_equal(SEEN["png exif 6"], np.rot90(upright, -1))
    np.testing.assert_array_equal(SEEN["png exif 3"], upright[::-1, ::-1])


# What Pillow by its own words reads otherwise than viewers do.
GREY = np.dstack([DEEP[..., 0] >> 8] * 3)
BETTER = {
    "jpeg xmp in single quotes": (
        xmp("='6'"),
        SEEN["jpeg xmp"],
    ),
    "png xmp in single quotes": (
        with_chunk(
            saved(PHOTO, "PNG"),
            b"iTXt",
            b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>",
        ),
        SEEN["png exif 6"],
    ),
    "tiff 16 bits white is zero": (
        retagged(saved(Image.fromarray(65535 - DEEP[..., 0]), "TIFF"), 262, 1, 0),
        GREY,
    ),
    "bmp with alpha of zero": (
        bit_field_bmp(
            (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
            Image.fromarray(np.dstack([np.asarray(PHOTO), np.zeros_like(ALPHA)])),
        ),
        np.asarray(PHOTO),
    ),
    "bmp with alpha": (
        bit_field_bmp((0xFF0000, 0xFF00, 0xFF, 0xFF000000), with_alpha()),
        SEEN["png alpha"],
    ),
    "png 16 bits transparent": (
        with_chunk(png16(1), b"tRNS", struct.pack(">H", DEEP[3, 3, 0])),
        np.where((DEEP[..., 0] == DEEP[3, 3, 0])[..., None], 255, GREY),
    ),
}


@pytest.mark.parametrize("name", BETTER)
def test_where_viewers_know_better_than_pillow(name):
    data, expected = BETTER[name]
    np.testing.assert_array_equal(decode_picture(data), expected)
    np.testing.assert_array_equal(np.asarray(pillow_decoder.read_image(data)), expected)
    assert read_size(data)[1:] == expected.shape[:2]


def of_16_bits(jpeg_2000: bytes) -> bytes:
    """A JPEG 2000 in color whose header says 16 bits, which Pillow doesn't write."""
    eight = b"\0\x03" + b"\x07\x01\x01" * 3
    assert jpeg_2000.count(eight) == 1
    return jpeg_2000.replace(eight, b"\0\x03" + b"\x0f\x01\x01" * 3)


def without_palette() -> bytes:
    png = saved(PALETTE, "PNG")
    start = png.index(b"PLTE") - 4
    return png[:start] + png[start + 12 + struct.unpack_from(">I", png, start)[0] :]


TIFF_32_BITS = saved(Image.fromarray(np.asarray(PHOTO)[..., 0].astype(np.int32)), "TIFF")
UNREAD = {
    "tiff 32 bits": (TIFF_32_BITS, "its pixels have 32 bits; save it with 8 or 16 bits"),
    "tiff 32 bits without a sign": (
        retagged(TIFF_32_BITS, 339, 2, 1),
        "its pixels have 32 bits; save it with 8 or 16 bits",
    ),
    "jpeg 2000 color 16 bits": (
        of_16_bits(saved(PHOTO, "JPEG2000")),
        "a JPEG 2000 image in color of more than 8 bits; save it with 8",
    ),
    "jpeg 2000 color 16 bits bare": (
        of_16_bits(saved(PHOTO, "JPEG2000", no_jp2=True)),
        "a JPEG 2000 image in color of more than 8 bits; save it with 8",
    ),
    "png without its palette": (without_palette(), "the image data are damaged or truncated"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_would_be_read_wrong_is_refused(name):
    data, reason = UNREAD[name]
    assert undecodable_reason(data) == reason
    with pytest.raises(InputError, match=f"^{re.escape(reason)}$"):
        pillow_decoder.read_image(data)


def test_heic_where_it_can_be_read():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = turned("HEIF", 6)
    assert undecodable_reason(data) is None
    np.testing.assert_array_equal(decode_picture(data), seen(data))
    assert read_size(data) == ("HEIC", *seen(data).shape[:2])


def test_heic_where_it_can_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    pillow_decoder._plugins.cache_clear()
    try:
        reason = undecodable_reason(b"\0\0\0\x1cftypheic\0\0\0\0")
        assert reason == f"a HEIC image: {pillow_decoder.HEIC_ADVICE}"
    finally:
        pillow_decoder._plugins.cache_clear()
