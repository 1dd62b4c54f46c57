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
from tfface.images.encoding import reencoder
from tfface.images.header import read_header
from tfface.images.pillow_decoder import read_size
from tfface.images.validation import check_images

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
    return png({b"IHDR": header, b"IDAT": zlib.compress(data), b"IEND": b""})


def png(chunks: dict[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks.items())


def png_chunks(png: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG that has one of each kind."""
    chunks, place = {}, len(b"\x89PNG\r\n\x1a\n")
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        assert kind not in chunks
        chunks[kind] = png[place + 8 : place + 8 + length]
        place += 12 + length
    return chunks


# Values of 0 to 15, as grey of few bits has them.
FEW = np.asarray(ALPHA) // 16


def grey_png(depth: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits, which Pillow writes of 1 only."""
    values = FEW >> (4 - depth)
    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :].reshape(HEIGHT, -1)
    data = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    return png({b"IHDR": header, b"IDAT": zlib.compress(data), b"IEND": b""})


def grey_seen(depth: int, transparent: int) -> np.ndarray:
    values = FEW >> (4 - depth)
    grey = values * (255 // (2**depth - 1))
    return np.dstack([np.where(values == transparent, 255, grey).astype(np.uint8)] * 3)


def tiff_12_bits() -> bytes:
    """A grey TIFF of 12 bits, which Pillow doesn't write."""
    bits = np.unpackbits((DEEP[..., 0] >> 4).astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)
    data = np.packbits(bits[:, 4:]).tobytes()
    start = 8 + 2 + 12 * 8 + 4
    tags = ((256, WIDTH), (257, HEIGHT), (258, 12), (259, 1), (262, 1), (273, start), (277, 1))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    entries += struct.pack("<HHII", 279, 4, 1, len(data))
    return b"II*\0" + struct.pack("<IH", 8, 8) + entries + bytes(4) + data


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


def interlaced() -> bytes:
    """The photo as a PNG in seven passes, which Pillow doesn't write."""
    rows = []
    for left, top, across, down in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        rows += [b"\0" + row.tobytes() for row in np.asarray(PHOTO)[top::down, left::across]]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    return png({b"IHDR": header, b"IDAT": zlib.compress(b"".join(rows)), b"IEND": b""})


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
    "tiff 16 bits of the other order": saved(
        Image.frombytes("I;16B", PHOTO.size, DEEP[..., 0].astype(">u2").tobytes()), "TIFF"
    ),
    "png grey transparent": saved(PHOTO.convert("L"), "PNG", transparency=88),
    "png interlaced": interlaced(),
    "pgm 16 bits": saved(Image.fromarray(DEEP[..., 0]), "PPM"),
}
# By TensorFlow alone, in all speed.
FAST = {
    *("jpeg", "jpeg 4:4:4", "jpeg grey", "jpeg progressive", "jpeg optimized", "jpeg comment"),
    *("jpeg icc", "jpeg restarts", "jpeg xmp upright", "jpeg exif without a turn", "jpeg exif 1"),
    "jpeg xmp upright in single quotes",
    *("png", "png grey", "png 1 bit", "png palette", "png text", "png interlaced", "bmp"),
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
    **{
        f"png {depth} bits, {value} transparent": (
            with_chunk(grey_png(depth), b"tRNS", struct.pack(">H", value)),
            grey_seen(depth, value),
        )
        for depth, value in ((1, 0), (1, 1), (2, 1), (2, 3), (4, 0), (4, 7), (4, 15))
    },
    "png color 16 bits transparent": (
        with_chunk(png16(3), b"tRNS", DEEP[3, 3, :3].astype(">u2").tobytes()),
        np.where(
            (DEEP[..., :3] == DEEP[3, 3, :3]).all(axis=2, keepdims=True), 255, DEEP[..., :3] >> 8
        ),
    ),
    "png color 16 bits, all but transparent": (
        with_chunk(png16(3), b"tRNS", (DEEP[3, 3, :3] + 1).astype(">u2").tobytes()),
        DEEP[..., :3] >> 8,
    ),
    "tiff 12 bits": (tiff_12_bits(), GREY),
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


DAMAGED = "the image data are damaged or truncated"


def with_pixels(image: bytes, change) -> bytes:
    """A PNG whose pixels `change` has changed, before they are compressed."""
    chunks = png_chunks(image)
    pixels = zlib.decompress(chunks[b"IDAT"])
    return png(chunks | {b"IDAT": zlib.compress(change(pixels))})


def damaged_pngs() -> dict[str, bytes]:
    """What some decoders overlook: each is damaged to all paths."""
    plain, palette = saved(PHOTO, "PNG"), saved(PALETTE, "PNG", bits=4)
    chunks = png_chunks(plain)
    pixels = chunks[b"IDAT"]
    cut = {
        "plain": plain,
        "palette": palette,
        "alpha": saved(with_alpha(), "PNG"),
        "grey alpha": saved(with_alpha("LA"), "PNG"),
        "interlaced": interlaced(),
        **{f"16 bits {channels}": png16(channels) for channels in (1, 2, 3, 4)},
        **{f"{depth} bits": grey_png(depth) for depth in (1, 2, 4)},
        "transparent": with_chunk(png16(3), b"tRNS", bytes(6)),
    }
    return {
        **{f"png {name} with half": with_pixels(image, halved) for name, image in cut.items()},
        **{f"png {name} less a byte": with_pixels(image, shortened) for name, image in cut.items()},
        "png without an end": plain[:-12],
        "png with half of an end": plain[:-4],
        "png without pixels": png(chunks | {b"IDAT": b""}),
        "png of another kind": with_chunk(plain, b"CgBI", b"1234"),
        "png of unknown compression": with_header(plain, compression=25),
        "png of unknown filters": with_header(plain, filtering=1),
        "png of unknown order": with_header(plain, interlaced=2),
        "png of 3 bits": with_header(grey_png(4), depth=3),
        "png with two headers": with_chunk(plain, b"IHDR", chunks[b"IHDR"]),
        "png with a wrong checksum": plain.replace(
            chunk(b"IDAT", pixels), chunk(b"IDAT", pixels)[:-1] + b"?"
        ),
        "png with a wrong checksum of the pixels": png(
            chunks | {b"IDAT": pixels[:-1] + bytes([pixels[-1] ^ 1])}
        ),
        "png whose pixels have no end": png(chunks | {b"IDAT": pixels[:-4]}),
        "png with pixels in two places": png(
            {
                b"IHDR": chunks[b"IHDR"],
                b"IDAT": pixels[:9],
                b"teSt": b"",
            }
        )
        + chunk(b"IDAT", pixels[9:])
        + chunk(b"IEND", b""),
        "png without its palette": without_palette(),
        "png with a palette of a color and a half": png(png_chunks(palette) | {b"PLTE": b"1234"}),
        "png with an empty palette": png(png_chunks(palette) | {b"PLTE": b""}),
    }


def with_header(image: bytes, **changed: int) -> bytes:
    names = ("width", "height", "depth", "color", "compression", "filtering", "interlaced")
    chunks = png_chunks(image)
    header = dict(zip(names, struct.unpack(">IIBBBBB", chunks[b"IHDR"]), strict=True)) | changed
    return png(chunks | {b"IHDR": struct.pack(">IIBBBBB", *header.values())})


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def shortened(data: bytes) -> bytes:
    return data[:-1]


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
    **{name: (data, DAMAGED) for name, data in damaged_pngs().items()},
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_would_be_read_wrong_is_refused(name):
    data, reason = UNREAD[name]
    assert undecodable_reason(data) == reason
    with pytest.raises(InputError, match=f"^{re.escape(reason)}$"):
        pillow_decoder.read_image(data)


PLAIN = png_chunks(saved(PHOTO, "PNG"))
PASSED_OVER = {
    "bytes behind the end": png(PLAIN) + b"more",
    "bytes behind the pixels": png(PLAIN | {b"IDAT": PLAIN[b"IDAT"] + b"more"}),
    "more pixels than there should be": with_pixels(png(PLAIN), lambda data: data + data),
    "an unknown chunk": with_chunk(png(PLAIN), b"teSt", b"hello"),
    "a wrong checksum of a chunk that need not be": with_chunk(
        png(PLAIN), b"teSt", b"hello"
    ).replace(chunk(b"teSt", b"hello"), chunk(b"teSt", b"hello")[:-1] + b"?"),
    "a gamma that is none": with_chunk(png(PLAIN), b"gAMA", b"x"),
    "a color profile that is none": with_chunk(png(PLAIN), b"iCCP", b"x\0\7none"),
    "a text that is none": with_chunk(png(PLAIN), b"zTXt", b"x\0\7none"),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_is_wrong_beside_the_pixels_of_a_png_is_passed_over(name):
    data = PASSED_OVER[name]
    np.testing.assert_array_equal(decode_picture(data), np.asarray(PHOTO))
    np.testing.assert_array_equal(np.asarray(pillow_decoder.read_image(data)), np.asarray(PHOTO))


def test_large_images_become_rgb_in_bands(monkeypatch):
    monkeypatch.setattr(pillow_decoder, "_BAND_PIXELS", 5 * WIDTH)
    for name in ("png alpha", "png palette transparent", "png 16 bits 1", "pgm 16 bits", "gif"):
        found = np.asarray(pillow_decoder.read_image(IMAGES[name]))
        np.testing.assert_array_equal(found, SEEN[name], err_msg=name)


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
