"""The network that is exported: pixels in, embeddings out, with all that lies between."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from tfface.exporting.options import ExportOptions
from tfface.kernels.keras_internals import flatten_layers

# Of the input, in every format.
INPUT_NAME = "images"
# Of the square of an embedding's norm, so that a blank image's embedding is not divided by 0.
_LEAST_SQUARE = 1e-12


def export_network(network: keras.Model, options: ExportOptions) -> keras.Model:
    """Adds to an embedder what the options say.

    Args:
        network: maps float RGB [batch, height, width, 3] in 0..255 to [batch, embedding_size]; it
            contains its input normalization.
        options: of the export.

    Returns:
        A model that shares the weights. It takes uint8, or float32 with `input_range`, in the
        layout and the batch size of the options, and returns float32 [batch, embedding_size].

    Example:
        >>> network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> model = export_network(network, ExportOptions(layout="nchw", normalized=True))
        >>> model.input_shape, model.output_shape
        ((None, 3, 8, 8), (None, 192))
    """
    _, height, width, channels = network.input_shape
    shape = (height, width, channels)
    if options.layout == "nchw":
        shape = (channels, height, width)
    images = keras.Input(
        shape,
        batch_size=options.batch_size,
        dtype="uint8" if options.input_range is None else "float32",
        name=INPUT_NAME,
    )
    pixels = ops.cast(images, "float32")
    if options.input_range is not None:
        # Not (x - shift) / scale, of which LiteRT's int8 makes other pixels before a padded
        # convolution.
        scale = 1 / options.pixels.scale
        pixels = pixels * scale - options.pixels.shift * scale
    if options.layout == "nchw":
        pixels = ops.transpose(pixels, (0, 2, 3, 1))
    if options.flip:
        both = ops.concatenate([pixels, ops.flip(pixels, axis=2)], axis=0)
        original, mirrored = ops.split(network(both, training=False), 2, axis=0)
        embedding = original + mirrored
    else:
        embedding = network(pixels, training=False)
    if options.normalized:
        square = ops.sum(ops.square(embedding), axis=1, keepdims=True)
        embedding = embedding / ops.sqrt(ops.maximum(square, _LEAST_SQUARE))
    return keras.Model(images, embedding, name="embedder")


def signature(model: keras.Model) -> list[keras.InputSpec]:
    """Returns the `input_signature` of a model of `export_network`, for Keras' `export`."""
    taken = model.inputs[0]
    return [keras.InputSpec(dtype=taken.dtype, shape=tuple(taken.shape), name=INPUT_NAME)]


def normalization_inside(
    network: keras.Model,
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Returns scale and offset of the first Rescaling layer: three numbers each, or None.

    Example:
        >>> rescaling = keras.layers.Rescaling(1 / 127.5, -1.0)
        >>> network = keras.Sequential([keras.Input((8, 8, 3)), rescaling])
        >>> normalization_inside(network)[1]
        (-1.0, -1.0, -1.0)
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.Rescaling):
            scale, offset = (
                tuple(float(value) for value in ops.convert_to_numpy(ops.ones(3) * given))
                for given in (layer.scale, layer.offset)
            )
            return scale, offset
    return None


def in_float32(network: keras.Model) -> keras.Model:
    """Returns a network that computes in float32, with the same weights.

    Converters don't know the half precision of networks that were trained with mixed precision. The
    weights of these are float32.

    Args:
        network: the network itself is returned if all of it is in float32.

    Example:
        >>> network = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(3, dtype="mixed_bfloat16")]
        ... )
        >>> in_float32(network).layers[0].compute_dtype
        'float32'
    """
    if all(layer.compute_dtype == "float32" for layer in flatten_layers(network)):
        return network
    config = _with_policy(network.get_config(), "float32")
    copy = network.__class__.from_config(config)
    copy.set_weights(network.get_weights())
    return copy


def _with_policy(config: Any, policy: str) -> Any:
    """Returns a configuration of Keras with another policy in all layers."""
    if isinstance(config, Mapping):
        if config.get("class_name") == "DTypePolicy":
            return policy
        return {key: _with_policy(value, policy) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(value, policy) for value in config)
    return config
