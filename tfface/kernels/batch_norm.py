"""Batch normalisation in training, with a gradient that takes few passes over the activations."""

import functools

import keras
from keras import ops

from tfface import onednn
from tfface.kernels.placing import is_on_tensorflow_cpu


def speed_up_batch_norms(model: keras.Model) -> None:
    """Lets the batch norms of a model, and of those in it, take the faster way on a CPU.

    Weights, what is saved and, but for rounding, all values stay the same. Where a norm is frozen
    or the model is not in training, Keras' own way is taken: there it is the faster one. Elsewhere
    than on a CPU with TensorFlow nothing is done.
    """
    if not is_on_tensorflow_cpu():
        return
    for layer in model._flatten_layers():
        # Not of its subclasses, which may do something else.
        if type(layer) is keras.layers.BatchNormalization and _is_plain(layer):
            layer.call = functools.partial(_call, layer)


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    spec = layer.input_spec
    is_of_last_axis = spec is not None and layer.axis in (-1, spec.ndim - 1)
    return is_of_last_axis and not layer.renorm


def _call(layer: keras.layers.BatchNormalization, inputs, training=None, mask=None):
    if not (training and layer.trainable) or mask is not None:
        return keras.layers.BatchNormalization.call(layer, inputs, training=training, mask=mask)
    values, num_channels = ops.cast(inputs, "float32"), inputs.shape[-1]
    # Plus nothing, a variable becomes a tensor, which is what custom gradients are given for.
    gamma = layer.gamma + 0.0 if layer.scale else ops.ones(num_channels)
    beta = layer.beta + 0.0 if layer.center else ops.zeros(num_channels)
    if onednn.is_on():
        from tfface.kernels import tensorflow_batch_norm

        normalise_images = tensorflow_batch_norm.normalise_images
        values = values if len(inputs.shape) == 4 else ops.reshape(values, (-1, 1, 1, num_channels))
        outputs, mean, variance = normalise_images(values, gamma, beta, epsilon=layer.epsilon)
    else:
        values = ops.reshape(values, (-1, num_channels))
        outputs, mean, variance = normalise(values, gamma, beta, epsilon=layer.epsilon)
    for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        value = ops.stop_gradient(value)
        moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
    return ops.cast(ops.reshape(outputs, ops.shape(inputs)), layer.compute_dtype)


def normalise(values, gamma, beta, *, epsilon: float):
    """Batch normalisation of vectors, by the statistics of the batch.

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
            # TensorFlow gives those of the three results as arguments, JAX as one tuple.
            upstream, *_ = upstreams if len(upstreams) > 1 else upstreams[0]
            of_beta = total(upstream)
            # The sum of upstream times the normalised values.
            of_gamma = (total(upstream * values) - mean * of_beta) * inverse
            slope = factor * inverse * of_gamma / count
            offset = mean * slope - factor * of_beta / count
            return upstream * factor - values * slope + offset, of_gamma, of_beta

        return (outputs, mean, variance), gradients

    return function(values, gamma, beta)
