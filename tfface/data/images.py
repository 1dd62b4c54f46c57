"""The only image decoder: encoded bytes in, uint8 RGB pixels out."""

import base64
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfface.data.untuned import arrays
from tfface.errors import InputError

FORMATS = "JPEG, PNG or BMP"

# A file of a few hundred bytes may claim any size, and gets that much memory: here, 200 MB.
MOST_PIXELS = 1 << 26

# A PNG, decoded in place of what is decoded by other means.
_ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def decode(encoded: tf.Tensor, height: int, width: int, *, keep_aspect: bool = False) -> tf.Tensor:
    """Decodes one JPEG, PNG or BMP image to `height` x `width` pixels, in tf.data or eagerly.

    Grey becomes RGB and an alpha channel is dropped. JPEG uses the accurate integer transform, so
    the pixels equal those of Pillow and OpenCV. An image of another size is resized bilinearly with
    antialiasing (its aspect ratio is not kept, unless asked for) and rounded to whole values. EXIF
    orientation is not applied: face images are aligned, and no training set known to us relies on
    it.

    TensorFlow itself refuses images of 2^29 bytes (179 million pixels) or more. Those that look at
    images before they are used, `decode_batches` and `undecodable_reason`, stop at `MOST_PIXELS`.

    Args:
        encoded: string scalar.
        height, width: > 0, of the result.
        keep_aspect: bring the image to `height`, and cut what is then too wide, or fill what is
            too narrow with black, as much on the left as on the right. That is how the template
            of aligned faces goes from one shape to another (`alignment/template.py`).
    Returns: uint8 [height, width, 3], RGB, 0..255.
    Raises tf.errors.InvalidArgumentError: the bytes are not such an image, or are damaged.
    """
    image = decode_unresized(encoded)
    if keep_aspect:
        image = _resized_to_height(image, height, width)
    else:
        image = _resized(image, height, width)
    return tf.ensure_shape(image, (height, width, 3))


def decode_all(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes a batch of images, each as `decode` does, in tf.data or eagerly.

    What few images need (BMP, another size) is asked once for the batch: asked for each image, it
    takes half as long as decoding.

    Args:
        encoded: string [batch], at least one.
        height, width: > 0, of the result.
    Returns: uint8 [batch, height, width, 3], RGB, 0..255.
    Raises tf.errors.InvalidArgumentError: as `decode`, for any of them.
    """
    shape = (height, width, 3)
    count = tf.size(encoded)
    is_bmp = _is_bmp(encoded)
    others = tf.where(is_bmp, _ONE_PIXEL, encoded)

    def decode_next(number: tf.Tensor, images: tf.TensorArray, fits: tf.Tensor) -> tuple:
        image = _decode_jpeg(others[number])
        fits &= tf.reduce_all(tf.shape(image) == shape)
        return number + 1, images.write(number, image), fits

    # The batches are what is done at the same time.
    _, images, fits = tf.while_loop(
        lambda number, images, fits: number < count,
        decode_next,
        (
            0,
            tf.TensorArray(tf.uint8, count, infer_shape=False, element_shape=(None, None, 3)),
            ~tf.reduce_any(is_bmp),
        ),
        parallel_iterations=1,
    )

    def fitted(number: tf.Tensor) -> tf.Tensor:
        image = tf.cond(
            is_bmp[number], lambda: _decode_bmp(encoded[number]), lambda: images.read(number)
        )
        return tf.ensure_shape(_resized(image, height, width), shape)

    decoded = tf.cond(
        fits,
        images.stack,
        lambda: tf.map_fn(
            fitted, tf.range(count), fn_output_signature=tf.TensorSpec(shape, tf.uint8)
        ),
    )
    return tf.ensure_shape(decoded, (encoded.shape[0], *shape))


def decode_unresized(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image as `decode` does, but keeps its size: uint8 [its height, its width, 3]."""
    return tf.cond(_is_bmp(encoded), lambda: _decode_bmp(encoded), lambda: _decode_jpeg(encoded))


def _is_bmp(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, 2) == b"BM"


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    # It decodes PNG as well, and unlike decode_image it lets us choose the transform.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def decode_picture(encoded: bytes) -> np.ndarray:
    """Decodes an image to be looked at, as it is: uint8 [its height, its width, 3], RGB."""
    return decode_unresized(tf.constant(encoded)).numpy()


def _resized_to_height(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes to `height`, and cuts or fills the sides: uint8 [height, width, 3]."""
    high, wide = tf.unstack(tf.shape(image, out_type=tf.int64)[:2])
    # What is too wide is cut off before, so that no image becomes larger than is needed.
    kept = tf.minimum(wide, _whole_pixels(high * width, height))
    left = (wide - kept) // 2
    image = image[:, left : left + kept]
    resized_width = tf.minimum(_whole_pixels(kept * height, high), width)
    image = _resized(image, height, tf.cast(resized_width, tf.int32))
    missing = width - tf.shape(image)[1]
    return tf.pad(image, [[0, 0], [missing // 2, missing - missing // 2], [0, 0]])


def _whole_pixels(numerator: tf.Tensor, denominator: tf.Tensor | int) -> tf.Tensor:
    """Returns numerator / denominator, rounded, and at least 1."""
    return tf.maximum((2 * numerator + denominator) // (2 * denominator), 1)


def _resized(image: tf.Tensor, height: int, width: tf.Tensor | int) -> tf.Tensor:
    shape = tf.shape(image)
    return tf.cond(
        (shape[0] == height) & (shape[1] == width),
        lambda: image,
        lambda: tf.saturate_cast(
            tf.round(tf.image.resize(image, (height, width), antialias=True)), tf.uint8
        ),
    )


def decode_batches(
    encoded: Sequence[bytes],
    names: Sequence[str],
    image_size: tuple[int, int],
    batch_size: int,
    *,
    keep_aspect: bool = False,
) -> Iterator[np.ndarray]:
    """Decodes images in order, in parallel, and yields them in batches.

    `encoded` is read one batch at a time, a little ahead of what is yielded, so it may be a lazy
    sequence that reads files.

    Args:
        encoded: the images' bytes.
        names: what to call each image in an error; as long as `encoded`.
        image_size: (height, width) of the result.
        batch_size: > 0. The last batch holds the remainder.
        keep_aspect: as `decode` has it.
    Yields: uint8 [batch, height, width, 3], RGB, 0..255.
    Raises InputError: an image can't be decoded, or has more than `MOST_PIXELS` (the message gives
        its name), or `names` and `encoded` differ in length.
    """
    if len(names) != len(encoded):
        raise InputError(f"{len(encoded)} images but {len(names)} names were given")

    def chunks() -> Iterator[list[bytes]]:
        for start in range(0, len(encoded), batch_size):
            stop = min(start + batch_size, len(encoded))
            images = [encoded[i] for i in range(start, stop)]
            # An empty image is one that can't be decoded.
            yield [b"" if oversize_reason(image) else image for image in images]

    dataset = (
        tf.data.Dataset.from_generator(chunks, output_signature=tf.TensorSpec([None], tf.string))
        .unbatch()
        .map(
            lambda image: decode(image, *image_size, keep_aspect=keep_aspect),
            tf.data.AUTOTUNE,
            deterministic=True,
        )
        .batch(batch_size)
        .prefetch(2)
    )
    start = 0
    try:
        for batch in arrays(dataset):
            yield batch
            start += len(batch)
    except tf.errors.InvalidArgumentError:
        for i in range(start, min(start + batch_size, len(encoded))):
            if reason := undecodable_reason(encoded[i]):
                raise InputError(f"{names[i]}: {reason}") from None
        raise


def decode_whole(encoded: bytes, name: str) -> np.ndarray:
    """Decodes one image in its own size: uint8 [height, width, 3], RGB.

    Raises InputError: it can't be decoded, or has more than `MOST_PIXELS`; `name` is what the
        message calls it.
    """
    if reason := undecodable_reason(encoded):
        raise InputError(f"{name}: {reason}")
    return decode_picture(encoded)


def undecodable_reason(encoded: bytes) -> str | None:
    """Returns why these bytes are no image to use, in a few words; None when they are one."""
    if not encoded:
        return "the file is empty (0 bytes)"
    if reason := oversize_reason(encoded):
        return reason
    try:
        decode(tf.constant(encoded), 8, 8)
    except tf.errors.InvalidArgumentError:
        if encoded.startswith(b"BM"):
            return "a damaged BMP, or one that has not 8, 24 or 32 bits a pixel"
        if encoded.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8")):
            return "the image data are damaged or truncated"
        return f"not an image that can be read ({FORMATS})"
    return None


def oversize_reason(encoded: bytes) -> str | None:
    """Returns what is wrong with the size that an image's header claims; None when it is fine."""
    height, width = _claimed_size(encoded)
    if height * width <= MOST_PIXELS:
        return None
    return f"claims to have {width:,} x {height:,} pixels; {MOST_PIXELS:,} can be read"


def _claimed_size(encoded: bytes) -> tuple[int, int]:
    """Returns the (height, width) that a header claims; (0, 0) for what is not JPEG or PNG.

    A BMP can't claim more than the file holds: TensorFlow compares the two.
    """
    if encoded.startswith(b"\x89PNG") and len(encoded) >= 24:
        width, height = struct.unpack_from(">II", encoded, 16)
        return height, width
    if not encoded.startswith(b"\xff\xd8"):
        return 0, 0
    # Segments follow each other: FF, kind, length; of those C0..CF three are no start of a frame.
    place = 2
    while 0 <= (place := encoded.find(b"\xff", place)) < len(encoded) - 9:
        kind = encoded[place + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, place + 5)
            return height, width
        if kind in (0x00, 0x01, 0xFF) or 0xD0 <= kind <= 0xD8:
            # No segment: fill bytes, restarts.
            place += 1
        else:
            place += 2 + struct.unpack_from(">H", encoded, place + 2)[0]
    return 0, 0


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a BMP of 8, 24 or 32 bits a pixel to uint8 [h, w, 3]."""
    # Padded, and cut by slices that may reach too far: `substr` would fail with a message that
    # holds the file's bytes, which TensorFlow then can't turn into text.
    data = tf.cast(tf.io.decode_raw(encoded + b"\0" * 32, tf.uint8), tf.int32)

    def header(position: int) -> tf.Tensor:
        # The offsets 10 (pixels), 14 (header bytes), 28 (bits a pixel) are those of every
        # Windows BMP.
        return data[position] + 256 * data[position + 1]

    pixels = tf.io.decode_bmp(encoded)

    def look_up() -> tf.Tensor:
        # TensorFlow gives the bare palette indices; the palette's entries are blue, green, red, 0.
        palette = tf.reshape(data[14 + header(14) : header(10)], (-1, 4))
        return tf.cast(tf.gather(palette[:, 2::-1], tf.cast(pixels[:, :, 0], tf.int32)), tf.uint8)

    return tf.cond(header(28) == 8, look_up, lambda: pixels[:, :, :3])
