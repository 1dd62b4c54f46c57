"""Layers of Keras and KerasCV: seeded by (seed, epoch, step), and refused where they don't fit."""

import inspect
import random
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels, write_folder
from tests.training.recipes import load_tiny
from tfface.data.augment import keras_layer
from tfface.data.augment.keras_layer import KerasLayer
from tfface.data.pipeline.epoch_order import EpochOrder
from tfface.data.pipeline.pipeline import image_pipeline
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError

SIZE = (16, 16)
SEED = tf.constant([1, 2])
IMAGES = tf.constant(np.stack([pixels(i) for i in range(6)]), tf.float32)
CV = "keras_cv.layers"


def made(layer, **options):
    return KerasLayer(layer, image_size=SIZE, **options)


def test_a_recipe_gives_the_options_of_the_layer(tmp_path):
    layer = "{layer: RandomShear, x_factor: [0.0, 0.2]}"
    [part] = load_tiny(tmp_path, f"data.augment=[{{keras_layer: {layer}}}]").data.augment
    assert part.options == {"layer": "RandomShear", "x_factor": [0.0, 0.2]}
    with pytest.raises(InputError, match=r"data\.augment\.0\.layer: missing; it must be given"):
        load_tiny(tmp_path, "data.augment=[{keras_layer: {factor: 0.2}}]")


@pytest.mark.parametrize("name", ["AutoContrast", "Equalization"])
def test_a_layer_without_randomness_gives_its_own_result(name):
    layer = tf.function(getattr(keras.layers, name)())
    # Each image alone: Keras' Equalization counts the values of a whole batch.
    expected = tf.concat([layer(image[None]) for image in IMAGES], axis=0)
    np.testing.assert_allclose(made(name)(IMAGES, SEED), expected, atol=1e-3)


def test_the_range_of_pixels_is_filled_in():
    """KerasCV's layer has no default for it."""
    images = tf.round(IMAGES)
    found = made("Posterization", bits=4)(images, SEED)
    np.testing.assert_allclose(found, 16 * tf.floor(images / 16), atol=1e-3)


def test_a_draw_for_a_batch_is_one_for_each_image():
    """Keras' RandAugment draws one list of operations for all images that it is given."""
    copies = tf.repeat(IMAGES[:1], 12, axis=0)
    found = made("RandAugment", factor=0.5)(copies, SEED).numpy()
    assert len({image.tobytes() for image in found}) == 12


@pytest.mark.parametrize(
    "layer", [pytest.param("RandomRotation", marks=pytest.mark.slow), f"{CV}.RandomRotation"]
)
def test_batches_are_a_function_of_seed_epoch_and_step(tmp_path, layer):
    source = FolderSource(write_folder(tmp_path / "faces", {"ann": 6, "bob": 6}))

    def pipeline(seed):
        order, stage = EpochOrder(12, 4, seed=seed, shuffle=False), made(layer, factor=0.3)
        return image_pipeline(source, np.arange(12), order, image_size=SIZE, augment=[stage])

    def batches(pipeline, epoch, first_step=0):
        return [images.numpy() for images, _ in pipeline.epoch(epoch, first_step)]

    first, again, other = map(pipeline, (3, 3, 4))
    keras.utils.set_random_seed(1)
    expected = batches(first, 1)
    assert len(expected) == 3
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(batches(again, 1), expected)
    # Resumed within the epoch.
    np.testing.assert_array_equal(batches(again, 1, first_step=2), expected[2:])
    for others in (batches(first, 2), batches(other, 1)):
        assert all((ours != theirs).any() for ours, theirs in zip(others, expected, strict=True))


def test_steps_differ():
    copies = tf.repeat(IMAGES[:1], 4, axis=0)
    stage = made("RandomRotation", factor=0.3)
    found = [stage(copies, tf.constant([1, step])).numpy() for step in range(5)]
    assert len({images.tobytes() for images in found}) == 5


def test_half_precision_of_the_model_is_not_that_of_the_pixels():
    expected = made("RandomBrightness", factor=0.3)(IMAGES, SEED)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = made("RandomBrightness", factor=0.3)(IMAGES, SEED)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(found, expected)


def test_keras_cv_is_imported_for_its_own_layers_only(monkeypatch):
    def refuse():
        raise AssertionError("imported")

    monkeypatch.setattr(keras_layer, "_import_keras_cv", refuse)
    made("RandomSharpness", factor=0.3)
    with pytest.raises(AssertionError, match="imported"):
        made("RandomChannelShift", factor=0.3)


def test_without_keras_cv(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    made("RandomSharpness", factor=0.3)
    with pytest.raises(InputError, match=r"unknown layer 'RandomChannelShift'.* pip install keras"):
        made("RandomChannelShift", factor=0.3)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        ("RandomSharpnes", {}, "unknown layer 'RandomSharpnes'; did you mean 'RandomSharpness'?"),
        (f"{CV}.RandomCutot", {}, f"unknown layer '{CV}.RandomCutot'; did you mean 'RandomCutout'"),
        ("Dense", {"units": 3}, "unknown layer 'Dense'"),
        ("RandomRotation", {"fill_mod": 1}, "unknown option 'fill_mod'; did you mean 'fill_mode'?"),
        ("RandomRotation", {"seed": 1}, "unknown option 'seed'"),
        ("RandomRotation", {}, "RandomRotation: factor is missing; it must be given"),
        ("RandomRotation", {"factor": "x"}, "RandomRotation: .*Received: factor=x"),
        ("RandomBrightness", {"factor": 0.1, "value_range": [0, 1]}, "must be \\[0, 255\\]"),
        ("CenterCrop", {"height": 8, "width": 8}, "returns images of 8 x 8 x 3, not 16 x 16 x 3"),
        (f"{CV}.Grayscale", {}, "returns images of 16 x 16 x 1, not 16 x 16 x 3"),
        ("MixUp", {}, "MixUp mixes several images and their labels: use mixup, cutmix"),
        (f"{CV}.Mosaic", {}, "Mosaic mixes several images and their labels"),
        (f"{CV}.Rescaling", {"scale": 2.0}, "returns pixels in 0 to 5.*: only layers that keep"),
        (f"{CV}.RandomJpegQuality", {"factor": [20, 80]}, "returns pixels in .* to 1: only layers"),
        ("AugMix", {}, "can't be seeded \\(Python's random\\): its images would not be a"),
        (f"{CV}.AugMix", {}, "can't be seeded \\(RandomGamma\\): its images would not be a"),
    ],
)
def test_what_does_not_fit_is_refused(layer, options, message):
    with pytest.raises(InputError, match=f"^keras_layer: .*{message}"):
        made(layer, **options)


# Options without which layers can't be made.
REQUIRED = {
    **{"bits": 4, "factor": 0.3, "kernel_size": 3, "height": 16, "width": 16},
    **{"target_size": [16, 16], "crop_area_factor": [0.5, 1.0], "aspect_ratio_factor": [0.8, 1.2]},
    **{"scale_factor": [0.8, 1.2], "scale": 1.0, "height_factor": 0.3, "width_factor": 0.3},
    **{"brightness_factor": 0.2, "contrast_factor": 0.2},
    **{"saturation_factor": 0.6, "hue_factor": 0.2},
}
OF_LAYERS = {
    "RandomPosterization": {"factor": 4},
    "RandomJpegQuality": {"factor": [20, 80]},
    "RandomErasing": {"factor": 1.0},
}


# Layers that don't fit; all others do.
REFUSED = {
    *("keras.layers.AugMix", f"{CV}.AugMix", f"{CV}.Grayscale"),
    *(f"{CV}.RandomAspectRatio", f"{CV}.RandomJpegQuality"),
}


@pytest.mark.slow
def test_every_other_layer_is_seeded():
    refused, num_layers = set(), 0
    modules = {"keras.layers": keras.layers, CV: keras_layer._import_keras_cv().layers}
    for package, module in modules.items():
        for name, kind in keras_layer._image_layers(module).items():
            if name in keras_layer._MIXING:
                continue
            parameters = inspect.signature(kind.__init__).parameters
            options = {
                option: value
                for option, value in REQUIRED.items()
                if option in parameters
                and (option == "factor" or parameters[option].default is inspect.Parameter.empty)
            }
            layer = f"{package}.{name}"
            num_layers += 1
            try:
                stages = [made(layer, **{**options, **OF_LAYERS.get(name, {})}) for _ in range(2)]
            except InputError:
                refused.add(layer)
                continue
            random.seed(1)
            first = stages[0](IMAGES, SEED)
            stages[1](IMAGES, SEED + 1)
            random.seed(2)
            np.testing.assert_array_equal(stages[1](IMAGES, SEED), first, err_msg=layer)
    assert refused == REFUSED
    assert num_layers > 50
