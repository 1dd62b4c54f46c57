"""What every augmentation of the table must do; listing one tests it (with options from here)."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels
from tfface.data.augment import AUGMENTATIONS
from tfface.data.augment.random import for_batch_shard
from tfface.data.pipeline.epoch_order import BatchShard
from tfface.registry import build_from_config, options_schema

SIZE = 16
# Options that certainly change the images; a stage without required options needs no entry.
OPTIONS = {
    "random_crop": {"from_size": 24},
    "random_affine": {"rotation": 20.0, "zoom": 0.2, "shift": 0.1},
    "color_jitter": {"brightness": 0.15, "contrast": [0.7, 1.3], "saturation": 0.3, "hue": 0.05},
    "random_grayscale": {"probability": 0.5},
    "gaussian_noise": {"stddev": 8.0},
    "low_resolution": {"probability": 0.9},
    "random_crop_erase": {"probability": 0.9},
    "grid_mask": {"probability": 0.9, "ratio": [0.4, 0.5]},
    "mixup": {"alpha": 1.0},
    "keras_layer": {"layer": "RandomSharpness", "factor": 0.5},
}
# Further options to test a stage with.
MORE_OPTIONS = {
    "keras_layer, geometric": {"layer": "RandomRotation", "factor": 0.2},
    "keras_layer, KerasCV": {"layer": "keras_cv.layers.RandomHue", "factor": 0.5},
}
STAGES = {
    **{name: (name, OPTIONS.get(name, {})) for name in AUGMENTATIONS},
    **{name: (name.partition(",")[0], options) for name, options in MORE_OPTIONS.items()},
}
LABELS = tf.constant([3, 5, 3, 5, 5, 3, 7, 3])


def mixes(part) -> bool:
    return getattr(part, "mixes_identities", False)


def uses_labels(part) -> bool:
    return getattr(part, "uses_labels", False) or mixes(part)


def those(condition) -> list[str]:
    """The names of the stages for whose class it holds."""
    return [name for name, (key, _) in STAGES.items() if condition(AUGMENTATIONS[key])]


@pytest.fixture(params=STAGES)
def part(request):
    return made(request.param)


@functools.cache
def made(stage: str):
    name, options = STAGES[stage]
    options_schema(AUGMENTATIONS[name]).model_validate(options)
    return build_from_config(AUGMENTATIONS[name], options, None, image_size=(SIZE, SIZE))


@pytest.fixture
def stage(part):
    """The images that it makes, whatever it is called with."""

    def call(images, seed):
        if not uses_labels(part):
            return part(images, seed)
        made = part(images, LABELS, seed)
        return made[0] if mixes(part) else made

    return call


@pytest.fixture
def images(part):
    size = getattr(part, "load_size", (SIZE, SIZE))[0]
    return tf.constant(np.stack([pixels(i, size) for i in range(8)]), tf.float32)


def test_keeps_kind_shape_and_range(stage, images):
    found = stage(images, tf.constant([1, 2]))
    assert found.dtype == tf.float32
    assert found.shape == (8, SIZE, SIZE, 3)
    assert found.numpy().min() >= 0
    assert found.numpy().max() <= 255


def test_uint8_gives_the_same_values(part, stage, images):
    if not getattr(part, "takes_uint8", False):
        pytest.skip("the pipeline gives it float32")
    found = stage(tf.cast(images, tf.uint8), tf.constant([1, 2]))
    assert found.dtype == tf.uint8
    np.testing.assert_array_equal(
        tf.cast(found, tf.float32), stage(tf.round(images), tf.constant([1, 2]))
    )


# Compiling takes most of the time: in the default tier, stages of different kinds.
_COMPILED_BY_DEFAULT = {"random_flip", "random_crop", "color_jitter", "gaussian_blur", "cutmix"}


@pytest.mark.parametrize(
    ("part", "compiled"),
    [
        pytest.param(
            name,
            compiled,
            id=f"{name}-{'compiled' if compiled else 'eager'}",
            marks=[] if compiled and name in _COMPILED_BY_DEFAULT else pytest.mark.slow,
        )
        for compiled in (True, False)
        for name in STAGES
        if not compiled or getattr(AUGMENTATIONS[STAGES[name][0]], "uses_xla", True)
    ],
    indirect=["part"],
)
def test_same_pixels_eagerly_and_in_tf_data(part, stage, images, compiled):
    apply = tf.function(stage, jit_compile=compiled)
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .batch(8)
        .map(lambda batch: apply(batch, tf.constant([5, 6])))
    )
    # Compiled code may join a product and a sum, which rounds once instead of twice.
    np.testing.assert_allclose(next(iter(dataset)), stage(images, tf.constant([5, 6])), atol=1e-2)


def test_the_seed_alone_decides(stage, images):
    tf.random.set_seed(1)
    first = stage(images, tf.constant([7, 8])).numpy()
    tf.random.set_seed(2)
    np.testing.assert_array_equal(stage(images, tf.constant([7, 8])), first)
    for other in ([8, 7], [7, 9], [-7, 8]):
        assert (stage(images, tf.constant(other)).numpy() != first).any()


def test_images_of_a_batch_are_treated_apart(part, stage, images):
    """Eight copies of one image don't all come out alike."""
    copies = tf.repeat(images[:1], 8, axis=0)
    # Mixed with others, they would stay as they are: two images then, in turns.
    if uses_labels(part):
        copies = tf.repeat(images[:2], 4, axis=0)
    found = stage(copies, tf.constant([1, 2])).numpy()
    assert len({image.tobytes() for image in found}) > (2 if uses_labels(part) else 1)


@pytest.mark.parametrize("part", those(lambda kind: not uses_labels(kind)), indirect=True)
def test_an_image_does_not_depend_on_its_neighbours(stage, images):
    whole = stage(images, tf.constant([3, 4])).numpy()
    others = tf.concat([images[:1], 255 - images[1:]], axis=0)
    np.testing.assert_allclose(stage(others, tf.constant([3, 4]))[0], whole[0], atol=1e-3)


@pytest.mark.parametrize("part", those(mixes), indirect=True)
def test_mixed_labels_say_what_an_image_is_made_of(part, images):
    made, labels = tf.function(part, jit_compile=True)(images, LABELS, tf.constant([3, 4]))
    assert labels.keys() == {"identities", "others", "shares"}
    np.testing.assert_array_equal(labels["identities"], LABELS)
    assert labels["others"].dtype == tf.int32
    assert labels["shares"].dtype == tf.float32
    shares = labels["shares"].numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    # Of images that are 1 for one identity and 0 for the rest, the mean is the share of it.
    for identity in (3, 5, 7):
        flat = (
            tf.ones_like(images)
            * tf.cast(tf.equal(LABELS, identity), tf.float32)[:, None, None, None]
        )
        made, _ = part(flat, LABELS, tf.constant([3, 4]))
        wanted = shares * (LABELS.numpy() == identity)
        wanted += (1 - shares) * (labels["others"].numpy() == identity)
        np.testing.assert_allclose(made.numpy().mean(axis=(1, 2, 3)), wanted, atol=1e-5)


def test_a_part_of_a_batch_gets_what_it_gets_in_the_whole(part, stage, images):
    if uses_labels(part):
        pytest.skip("takes pieces of the batch's other images")
    seed = tf.constant([5, 6])
    whole = stage(images, seed).numpy()
    for index in range(2):
        rows = slice(4 * index, 4 * index + 4)
        with for_batch_shard(BatchShard(index, 2)):
            np.testing.assert_allclose(stage(images[rows], seed), whole[rows], atol=1e-3)
