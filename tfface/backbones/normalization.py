"""The Normalization layer of EfficientNet B0 to B3.

Keras' published weights contain standard deviations instead of this layer's variances. Keras
corrects that by a Rescaling layer, but only in a network that it builds for these weights. Networks
that load the weights in any other way get the correction in the layer's variance.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers, ops

from tfface.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from tfface.kernels.keras_internals import consumers, flatten_layers


def use_weights(model: keras.Layer) -> None:
    """Updates Normalization layers after their weights were set.

    They compute with copies of their weights, which Keras updates only when it loads a file.

    Args:
        model: a model with such layers at any depth.
    """
    for layer in _normalizations(model):
        layer.finalize_state()


def fold_rescaling(model: keras.Layer) -> list[layers.Rescaling]:
    """Moves the scale of Rescaling layers behind Normalization layers into their variances.

    Afterwards, the model's weights are those of a network without these Rescaling layers.

    Args:
        model: a model with such layers at any depth.

    Returns:
        The Rescaling layers.
    """
    folded = []
    for normalization in _normalizations(model):
        following = consumers(normalization)
        if len(following) != 1:
            continue
        (layer,) = following
        scale = _plain_scale(layer, normalization.adapt_variance.shape)
        if scale is not None:
            variance = ops.convert_to_numpy(normalization.adapt_variance)
            normalization.adapt_variance.assign(variance / scale**2)
            folded.append(layer)
    return folded


def fold_published(network: keras.Model) -> None:
    """As `fold_rescaling`, for a network loaded from a file of weights alone.

    The published standard deviations show that the correction is missing.
    """
    for layer in _normalizations(network):
        mean, variance = (
            ops.convert_to_numpy(weight) for weight in (layer.adapt_mean, layer.adapt_variance)
        )
        if _equal(mean, IMAGENET_MEAN) and _equal(variance, IMAGENET_STD):
            layer.adapt_variance.assign(variance * IMAGENET_STD)
    use_weights(network)


def _normalizations(model: keras.Layer) -> Iterator[layers.Normalization]:
    """Yields Normalization layers with weights; in others, mean and variance are constants."""
    for layer in flatten_layers(model):
        if isinstance(layer, layers.Normalization) and hasattr(layer, "adapt_variance"):
            yield layer


def _plain_scale(layer: keras.Layer, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the scale of a Rescaling layer without offset; None for any other layer."""
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
