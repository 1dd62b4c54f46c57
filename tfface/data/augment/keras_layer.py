"""Preprocessing layers of Keras and KerasCV as augmentations, with stateless random numbers.

Keras' layers draw from a `SeedGenerator`, which `_get_seed_generator` of the layer returns;
KerasCV's from a `tf.random.Generator` and from `FactorSampler`s. All three are replaced by objects
that derive their numbers from the seed of the image. Tried with Keras 3.15 and KerasCV 0.9.
"""

import functools
import inspect
import random
import re
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfface.data.augment.random import seeds_of_images
from tfface.errors import InputError, nearest
from tfface.kernels.keras_internals import with_seed_generator

_MIXING = {"CutMix", "FourierMix", "Mosaic", "MixUp"}
# They take other layers, which a recipe can't write, or bounding boxes.
_NOT_USABLE = {
    *("MaxNumBoundingBoxes", "RandomApply", "RandomAugmentationPipeline", "RandomChoice"),
    "RepeatedAugmentation",
}
# Options of all layers that the program decides.
_NOT_OPTIONS = {"self", "kwargs", "bounding_box_format", "data_format", "dtype", "name", "seed"}
# Operations that draw from a state of their own.
_STATEFUL = re.compile("(?!Stateless).*(Random|Multinomial|TruncatedNormal|Rng|StatefulUniform)")


class KerasLayer:
    """Applies a preprocessing layer of Keras or KerasCV to each image.

    The layer gets one image at a time, with a seed of its own that is derived from the seed of the
    batch. So the images are a function of (seed, epoch, step), whatever was drawn before, and do
    not depend on the other images: a layer that draws once for a whole batch, as
    `keras.layers.RandAugment` does, draws once for each image. Labels do not change. Pixels are in
    0..255 before and after; results beyond that are clipped. `value_range` is filled in.

    XLA does not compile the layers, since some of their operations can't be compiled.

    Args:
        layer: Name of an image layer in `keras.layers`, or else, where the package is installed, in
            `keras_cv.layers`. A name that both have is Keras' layer; `keras_cv.layers.RandomHue`
            is KerasCV's.
        image_size: (height, width) of the images.
        options: The layer's own options.

    Raises:
        InputError: There is no such layer, or it mixes the labels of images, returns images of
            another size or range, or draws random numbers that can't be seeded; an option is
            unknown, missing or not allowed.

    Example:
        >>> sharpness = KerasLayer("RandomSharpness", factor=0.5, image_size=(32, 32))
        >>> images = tf.random.stateless_uniform([4, 32, 32, 3], [1, 2], 0, 255)
        >>> first, again, other = (
        ...     sharpness(images, tf.constant(seed)) for seed in ([3, 4], [3, 4], [3, 5])
        ... )
        >>> bool(tf.reduce_all(first == again)), bool(tf.reduce_all(first == other))
        (True, False)
    """

    uses_xla = False

    def __init__(self, layer: str, *, image_size: tuple[int, int], **options: Any):
        self._what = f"keras_layer: {layer}"
        self._seeds = _Seeds()
        self._layer = _build(layer, self._what, options, self._seeds)
        # With another backend, Keras' layers run on TensorFlow only inside of a function.
        self._augment_one = tf.function(self._augment_image)
        self._check(image_size)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda task: tf.clip_by_value(self._augment_one(*task), 0.0, 255.0),
            (images, seeds_of_images(tf.shape(images)[0], seed)),
            fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
        )

    def _augment_image(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        self._seeds.start(seed)
        return tf.cast(self._layer(image), tf.float32)

    def _check(self, image_size: tuple[int, int]) -> None:
        """Raises InputError unless an image comes back with its size and range, by its seed."""
        image = np.random.default_rng(0).integers(0, 256, (*image_size, 3)).astype(np.float32)
        seed, python_state = tf.constant([1, 2]), random.getstate()
        try:
            found = self._augment_one(image, seed).numpy()
            graph = self._augment_one.get_concrete_function(image, seed).graph.as_graph_def()
        except (AttributeError, TypeError, ValueError, tf.errors.OpError) as error:
            raise InputError(f"{self._what} can't be used: {_reason(error)}") from error
        if found.shape != image.shape:
            given, wanted = (" x ".join(map(str, array.shape)) for array in (found, image))
            raise InputError(
                f"{self._what} returns images of {given}, not {wanted} as before: layers that "
                "change the size can't be used; random_crop is an augmentation of its own"
            )
        # The image has all values: what stays below 2 is in 0 to 1.
        if not (found.min() > -128 and 2 < found.max() < 383):
            raise InputError(
                f"{self._what} returns pixels in {found.min():g} to {found.max():g}: only layers "
                "that keep pixels in 0 to 255 can be used"
            )
        nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
        stateful = sorted({node.op for node in nodes if _STATEFUL.match(node.op)})
        if random.getstate() != python_state:
            stateful.append("Python's random")
        if stateful:
            raise InputError(
                f"{self._what} draws random numbers that can't be seeded ({', '.join(stateful)}): "
                "its images would not be a function of seed, epoch and step"
            )


class _Seeds(keras.random.SeedGenerator):
    """The seeds of the random numbers of one image: int32 [2] each."""

    def __init__(self):
        # Without the variable of the base class: the state is the seed of the image.
        self._seed: tf.Tensor | None = None
        self._count = 0

    def start(self, seed: tf.Tensor) -> None:
        """Starts with the numbers of an image; called where TensorFlow traces its augmentation."""
        self._seed, self._count = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._count += 1
        return self._seed + tf.constant([0, self._count])


def _build(layer: str, what: str, options: dict[str, Any], seeds: _Seeds) -> Callable:
    """Returns a function image -> image that draws by the seeds."""
    kind = _find(layer)
    parameters = inspect.signature(kind.__init__).parameters
    known = [name for name in parameters if name not in _NOT_OPTIONS]
    for name in options:
        if name not in known:
            raise InputError(f"{what}: unknown option '{name}'; {_suggest(name, known)}")
    options = {name: _without_lists(value) for name, value in options.items()}
    if "value_range" in known and options.setdefault("value_range", (0, 255)) != (0, 255):
        raise InputError(f"{what}: value_range must be [0, 255], which is the range of the pixels")
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise InputError(f"{what}: {name} is missing; it must be given")
    # Layers take the policy of the model otherwise, which may be half precision.
    options["dtype"] = "float32"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind.__module__.startswith("keras_cv."):
                built = kind(**options)
                _replace_generators(built, seeds)
                return built
            kind = with_seed_generator(kind, seeds)
            return functools.partial(kind(**options), training=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: {_reason(error)}") from error


def _find(layer: str) -> type:
    """Returns the class of a layer."""
    package, _, name = layer.rpartition(".")
    if name in _MIXING:
        raise InputError(
            f"keras_layer: {layer} mixes several images and their labels: use mixup, cutmix or "
            "one_class_cutmix, which are augmentations of their own"
        )
    packages = {"keras.layers": _image_layers(keras.layers)}
    missing = ""
    if package == "keras_cv.layers" or name not in packages["keras.layers"]:
        keras_cv = _import_keras_cv()
        if keras_cv is None:
            missing = "; keras_cv is not installed: pip install keras-cv"
        else:
            packages["keras_cv.layers"] = _image_layers(keras_cv.layers)
    for place, layers in packages.items():
        if package in ("", place) and name in layers:
            return layers[name]
    known = sorted(set().union(*packages.values()) - _MIXING)
    raise InputError(f"keras_layer: unknown layer '{layer}'; {_suggest(name, known)}{missing}")


def _image_layers(module: types.ModuleType) -> dict[str, type]:
    """Returns the layers of a package that change images, by name."""
    if module is keras.layers:
        # Their base class, which is not public.
        bases: tuple = tuple(keras.layers.RandomFlip.__bases__)
    else:
        bases = (module.BaseImageAugmentationLayer, module.VectorizedBaseImageAugmentationLayer)
    return {
        name: kind
        for name, kind in vars(module).items()
        if inspect.isclass(kind)
        and issubclass(kind, bases)
        and kind not in bases
        and name not in _NOT_USABLE
    }


def _import_keras_cv() -> types.ModuleType | None:
    """Imports KerasCV, which takes seconds, without its warnings; None if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import keras_cv
    except ImportError:
        return None
    return keras_cv


def _replace_generators(layer: keras.layers.Layer, seeds: _Seeds) -> None:
    """Lets a layer of KerasCV, and the layers inside of it, draw by the seeds."""
    import keras_cv

    class Factor(keras_cv.core.FactorSampler):
        def __init__(self, draw: Callable):
            self._draw = draw

        def __call__(self, shape=(), dtype="float32"):
            return self._draw(shape, seeds.next(), dtype)

    for name, value in list(vars(layer).items()):
        if isinstance(value, tf.random.Generator):
            setattr(layer, name, _Generator(seeds))
        elif isinstance(value, keras_cv.core.UniformFactorSampler):
            setattr(layer, name, Factor(functools.partial(_uniform, value.lower, value.upper)))
        elif isinstance(value, keras_cv.core.NormalFactorSampler):
            setattr(layer, name, Factor(functools.partial(_normal, value)))
        else:
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, keras.layers.Layer):
                    _replace_generators(one, seeds)


def _uniform(low: float, high: float, shape, seed: tf.Tensor, dtype) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, low, high, dtype)


def _normal(sampler: Any, shape, seed: tf.Tensor, dtype) -> tf.Tensor:
    drawn = tf.random.stateless_normal(shape, seed, sampler.mean, sampler.stddev, dtype)
    return tf.clip_by_value(drawn, sampler.min_value, sampler.max_value)


class _Generator:
    """The methods of `tf.random.Generator` that KerasCV calls."""

    def __init__(self, seeds: _Seeds):
        self._seeds = seeds

    def uniform(self, shape, minval=0, maxval=None, dtype=tf.float32) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self._seeds.next(), minval, maxval, dtype)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=tf.float32) -> tf.Tensor:
        return tf.random.stateless_normal(shape, self._seeds.next(), mean, stddev, dtype)


def _without_lists(value: Any) -> Any:
    """Some layers take ranges as tuples only, and a recipe has lists."""
    return tuple(map(_without_lists, value)) if isinstance(value, list) else value


def _suggest(given: str, known: Iterable[str]) -> str:
    near = nearest(given, known)
    return f"did you mean '{near}'?" if near else f"Known: {', '.join(known)}"


def _reason(error: Exception) -> str:
    """Returns the first line of an error that says what is wrong.

    Keras puts that in bold between other lines.
    """
    text = str(error)
    bold = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
    return (bold.group(1) if bold else text).strip().splitlines()[0]
