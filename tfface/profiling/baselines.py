"""The baselines of profiling: the training step of arcface-tf2, and two other input pipelines.

The step is plain Keras: the same code builds it with Keras 3 and with the Keras of TensorFlow 2.1
to 2.15 (the package `tf_keras`), from a network of keras.applications, the recipe's neck, the head
of arcface-tf2, which normalizes all class centers in every step, and Keras' own SGD.

The pipelines are PyTorch's DataLoader, and arcface-tf2's, in which each record is parsed, decoded,
resized, cropped, flipped and color-jittered by itself.
"""

import importlib
import importlib.util
import io
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tfface.data.augment.random import range_of_amount
from tfface.data.records import example
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.recipe import Recipe

NETWORKS = {
    "resnet50": ("ResNet50", 1.0, (103.939, 116.779, 123.68)),
    "vgg16": ("VGG16", 1.0, (103.939, 116.779, 123.68)),
    "mobilenet_v2": ("MobileNetV2", 127.5, (127.5, 127.5, 127.5)),
}


def build_baseline_step(
    library: str, recipe: Recipe, num_identities: int, batch: tuple[np.ndarray, np.ndarray]
) -> Callable[[], float]:
    """Builds a training step.

    Args:
        library: "keras" or "tf_keras".
        recipe: A recipe that `check_baseline_step` accepts.
        num_identities: Number of classes of the head.
        batch: Images, uint8 [batch, height, width, 3], and labels, int32 [batch].

    Returns:
        A function that runs the step and returns its loss.
    """
    keras = importlib.import_module(library)
    embedder = _embedder(keras, recipe)
    options = recipe.model.head.options
    size = embedder.output_shape[-1]
    limit = math.sqrt(6 / (size + num_identities))
    centers = tf.Variable(tf.random.uniform([size, num_identities], -limit, limit))
    optimizer_options = recipe.training.stages[0].optimizer.options
    optimizer = keras.optimizers.SGD(
        optimizer_options["learning_rate"],
        momentum=optimizer_options["momentum"],
        nesterov=optimizer_options["nesterov"],
        weight_decay=optimizer_options["weight_decay"] or None,
    )
    # Keras 3 wraps TensorFlow's variables.
    variables = [v if isinstance(v, tf.Variable) else v.value for v in embedder.trainable_variables]
    variables.append(centers)

    @tf.function(autograph=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            embeddings = tf.nn.l2_normalize(embedder(images, training=True), axis=1)
            logits = _logits(embeddings, centers, labels, options["margin"], options["scale"])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    tensors = tuple(map(tf.constant, batch))
    return lambda: float(step(*tensors))


def check_baseline_step(library: str, recipe: Recipe) -> None:
    """Checks whether the baseline step of a recipe can be built.

    Args:
        library: "keras" or "tf_keras".
        recipe: The recipe.

    Raises:
        InputError: The library is not installed, or the baseline has no such component.
    """
    if importlib.util.find_spec(library) is None:
        raise InputError(f"--compare-with {library}: {library} is not installed here")
    model, stage = recipe.model, recipe.training.stages[0]
    head = None if model.head is None else model.head.name
    reasons = {
        f"model.backbone {model.backbone.name}": model.backbone.name not in NETWORKS,
        f"model.head {head}": head != "arcface",
        "training.distillation": recipe.training.distillation is not None,
        "model.neck.hidden_units": bool(model.neck.hidden_units),
        f"model.neck.pooling {model.neck.pooling}": model.neck.pooling == "adaptive_average_7x7",
        f"optimizer {stage.optimizer.name}": stage.optimizer.name != "sgd",
        f"training.precision {recipe.training.precision}": recipe.training.precision != "float32",
    }
    for what, is_missing in reasons.items():
        if is_missing:
            raise InputError(
                f"--compare-with: the baseline step has no {what}; it has {', '.join(NETWORKS)} "
                "with arcface, sgd and float32"
            )


def _embedder(keras, recipe: Recipe):
    name, scale, offset = NETWORKS[recipe.model.backbone.name]
    height, width = recipe.data.image_size
    layers, neck = keras.layers, recipe.model.neck
    images = keras.Input((height, width, 3))
    values = layers.Rescaling(1 / scale, [-channel / scale for channel in offset])(images)
    network = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(height, width, 3)
    )
    values = network(values)
    if neck.input_batch_norm:
        values = layers.BatchNormalization()(values)
    if neck.pooling == "flatten":
        values = layers.Flatten()(values)
    else:
        pooling = {"max": layers.GlobalMaxPooling2D, "average": layers.GlobalAveragePooling2D}
        values = pooling[neck.pooling]()(values)
    if neck.dropout:
        values = layers.Dropout(neck.dropout)(values)
    if recipe.model.embedding_size is not None:
        values = layers.Dense(recipe.model.embedding_size)(values)
    if neck.batch_norm:
        values = layers.BatchNormalization()(values)
    return keras.Model(images, values)


def _logits(embeddings, centers, labels, margin: float, scale: float):
    cosines = tf.matmul(embeddings, tf.nn.l2_normalize(centers, axis=0))
    sines = tf.sqrt(tf.maximum(1.0 - cosines**2, 1e-12))
    shifted = cosines * math.cos(margin) - sines * math.sin(margin)
    continued = cosines - margin * math.sin(margin)
    shifted = tf.where(cosines > math.cos(math.pi - margin), shifted, continued)
    is_own = tf.one_hot(labels, centers.shape[1], on_value=True, off_value=False)
    return scale * tf.where(is_own, shifted, cosines)


# arcface-tf2's.
_SHUFFLE_BUFFER = 10_240

# Name of an augmentation -> its options.
Augmentations = Mapping[str, Mapping[str, Any]]

SUPPORTED = {
    "random_crop": {"from_size"},
    "random_flip": {"probability"},
    "color_jitter": {"brightness", "contrast", "saturation"},
}


def unsupported_augmentation(augmentations: Augmentations) -> str | None:
    """Returns the first augmentation, or option of one, that the baselines don't support.

    Args:
        augmentations: Those of a recipe.

    Returns:
        Its name; None if all are supported.

    Example:
        >>> unsupported_augmentation({"random_flip": {"probability": 0.5}, "mixup": {}})
        'mixup'
    """
    for name, options in augmentations.items():
        if name not in SUPPORTED:
            return name
        # Other options have no effect if they are 0.
        unknown = sorted(key for key in options if options[key] and key not in SUPPORTED[name])
        if unknown:
            return f"{name}: {unknown[0]}"
    return None


def arcface_tf2_batches(
    source: ImageSource, image_size: tuple[int, int], batch_size: int, augmentations: Augmentations
) -> tf.data.Dataset:
    """Makes batches as arcface-tf2 does: the same operations of TensorFlow in the same order.

    Records are repeated, shuffled, and one by one parsed, decoded, resized, cropped, mirrored and
    changed in color by `tf.image`; then batched. TensorFlow tunes the number of parallel calls.

    Args:
        source: The source. Its record files are read directly, if it has any.
        image_size: (height, width) of the batches.
        batch_size: Images in a batch.
        augmentations: Those to apply, all in `SUPPORTED`. arcface-tf2's own are those of
            `recipes/arcface_resnet50_ms1m.yaml`.

    Returns:
        A `tf.data.Dataset` without an end, of ((images, labels), labels): images float32 [batch,
        height, width, 3] in about [0, 1], labels float32 [batch].
    """
    features = {
        example.LABEL: tf.io.FixedLenFeature([], tf.int64),
        example.FILENAME: tf.io.FixedLenFeature([], tf.string),
        example.ENCODED: tf.io.FixedLenFeature([], tf.string),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(serialized, features)
        return parsed[example.ENCODED], parsed[example.LABEL]

    def load(encoded: tf.Tensor, label: tf.Tensor) -> tuple:
        image = tf.image.decode_jpeg(encoded, channels=3)
        crop = augmentations.get("random_crop")
        image = tf.image.resize(image, (crop["from_size"],) * 2 if crop else image_size)
        if crop:
            image = tf.image.random_crop(image, (*image_size, 3))
        if "random_flip" in augmentations:
            image = tf.image.random_flip_left_right(image)
        image = _jittered(image, augmentations.get("color_jitter", {})) / 255
        label = tf.cast(label, tf.float32)
        return (image, label), label

    if source.record_files:
        files = [str(file) for file in source.record_files]
        dataset = tf.data.TFRecordDataset(files).repeat().shuffle(_SHUFFLE_BUFFER)
        dataset = dataset.map(lambda record: load(*parse(record)), tf.data.AUTOTUNE)
    else:
        labels = tf.constant(source.labels)
        dataset = source.encoded(np.arange(source.num_images)).repeat().shuffle(_SHUFFLE_BUFFER)
        dataset = dataset.map(lambda index, encoded: load(encoded, labels[index]), tf.data.AUTOTUNE)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _jittered(image: tf.Tensor, options: Mapping[str, Any]) -> tf.Tensor:
    """Changes the colors of a float32 image in [0, 255]."""
    if options.get("saturation"):
        image = tf.image.random_saturation(image, *_range(options, "saturation"))
    if options.get("brightness"):
        image = tf.image.random_brightness(image, 255 * _range(options, "brightness")[1])
    if options.get("contrast"):
        image = tf.image.random_contrast(image, *_range(options, "contrast"))
    return image


def _range(options: Mapping[str, Any], effect: str) -> tuple[float, float]:
    neutral = 0.0 if effect == "brightness" else 1.0
    return range_of_amount(
        f"color_jitter: {effect}", options[effect], neutral=neutral, low=-1.0, high=float("inf")
    )


def is_torch_installed() -> bool:
    return importlib.util.find_spec("torch") is not None


def torch_batches(
    source: ImageSource, image_size: tuple[int, int], batch_size: int, augmentations: Augmentations
) -> Iterable:
    """Makes batches with PyTorch's DataLoader and Pillow, with one worker process per CPU.

    Args:
        source: The source.
        image_size: (height, width) of the batches.
        batch_size: Images in a batch.
        augmentations: Those to apply, all in `SUPPORTED`.

    Returns:
        An iterable of images, uint8 [batch, height, width, 3], and labels, int [batch]. It can be
        iterated several times; its workers persist.
    """
    return importlib.import_module("torch.utils.data").DataLoader(
        PillowImages(source, image_size, augmentations),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count(),
        persistent_workers=True,
        # TensorFlow's threads don't survive a fork.
        multiprocessing_context="spawn",
    )


class PillowImages:
    """A map-style dataset for PyTorch: the images of a source, decoded with Pillow.

    Args:
        source: The source.
        image_size: (height, width) of its images.
        augmentations: Those to apply, all in `SUPPORTED`.
    """

    def __init__(
        self, source: ImageSource, image_size: tuple[int, int], augmentations: Augmentations
    ):
        self._source = source
        self._image_size = image_size
        self._augmentations = augmentations
        self._generator = np.random.default_rng()

    def __len__(self) -> int:
        return self._source.num_images

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Returns an image, uint8 [height, width, 3], and its label."""
        encoded = self._source.read(int(index)).encoded
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        height, width = self._image_size
        if "random_crop" in self._augmentations:
            height = width = self._augmentations["random_crop"]["from_size"]
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        for name, options in self._augmentations.items():
            image = self._augment(image, name, options)
        return np.array(image), int(self._source.labels[index])

    def _augment(self, image: Image.Image, name: str, options: Mapping[str, Any]) -> Image.Image:
        height, width = self._image_size
        if name == "random_crop":
            left = int(self._generator.integers(image.width - width + 1))
            top = int(self._generator.integers(image.height - height + 1))
            return image.crop((left, top, left + width, top + height))
        if name == "random_flip":
            return ImageOps.mirror(image) if self._generator.random() < 0.5 else image
        for effect, enhance in (
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("saturation", ImageEnhance.Color),
        ):
            if options.get(effect):
                # Pillow's brightness is a factor.
                neutral = 1.0 if effect == "brightness" else 0.0
                factor = neutral + self._generator.uniform(*_range(options, effect))
                image = enhance(image).enhance(factor)
        return image
