"""Statistics for batch norms that a file of weights has folded away.

Such a batch norm starts as the identity with a bias. It would compute another function as soon as
it trains, with the statistics of a batch. So before the first step it gets the mean and the
variance of what it is given on training images, and the scale and offset that undo them: the
network's outputs stay, and training goes on from them.
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import layers, ops

from tfface.data.sources.image_source import SourceImages
from tfface.images.decoding import decode_batches
from tfface.kernels.keras_internals import flatten_layers

# Enough for a mean and a deviation of each channel within a few percent.
NUM_IMAGES = 256
_BATCH = 16


def estimate_folded_norms(embedder: keras.Model, images: SourceImages) -> str | None:
    """Estimates the statistics of an embedder's folded batch norms on training images.

    Args:
        embedder: with its initial weights.
        images: of the training, of which `NUM_IMAGES`, evenly spaced, are used. So they are the
            same in every process of a run.

    Returns:
        A line about it; None if nothing was folded.

    Raises:
        InputError: an image can't be decoded.
    """
    if not _folded(embedder):
        return None
    places = np.unique(np.linspace(0, len(images) - 1, NUM_IMAGES).astype(int)).tolist()
    names = images.filenames()
    encoded = [images[place] for place in places]
    batches = decode_batches(
        encoded, [names[place] for place in places], embedder.input_shape[1:3], _BATCH
    )
    number = refresh_statistics(embedder, batches)
    return f"batch norms: statistics of {number} folded ones from {len(places)} training images"


def refresh_statistics(embedder: keras.Model, batches: Iterable[np.ndarray]) -> int:
    """Gives folded batch norms the statistics of images, without changing the embedder's outputs.

    Args:
        embedder: images -> embeddings, with a layer `backbone`.
        batches: uint8 [batch, height, width, 3].

    Returns:
        How many there are.
    """
    backbone = embedder.get_layer("backbone")
    inner = _folded(backbone)
    outer = [norm for norm in _folded(embedder) if norm not in inner]
    before = embedder.layers[embedder.layers.index(backbone) - 1].output
    pixels = keras.Model(embedder.input, before)
    of_backbone, of_neck = _moments(backbone.input, inner), _moments(embedder.input, outer)
    # Of each batch: mean and variance of the first norm, those of the second, and so on.
    found: list[list[np.ndarray]] = []
    counts = []
    for images in batches:
        given = ops.cast(images, "float32")
        tensors = []
        if of_backbone is not None:
            tensors += of_backbone(pixels(given, training=False), training=False)
        if of_neck is not None:
            tensors += of_neck(given, training=False)
        found.append([ops.convert_to_numpy(tensor).astype(np.float64) for tensor in tensors])
        counts.append(len(images))
    for place, norm in enumerate([*inner, *outer]):
        means = np.array([batch[2 * place] for batch in found])
        variances = np.array([batch[2 * place + 1] for batch in found])
        mean = np.average(means, axis=0, weights=counts)
        # Within batches, and between them.
        variance = np.average(variances + np.square(means - mean), axis=0, weights=counts)
        _assign(norm, mean, variance)
    return len(inner) + len(outer)


def num_folded(embedder: keras.Model) -> int:
    """Returns how many batch norms of an embedder have no statistics yet.

    Example:
        >>> import keras
        >>> num_folded(keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()]))
        0
    """
    return len(_folded(embedder))


def _moments(inputs, norms: Sequence[layers.BatchNormalization]) -> keras.Model | None:
    """Returns inputs -> mean and variance of what each batch norm is given; None without any."""
    outputs = []
    for norm in norms:
        outputs += ops.moments(norm.input, axes=list(range(len(norm.input.shape) - 1)))
    return keras.Model(inputs, outputs) if outputs else None


def _assign(norm: layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    beta = ops.convert_to_numpy(norm.beta)
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    norm.gamma.assign(np.sqrt(variance + norm.epsilon))
    norm.beta.assign(beta + mean)


def _folded(model: keras.Model) -> list[layers.BatchNormalization]:
    """Returns the batch norms that are the identity, as `onnx_graph.identity_fills` makes them.

    A batch norm that Keras makes has a variance of 1, and then divides by a little more than 1.
    """
    return [
        layer
        for layer in flatten_layers(model)
        if isinstance(layer, layers.BatchNormalization)
        and np.all(ops.convert_to_numpy(layer.moving_mean) == 0)
        and np.all(ops.convert_to_numpy(layer.gamma) == 1)
        and np.all(ops.convert_to_numpy(layer.moving_variance) == np.float32(1 - layer.epsilon))
    ]
