"""Pixels as words: the same pixels as images give, whatever the stages and the sizes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels
from tfface.data.augment import AUGMENTATIONS, words
from tfface.data.pipeline.transform import BatchAugmentation, _OnWords

SIZE = (16, 12)
EVERYTHING = {"brightness": 0.3, "contrast": [0.2, 2.0], "saturation": 0.5, "hue": 0.1}
LABELS = tf.zeros([8], tf.int32)


def faces(height: int, width: int) -> tf.Tensor:
    size = max(height, width)
    return tf.constant(np.stack([pixels(i, size)[:height, :width] for i in range(8)]), tf.uint8)


def made(name: str, **options):
    if name == "random_crop":
        options["image_size"] = SIZE
    return AUGMENTATIONS[name](**options)


def test_words_are_the_bytes_of_pixels():
    images = faces(5, 7)
    packed = words.pack(images)
    assert packed.shape == (8, 5, 7)
    np.testing.assert_array_equal(words.unpack(packed), images)
    for number, channel in enumerate(words.channels(packed)):
        np.testing.assert_array_equal(channel, tf.cast(images[..., number], tf.float32))


@pytest.mark.parametrize("height", [1, 7, 16, 112])
def test_sums_are_those_of_the_channels(height):
    images = tf.fill([2, height, 9, 3], tf.constant(255, tf.uint8))
    images = tf.concat([images, tf.cast(faces(16, 9)[:2, :1], tf.uint8) + images * 0], axis=0)
    expected = tf.reduce_sum(tf.cast(images, tf.int32), axis=(1, 2))
    np.testing.assert_array_equal(words.sums(*words.folded(words.pack(images))), expected)


def test_channels_are_rounded_as_tf_rounds():
    values = np.concatenate([np.arange(0, 255, 0.5), np.nextafter(np.arange(0.5, 255), 0)])
    values = tf.constant(values.reshape(1, 1, -1), tf.float32)
    found = words.unpack(words.rounded([values, values, values]))
    np.testing.assert_array_equal(found[..., 0], tf.cast(tf.round(values), tf.uint8))


@pytest.mark.parametrize(
    ("stages", "loaded"),
    [
        ([("random_crop", {"from_size": 20}), ("random_flip", {})], (16, 12)),
        ([("random_crop", {"from_size": 20}), ("color_jitter", EVERYTHING)], (20, 20)),
        ([("random_flip", {}), ("color_jitter", {"brightness": 0.2, "saturation": 0.3})], SIZE),
        # A height that is a prime number, and a width that is enlarged five times.
        ([("random_crop", {"from_size": 40}), ("color_jitter", {"contrast": 0.5})], (37, 8)),
    ],
)
def test_words_give_the_pixels_of_images(stages, loaded):
    stages = [made(name, **options) for name, options in stages]
    augmentation = BatchAugmentation(stages, SIZE, known_size=loaded)
    [(count, applied)] = augmentation._compiled
    assert count == len(stages)
    assert isinstance(applied, _OnWords)
    seeds = augmentation.seeds(epoch=0, num_steps=1)[0]
    images = faces(*loaded)
    found, _ = augmentation(images, LABELS, tf.constant(seeds))
    for stage, seed in zip(stages, seeds, strict=True):
        takes_bytes = getattr(stage, "takes_uint8", False)
        images = stage(images if takes_bytes else tf.cast(images, tf.float32), seed)
    expected = tf.saturate_cast(tf.round(tf.cast(images, tf.float32)), tf.uint8)
    # Compiled code may join a product and a sum, so that a half is rounded the other way.
    difference = np.abs(found.numpy().astype(int) - expected.numpy())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 2e-3
    assert len({image.numpy().tobytes() for image in found}) == 8
