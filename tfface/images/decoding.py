"""The only image decoder: encoded bytes in, uint8 RGB pixels out.

TensorFlow decodes ordinary JPEG and PNG images, Pillow (`pillow_decoder`) all others, as the bytes
of each say; where both could, both give the same pixels. Aligning, which wants photos in their own
size, reads all of them by Pillow.
"""

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.errors import InputError
from tfface.images.header import read_header
from tfface.images.pillow_decoder import check_effort, read_image

# A file of a few hundred bytes may claim any size, and gets that much memory: here, 200 MB.
MOST_PIXELS = 1 << 26

# A baseline JPEG of one pass, without metadata, as libjpeg writes it by default (and with it
# OpenCV, Pillow and TensorFlow): what stands at which place, for pictures in color and in grey.
_USUAL_COLOR = {
    0: b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    20: b"\xff\xdb\0\x43\0",
    89: b"\xff\xdb\0\x43\x01",
    158: b"\xff\xc0\0\x11\x08",
    167: b"\x03",
    177: b"\xff\xc4\0\x1f\0",
    210: b"\xff\xc4\0\xb5\x10",
    393: b"\xff\xc4\0\x1f\x01",
    426: b"\xff\xc4\0\xb5\x11",
    609: b"\xff\xda\0\x0c\x03",
}
_USUAL_GREY = {
    **{place: _USUAL_COLOR[place] for place in (0, 20)},
    89: b"\xff\xc0\0\x0b\x08",
    98: b"\x01",
    102: b"\xff\xc4\0\x1f\0",
    135: b"\xff\xc4\0\xb5\x10",
    318: b"\xff\xda\0\x08\x01",
}
_USUAL_BYTES = 614
# Where such a file has height and width, two bytes each.
_SIZE_IN_COLOR, _SIZE_IN_GREY = 163, 94

# A PNG, decoded in place of what is decoded by other means.
_ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def decode(encoded: tf.Tensor, height: int, width: int, *, keep_aspect: bool = False) -> tf.Tensor:
    """Decodes one image to `height` x `width` pixels, in tf.data or eagerly.

    The pixels are those that a viewer shows: turned upright as the Exif tag says, grey as RGB, the
    upper 8 of 16 bits, on white where they are transparent, of an animation the first picture.
    Color profiles are not applied. JPEG uses the accurate integer transform, so the pixels equal
    those of Pillow and OpenCV. An image of another size is resized bilinearly with antialiasing
    (its aspect ratio is not kept, unless asked for) and rounded to whole values.

    Args:
        encoded: string scalar, a file of `pillow_decoder.FORMATS`.
        height, width: > 0, of the result.
        keep_aspect: bring the image to `height`, and cut what is then too wide, or fill what is
            too narrow with black, as much on the left as on the right. That is how the template
            of aligned faces goes from one shape to another (`alignment/template.py`).
    Returns: uint8 [height, width, 3], RGB, 0..255.
    Raises tf.errors.InvalidArgumentError: the bytes are not such an image, are damaged, or claim
        more than `MOST_PIXELS`; `undecodable_reason` says which.
    """
    return _brought_to(decode_unresized(encoded), height, width, keep_aspect)


def decode_all(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes a batch of images, each as `decode` does, in tf.data or eagerly.

    What few images need (Pillow, another size) is asked once for the batch: asked for each image,
    it takes half as long as decoding.

    Args:
        encoded: string [batch], at least one.
        height, width: > 0, of the result.
    Returns: uint8 [batch, height, width, 3], RGB, 0..255.
    Raises tf.errors.InvalidArgumentError: as `decode`, for any of them.
    """
    shape = (height, width, 3)
    count = tf.size(encoded)
    ready = prepare(encoded)
    is_bmp = _is_bmp(ready)
    others = tf.where(is_bmp, _ONE_PIXEL, ready)

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
            is_bmp[number], lambda: _decode_bmp(ready[number]), lambda: images.read(number)
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
    """Decodes one image as `decode` does, but keeps its size: uint8 [its height, its width, 3].

    Args:
        encoded: string [], the bytes of an image file.
    """
    return decode_prepared(prepare(tf.expand_dims(encoded, 0))[0])


def prepare(encoded: tf.Tensor) -> tf.Tensor:
    """Makes ready for TensorFlow what it can't decode by itself: string [batch] to [batch].

    JPEG and PNG images that it decodes as Pillow does stay as they are; any other becomes a BMP of
    what Pillow reads, and what can't be read becomes empty.

    Args:
        encoded: string [batch], the bytes of image files.
    """
    usual = _is_usual(encoded)

    def by_python() -> tf.Tensor:
        done = tf.numpy_function(_prepare_batch, [encoded, usual], tf.string, stateful=False)
        return tf.ensure_shape(done, encoded.shape)

    return tf.cond(tf.reduce_all(usual), lambda: encoded, by_python)


def prepare_one(encoded: bytes) -> bytes:
    """As `prepare`, for an image that Python holds.

    Args:
        encoded: the bytes of an image file.
    """
    try:
        return _prepared(encoded)
    except InputError:
        return b""


def usual_size(encoded: bytes) -> tuple[int, int] | None:
    """Returns (height, width) of a JPEG that `prepare` surely leaves as it is.

    Args:
        encoded: the bytes of an image file.
    Returns: None for any other image, and for some such JPEGs.
    """
    for pattern, place in ((_USUAL_COLOR, _SIZE_IN_COLOR), (_USUAL_GREY, _SIZE_IN_GREY)):
        for start, part in pattern.items():
            if not encoded.startswith(part, start):
                break
        else:
            size = encoded[place : place + 4]
            height, width = size[0] << 8 | size[1], size[2] << 8 | size[3]
            return (height, width) if 0 < height * width <= MOST_PIXELS else None
    return None


def decode_prepared(ready: tf.Tensor) -> tf.Tensor:
    """Decodes one image that `prepare` made ready: uint8 [its height, its width, 3].

    Args:
        ready: string [], as `prepare` returns it.
    """
    return tf.cond(_is_bmp(ready), lambda: _decode_bmp(ready), lambda: _decode_jpeg(ready))


def _is_usual(encoded: tf.Tensor) -> tf.Tensor:
    """Whether images are surely JPEGs that TensorFlow decodes as Pillow does: bool [batch].

    Most are; they are told apart here, without a word of Python that would stop other threads.
    """
    data = tf.io.decode_raw(encoded, tf.uint8, fixed_length=_USUAL_BYTES)
    usual = []
    for pattern, place in ((_USUAL_COLOR, _SIZE_IN_COLOR), (_USUAL_GREY, _SIZE_IN_GREY)):
        places = [start + i for start, part in pattern.items() for i in range(len(part))]
        expected = np.frombuffer(b"".join(pattern.values()), np.uint8)
        same = tf.reduce_all(tf.gather(data, places, axis=1) == expected, axis=1)
        size = tf.cast(data[:, place : place + 4], tf.int64)
        num_pixels = (256 * size[:, 0] + size[:, 1]) * (256 * size[:, 2] + size[:, 3])
        usual.append(same & (num_pixels <= MOST_PIXELS))
    return usual[0] | usual[1]


def _prepare_batch(encoded: np.ndarray, usual: np.ndarray) -> np.ndarray:
    pairs = zip(encoded.tolist(), usual.tolist(), strict=True)
    return np.array(
        [image if is_usual else prepare_one(image) for image, is_usual in pairs], object
    )


def _prepared(encoded: bytes) -> bytes:
    """Returns an image as `prepare` does. Raises InputError: it can't be read; says why."""
    header = read_header(encoded)
    if header is not None and header.suits_tensorflow:
        check_effort(encoded, header.height, header.width, MOST_PIXELS)
        return encoded
    file = io.BytesIO()
    # Of all formats that TensorFlow reads the one that takes the least time.
    read_image(encoded, MOST_PIXELS).save(file, "BMP")
    return file.getvalue()


def _is_bmp(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, 2) == b"BM"


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_bmp(encoded, channels=3)


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    # It decodes PNG as well, and unlike decode_image it lets us choose the transform.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def resize(images: np.ndarray, height: int, width: int, *, keep_aspect: bool = False) -> np.ndarray:
    """Resizes decoded images as `decode` does: uint8 [n, height, width, 3].

    Args:
        images: uint8 [n, their height, their width, 3], RGB; at least one.
        height, width, keep_aspect: as for `decode`.
    """
    if images.shape[1:3] == (height, width):
        return images
    resized = (_brought_to(tf.constant(image), height, width, keep_aspect) for image in images)
    return np.stack([image.numpy() for image in resized])


def decode_picture(encoded: bytes) -> np.ndarray:
    """Decodes an image to be looked at, as it is: uint8 [its height, its width, 3], RGB.

    Args:
        encoded: the bytes of an image file.
    """
    return decode_prepared(tf.constant(prepare_one(encoded))).numpy()


def _brought_to(image: tf.Tensor, height: int, width: int, keep_aspect: bool) -> tf.Tensor:
    if keep_aspect:
        image = _resized_to_height(image, height, width)
    else:
        image = _resized(image, height, width)
    return tf.ensure_shape(image, (height, width, 3))


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
            yield [prepare_one(image) for image in images]

    dataset = (
        tf.data.Dataset.from_generator(chunks, output_signature=tf.TensorSpec([None], tf.string))
        .unbatch()
        .map(_decoder_of_one(*image_size, keep_aspect), tf.data.AUTOTUNE, deterministic=True)
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


@cache
def _decoder_of_one(height: int, width: int, keep_aspect: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function of one prepared image; one for each size, as tracing takes 0.1 s."""
    return tf.function(
        lambda ready: _brought_to(decode_prepared(ready), height, width, keep_aspect),
        autograph=False,
    )


def decode_whole(encoded: bytes, name: str) -> np.ndarray:
    """Decodes one image in its own size: uint8 [height, width, 3], RGB.

    Args:
        encoded: the bytes of an image file.
        name: of the image, for messages.

    Raises InputError: it can't be decoded, or has more than `MOST_PIXELS`; `name` is what the
        message calls it.
    """
    if reason := undecodable_reason(encoded):
        raise InputError(f"{name}: {reason}")
    return decode_picture(encoded)


def undecodable_reason(encoded: bytes) -> str | None:
    """Returns why these bytes are no image to use, in a few words; None when they are one.

    Args:
        encoded: the bytes of a file.
    """
    try:
        ready = _prepared(encoded)
    except InputError as error:
        return str(error)
    try:
        decode_prepared(tf.constant(ready))
    except tf.errors.InvalidArgumentError:
        return "the image data are damaged or truncated"
    return None


def content_digest(encoded: bytes) -> bytes:
    """Returns the SHA-256 by which images are known as the same: byte for byte, not by pixels.

    Args:
        encoded: the bytes of an image file.
    """
    return hashlib.sha256(encoded).digest()
