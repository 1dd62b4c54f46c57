"""The Normalization layer that EfficientNet B0 to B3 begin with.

Keras' published weights hold standard deviations where this layer takes variances. So Keras scales
the pixels once more behind it, but only in a network that it builds for these weights. Networks
that get them in any other way have that scale in the layer's variance, and give the same.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers, ops

from tfface.backbones.backbone import IMAGENET_DEVIATION, IMAGENET_MEAN


def use_weights(model: keras.Layer) -> None:
    """Lets Normalization layers compute with the weights that they have now.

    They compute with copies, which Keras renews only where it reads a file itself. To be called
    after weights were set in any other way.
    """
    for layer in _normalizations(model):
        layer.finalize_state()


def fold_rescaling(model: keras.Layer) -> list[layers.Rescaling]:
    """Moves the scale behind Normalization layers into their variances.

    After it, the model's weights are those of a network without these layers.

    Returns:
        The layers whose scale was moved.
    """
    folded = []
    for normalization in _normalizations(model):
        if len(normalization._outbound_nodes) != 1:
            continue
        layer = normalization._outbound_nodes[0].operation
        scale = _plain_scale(layer, normalization.adapt_variance.shape)
        if scale is not None:
            variance = ops.convert_to_numpy(normalization.adapt_variance)
            normalization.adapt_variance.assign(variance / scale**2)
            folded.append(layer)
    return folded


def fold_published(network: keras.Model) -> None:
    """As `fold_rescaling`, of a network filled from a file that doesn't say how it was built.

    There, the published standard deviations show it.
    """
    for layer in _normalizations(network):
        mean, variance = (
            ops.convert_to_numpy(weight) for weight in (layer.adapt_mean, layer.adapt_variance)
        )
        if _equal(mean, IMAGENET_MEAN) and _equal(variance, IMAGENET_DEVIATION):
            layer.adapt_variance.assign(variance * IMAGENET_DEVIATION)
    use_weights(network)


def _normalizations(model: keras.Layer) -> Iterator[layers.Normalization]:
    """Yields those that have weights; others have constants, which are part of the network."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Normalization) and hasattr(layer, "adapt_variance"):
            yield layer


def _plain_scale(layer: keras.Layer, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns what a Rescaling layer multiplies each channel by; None of any other layer."""
    if not isinstance(layer, layers.Rescaling):
        return None
    try:
        scale, offset = (np.asarray(value, np.float32) for value in (layer.scale, layer.offset))
    except (TypeError, ValueError):
        return None
    if scale.shape not in ((), tuple(shape)) or not np.all(scale > 0) or np.any(offset):
        return None
    return scale


def _equal(values: np.ndarray, expected: tuple[float, ...]) -> bool:
    return values.shape == (len(expected),) and np.allclose(values, expected, rtol=1e-4, atol=0)
