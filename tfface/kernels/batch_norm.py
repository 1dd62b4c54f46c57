"""Batch normalization in training that takes few passes over the activations."""

import functools

import keras
from keras import ops

from tfface import onednn
from tfface.kernels.device import is_tf_cpu
from tfface.kernels.keras_internals import flatten_layers


def use_fast_batch_norms(model: keras.Model) -> None:
    """Makes the batch norms of a model, nested ones included, train faster on a CPU.

    Weights, saved files and, except for rounding, all values stay the same. Keras' own form is used
    where a norm is frozen or the model is not training, and not in bfloat16: it is the faster one
    there. On other devices and backends this does nothing.

    Example:
        >>> import keras
        >>> from tfface.kernels.batch_norm import use_fast_batch_norms
        >>> layers = [keras.Input((4,)), keras.layers.BatchNormalization()]
        >>> model = keras.Sequential(layers)
        >>> use_fast_batch_norms(model)
    """
    if not is_tf_cpu():
        return
    for layer in flatten_layers(model):
        # Not of its subclasses, which may do something else.
        if type(layer) is keras.layers.BatchNormalization and _is_plain(layer):
            layer.call = functools.partial(_call, layer)


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    spec = layer.input_spec
    is_of_last_axis = spec is not None and layer.axis in (-1, spec.ndim - 1)
    return is_of_last_axis and not layer.renorm


def _call(layer: keras.layers.BatchNormalization, inputs, training=None, mask=None):
    is_training = training and layer.trainable
    # The operation takes it as it is, and has float32 statistics.
    is_bfloat16 = onednn.is_on() and keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
    if mask is not None or not (is_training or is_bfloat16):
        return keras.layers.BatchNormalization.call(layer, inputs, training=training, mask=mask)
    num_channels = inputs.shape[-1]
    # Adding 0 makes a tensor of a variable: custom gradients take only tensors.
    gamma = layer.gamma + 0.0 if layer.scale else ops.ones(num_channels)
    beta = layer.beta + 0.0 if layer.center else ops.zeros(num_channels)
    values = inputs if is_bfloat16 else ops.cast(inputs, "float32")
    if onednn.is_on():
        values = values if len(inputs.shape) == 4 else ops.reshape(values, (-1, 1, 1, num_channels))
        moving = None if is_training else (layer.moving_mean.value, layer.moving_variance.value)
        outputs, mean, variance = _fused_batch_norm(
            values, gamma, beta, epsilon=layer.epsilon, given=moving
        )
    else:
        values = ops.reshape(values, (-1, num_channels))
        outputs, mean, variance = batch_norm(values, gamma, beta, epsilon=layer.epsilon)
    if is_training:
        for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            value = ops.stop_gradient(value)
            moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
    if outputs.shape != inputs.shape:
        outputs = ops.reshape(outputs, ops.shape(inputs))
    return ops.cast(outputs, layer.compute_dtype)


def batch_norm(values, gamma, beta, *, epsilon: float):
    """Normalizes vectors by the statistics of their batch, with a gradient written by hand.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

    Sums over the batch are products with a vector of ones, which run several times as fast as the
    reductions that Keras makes.

    Args:
        values: float32 [batch, channels].
        gamma, beta: float32 [channels].
    Returns: y float32 [batch, channels]; mean and variance float32 [channels], without gradients.
    """

    @ops.custom_gradient
    def function(values, gamma, beta):
        ones = ops.ones((1, ops.shape(values)[0]))
        count = ops.cast(ops.shape(values)[0], "float32")

        def total(of):
            return ops.matmul(ones, of)[0]

        mean = total(values) / count
        variance = total(ops.square(values - mean)) / count
        inverse = ops.rsqrt(variance + epsilon)
        factor = gamma * inverse
        outputs = values * factor + (beta - mean * factor)

        def gradients(*upstreams):
            # TensorFlow passes those of the three results as arguments, JAX as one tuple.
            upstream, *_ = upstreams if len(upstreams) > 1 else upstreams[0]
            beta_gradient = total(upstream)
            # The sum of upstream times the normalized values.
            gamma_gradient = (total(upstream * values) - mean * beta_gradient) * inverse
            slope = factor * inverse * gamma_gradient / count
            offset = mean * slope - factor * beta_gradient / count
            return upstream * factor - values * slope + offset, gamma_gradient, beta_gradient

        return (outputs, mean, variance), gradients

    return function(values, gamma, beta)


def _fused_batch_norm(values, gamma, beta, *, epsilon: float, given=None):
    """Does what `batch_norm` does, in one operation of TensorFlow that is fast with oneDNN only.

    Args:
        values: float32 or bfloat16 [batch, height, width, channels].
        gamma, beta: float32 [channels].
        given: mean and variance to normalize by, float32 [channels] each; None for the batch's.
    Returns: y of the shape and type of `values`; mean and variance float32 [channels].
    """
    import tensorflow as tf

    given_mean, given_variance = given or ([], [])
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=values,
        scale=gamma,
        offset=beta,
        mean=given_mean,
        variance=given_variance,
        epsilon=epsilon,
        is_training=given is None,
    )
    # TensorFlow divides by count - 1.
    count = tf.cast(tf.size(values) // tf.size(gamma), "float32")
    return outputs, mean, variance * (tf.maximum(count - 1.0, 1.0) / count)
