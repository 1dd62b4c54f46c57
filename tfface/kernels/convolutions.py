"""Strided convolutions in bfloat16, some of which oneDNN has no fast form for."""

import functools

import keras
from keras import ops

from tfface import onednn
from tfface.kernels.device import is_tf_cpu
from tfface.kernels.keras_internals import flatten_layers
from tfface.typing import Tensor


def use_fast_convolutions(model: keras.Model) -> None:
    """Makes strided convolutions of a model, nested ones included, train faster in bfloat16.

    Two kinds take several times as long in bfloat16 as in float32 on a processor: depthwise ones
    with a stride, and those of one pixel with a stride on images of an odd size. Weights, saved
    files and, except for rounding, all values stay the same. In other precisions, and on other
    devices and backends, this does nothing.

    Args:
        model: built.

    Example:
        >>> import keras
        >>> from tfface.kernels.convolutions import use_fast_convolutions
        >>> layer = keras.layers.Conv2D(4, 1, strides=2, dtype="mixed_bfloat16")
        >>> model = keras.Sequential([keras.Input((7, 7, 3)), layer])
        >>> use_fast_convolutions(model)
        >>> model.output_shape
        (None, 4, 4, 4)
    """
    if not (is_tf_cpu() and onednn.is_on()):
        return
    for layer in flatten_layers(model):
        if layer.compute_dtype != "bfloat16" or not _is_strided(layer):
            continue
        # Not of their subclasses, which may do something else.
        if type(layer) is keras.layers.DepthwiseConv2D:
            layer.call = functools.partial(_depthwise_call, layer)
        elif type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1):
            layer.convolution_op = functools.partial(_one_pixel_convolution, layer)


def _is_strided(layer: keras.Layer) -> bool:
    strides = getattr(layer, "strides", (1, 1))
    return (
        strides not in (1, (1, 1))
        and getattr(layer, "data_format", None) == "channels_last"
        and getattr(layer, "dilation_rate", None) == (1, 1)
        and getattr(layer, "groups", 1) == 1
    )


def _one_pixel_convolution(layer: keras.layers.Conv2D, inputs: Tensor, kernel: Tensor) -> Tensor:
    """Takes the pixels that the stride leaves first: the convolution then has no stride.

    The mean of one pixel is that pixel, and its gradient is faster than that of a slice.
    """
    taken = ops.average_pool(inputs, 1, layer.strides, padding="valid", data_format="channels_last")
    return ops.conv(taken, kernel, 1, padding="valid", data_format="channels_last")


def _depthwise_call(layer: keras.layers.DepthwiseConv2D, inputs: Tensor) -> Tensor:
    # The cast makes a tensor of a variable: custom gradients take only tensors.
    kernel = ops.cast(layer.kernel, inputs.dtype)
    outputs = _depthwise(inputs, kernel, layer.strides, layer.padding.upper())
    if layer.use_bias:
        outputs = ops.add(outputs, layer.bias)
    return layer.activation(outputs)


def _depthwise(inputs: Tensor, kernel: Tensor, strides: tuple[int, int], padding: str) -> Tensor:
    """A depthwise convolution whose gradient by the inputs is computed in float32."""
    import tensorflow as tf

    strides = [1, *strides, 1]

    @tf.custom_gradient
    def function(inputs, kernel):
        def gradients(upstream):
            by_inputs = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(inputs),
                filter=tf.cast(kernel, tf.float32),
                out_backprop=tf.cast(upstream, tf.float32),
                strides=strides,
                padding=padding,
            )
            by_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=inputs,
                filter_sizes=tf.shape(kernel),
                out_backprop=upstream,
                strides=strides,
                padding=padding,
            )
            return tf.cast(by_inputs, inputs.dtype), by_kernel

        return tf.nn.depthwise_conv2d(inputs, kernel, strides, padding), gradients

    return function(inputs, kernel)
