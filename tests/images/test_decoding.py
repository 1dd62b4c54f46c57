"""The decoder, against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.damage import only_input_errors
from tests.data.small_faces import encoded, pixels
from tfface.errors import InputError
from tfface.images.decoding import (
    MOST_PIXELS,
    decode,
    decode_all,
    decode_batches,
    decode_whole,
    prepare_one,
    undecodable_reason,
    usual_size,
)

KINDS = [
    *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "L")),
    *(("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("BMP", "RGB"), ("BMP", "L"), ("BMP", "P")),
    *(("BMP", "RGBA"),),
]


def pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def saved(mode: str, **options) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (7, 300)).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_size_of_a_usual_jpeg(mode):
    image = saved(mode)
    assert usual_size(image) == (300, 7)
    assert prepare_one(image) == image
    place = image.index(b"\xff\xc0") + 5
    for size in (b"\0\0\0\x07", b"\xff\xff\xff\xff"):
        assert usual_size(image[:place] + size + image[place + 4 :]) is None


def test_other_images_are_not_usual():
    images = [b"", b"\xff\xd8", saved("RGB")[:600], encoded(1, 23, "PNG"), saved("CMYK")]
    images += [saved("RGB", progressive=True), saved("RGB", exif=b"Exif\0\0")]
    assert [usual_size(image) for image in images] == [None] * len(images)


@pytest.mark.parametrize(("format", "mode"), KINDS)
def test_pixels_are_those_of_pillow(format, mode):
    data = encoded(1, 23, format, mode)
    np.testing.assert_array_equal(decode(tf.constant(data), 23, 23), pillow(data))


def test_in_tf_data_as_eagerly():
    data = [encoded(i, 16 + i, format) for i, format in enumerate(("JPEG", "PNG", "BMP"))]
    dataset = tf.data.Dataset.from_tensor_slices(data).map(lambda image: decode(image, 16, 17))
    assert dataset.element_spec == tf.TensorSpec((16, 17, 3), tf.uint8)
    for image, found in zip(data, dataset, strict=True):
        np.testing.assert_array_equal(found, decode(tf.constant(image), 16, 17))


@pytest.mark.parametrize(
    "given",
    [
        [("JPEG", "RGB", 16), ("PNG", "L", 16), ("JPEG", "L", 16)],
        [("JPEG", "RGB", 16), ("PNG", "RGBA", 23), ("JPEG", "CMYK", 9)],
        [("BMP", "P", 16), ("JPEG", "RGB", 16), ("BMP", "RGB", 23), ("PNG", "P", 16)],
    ],
    ids=["alike", "other sizes", "BMP"],
)
@pytest.mark.parametrize("in_data", [False, True])
def test_a_batch_is_decoded_as_its_images_are(given, in_data):
    data = tf.constant(
        [encoded(i, size, *kind) for i, (*kind, size) in enumerate(given)], tf.string
    )
    if in_data:
        dataset = tf.data.Dataset.from_tensors(data).map(lambda images: decode_all(images, 16, 16))
        found = next(iter(dataset))
    else:
        found = decode_all(data, 16, 16)
    assert found.shape == (len(given), 16, 16, 3)
    for image, one in zip(data, found, strict=True):
        np.testing.assert_array_equal(one, decode(image, 16, 16))


def test_a_batch_with_a_damaged_image_fails():
    for damaged in (b"", b"hello", b"BM", encoded(0, 64)[:-300]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_all(tf.constant([encoded(1), damaged]), 16, 16)


def test_resize_is_pillows_antialiased_bilinear():
    data = encoded(2, 61, "PNG")
    expected = Image.fromarray(pillow(data)).resize((20, 30), Image.Resampling.BILINEAR)
    found = decode(tf.constant(data), 30, 20).numpy().astype(int)
    assert np.abs(found - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(
    ("given", "wanted", "kept", "resized"),
    [
        # (width, height) of the image; (height, width) wanted; columns kept; (width, height) then
        ((112, 112), (112, 96), (8, 104), (96, 112)),
        ((112, 112), (112, 112), (0, 112), (112, 112)),
        ((92, 112), (112, 112), (0, 92), (92, 112)),
        ((75, 50), (20, 20), (12, 62), (20, 20)),
        ((30, 60), (20, 21), (0, 30), (10, 20)),
    ],
)
def test_aspect_is_kept_by_cutting_and_filling_the_sides(given, wanted, kept, resized):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*given[::-1], 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    found = decode(tf.constant(buffer.getvalue()), *wanted, keep_aspect=True).numpy()
    middle = image.crop((kept[0], 0, kept[1], given[1]))
    middle = middle.resize(resized, Image.Resampling.BILINEAR)
    expected = Image.new("RGB", wanted[::-1])
    expected.paste(middle, ((wanted[1] - resized[0]) // 2, 0))
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("shape", [(1, 60000), (60000, 1), (1, 1)])
def test_any_shape_can_be_brought_to_any_other(shape):
    data = tf.io.encode_png(np.full((*shape, 3), 200, np.uint8))
    found = decode(data, 112, 96, keep_aspect=True).numpy()
    assert found.shape == (112, 96, 3)
    assert (found[:, 47] == 200).all()


def test_batches_keep_order_and_remainder():
    images = [encoded(i, 8, "PNG") for i in range(11)]
    batches = list(decode_batches(images, [str(i) for i in range(11)], (8, 8), 4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(batches), [pixels(i, 8) for i in range(11)])
    assert batches[0].dtype == np.uint8


def test_no_images_give_no_batches():
    assert list(decode_batches([], [], (8, 8), 4)) == []


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"hello", r"not an image that can be read \(JPEG, PNG, BMP, WebP, TIFF, GIF, "),
        (encoded(0, 64)[:-300], "the image data are damaged or truncated"),
        (encoded(0, 64, "PNG")[:-300], "the image data are damaged or truncated"),
        (encoded(0, 64, "BMP")[:-300], "the image data are damaged or truncated"),
        (encoded(0, 64, "BMP", "P")[:-300], "the image data are damaged: image file is truncated"),
        (encoded(0, 64, "GIF", "P")[:20], "the image data are damaged or truncated"),
        (b"BM said this", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image: install pillow-heif"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw image, which is not read here: convert it"),
        (b"\xff\x0a\xf8\x07", "a JPEG XL image, which is not read here: convert it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
            "not an image, but a Git LFS pointer to the file: fetch the file with git lfs pull",
        ),
        (b"  <!DOCTYPE HTML><html>", "not an image, but a web page, as failed downloads leave it"),
        (b"\x1f\x8b\x08\0", "not an image, but a gzip file: unpack it with gunzip"),
    ],
)
def test_an_undecodable_image_is_named(damaged, reason):
    images = [*(encoded(i, 8) for i in range(5)), damaged, encoded(7, 8)]
    with pytest.raises(InputError, match=f"^face 5: {reason}"):
        list(decode_batches(images, [f"face {i}" for i in range(7)], (8, 8), 4))


def test_a_good_image_has_no_reason():
    assert undecodable_reason(encoded(0)) is None


def test_as_many_names_as_images():
    with pytest.raises(InputError, match="2 images but 1 names were given"):
        list(decode_batches([b"", b""], ["a"], (8, 8), 4))


def test_a_short_bmp_is_an_error_like_others():
    for image in (b"BM", b"BM\xf6", b"BM" + bytes(range(60))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(image), 8, 8)
        assert undecodable_reason(image)


def claiming(height: int, width: int, format: str) -> bytes:
    """A small file whose header claims another size than it has."""
    data = bytearray(encoded(0, 16, "JPEG" if format == "progressive" else format))
    if format == "progressive":
        file = io.BytesIO()
        Image.fromarray(pixels(0)).save(file, "JPEG", progressive=True)
        data = bytearray(file.getvalue())
    match format:
        case "JPEG":
            place = data.find(b"\xff\xc0")
            data[place + 5 : place + 9] = struct.pack(">HH", height, width)
        case "progressive":
            place = data.find(b"\xff\xc2")
            data[place + 5 : place + 9] = struct.pack(">HH", height, width)
        case "PNG":
            data[16:24] = struct.pack(">II", width, height)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        case "BMP":
            data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("format", ["JPEG", "progressive", "PNG"])
def test_more_pixels_than_can_be_read(format):
    image = claiming(9000, 13000, format)
    reason = "claims to have 13,000 x 9,000 pixels; 67,108,864 can be read"
    assert undecodable_reason(image) == reason
    with pytest.raises(InputError, match=f"^face 1: {reason}"):
        list(decode_batches([encoded(0), image], ["face 0", "face 1"], (8, 8), 4))


@pytest.mark.parametrize("format", ["JPEG", "progressive", "PNG", "BMP"])
@pytest.mark.parametrize("size", [(65535, 65535), (65500, 65500), (30_000, 1), (1, 30_000)])
def test_claims_take_little_memory(format, size):
    undecodable_reason(encoded(0))  # what the first call takes is not the image's
    with only_input_errors():
        reason = undecodable_reason(claiming(*size, format))
    assert reason or size[0] * size[1] <= MOST_PIXELS


def test_size_is_found_behind_other_segments():
    # Comments, fill bytes and segments that hold what looks like a frame.
    frame = b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03"
    comment = b"\xff\xfe" + struct.pack(">H", len(frame) + 2) + frame
    small = encoded(0)
    assert undecodable_reason(small[:2] + comment + b"\xff\xff" + small[2:]) is None
    large = claiming(9000, 13000, "JPEG")
    assert "13,000 x 9,000" in undecodable_reason(large[:2] + comment + b"\xff\xff" + large[2:])


def test_a_sequence_that_can_not_be_read():
    class Gone(list):
        def __getitem__(self, index):
            if index == 3:
                raise InputError("faces/3.jpg: can't be read")
            return super().__getitem__(index)

    images = Gone(encoded(i) for i in range(6))
    with pytest.raises(InputError, match=r"^faces/3\.jpg: can't be read"):
        list(decode_batches(images, [f"face {i}" for i in range(6)], (8, 8), 2))


def test_more_scans_than_any_picture_has():
    image = claiming(8000, 8000, "progressive")
    assert "scans" not in (undecodable_reason(image) or "")
    image += b"\xff\xda\0\x08\x01\x01\0\0?\0" * 40
    reason = r"a JPEG of \d+ scans, which only an attack has"
    with pytest.raises(InputError, match=f"^attack: {reason}"):
        decode_whole(image, "attack")
    with pytest.raises(InputError, match=f"^face 1: {reason}"):
        list(decode_batches([encoded(0), image], ["face 0", "face 1"], (8, 8), 4))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(image), 8, 8)


def test_of_an_animation_one_picture_is_decoded():
    frames = [Image.new("P", (2000, 2000), color) for color in range(60)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], disposal=2)
    undecodable_reason(encoded(0, 8, "GIF", "P"))  # what the first call takes
    with only_input_errors():
        # All together they would take 720 MB.
        assert decode_whole(file.getvalue(), "animation").shape == (2000, 2000, 3)
