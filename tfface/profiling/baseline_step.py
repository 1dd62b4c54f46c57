"""The baseline of `step`: the training step of arcface-tf2 in plain Keras.

The same code builds it with Keras 3 and with the Keras of TensorFlow 2.1 to 2.15 (the package
`tf_keras`): a network of keras.applications, the recipe's neck, the head of arcface-tf2, which
normalizes all class centers in every step, and Keras' own SGD.
"""

import importlib.util
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

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
    reasons = {
        f"model.backbone {model.backbone.name}": model.backbone.name not in NETWORKS,
        f"model.head {model.head.name}": model.head.name != "arcface",
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
