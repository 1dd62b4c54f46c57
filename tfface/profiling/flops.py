"""Operations of a network, and how many a second this machine can make."""

import math
import time

import keras
import numpy as np
from keras import layers

from tfface.kernels.keras_internals import flatten_layers
from tfface.training.recognizer import Recognizer

# A product of two such matrices takes most of its time in arithmetic.
_MATRIX = 2048


def step_flops(recognizer: Recognizer, batch_size: int) -> float:
    """Returns the operations of a step of training: additions and multiplications.

    Counted are products of matrices and convolutions, forward and twice backward, and of the head
    its class centers; all else, a percent or so, is left out.
    """
    forward = sum(map(_layer_flops, flatten_layers(recognizer.embedder)))
    head = sum(math.prod(weight.shape) for weight in recognizer.head.trainable_weights)
    head *= getattr(recognizer.head, "sample_rate", 1.0)
    return 3.0 * batch_size * (forward + 2 * head)


def _layer_flops(layer: keras.layers.Layer) -> float:
    """Of one image, forward."""
    if isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D):
        positions = math.prod(layer.output.shape[1:-1])
        return 2.0 * positions * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.EinsumDense):
        input_axes, kernel_axes = layer.equation.split("->")[0].split(",")
        sizes = zip(kernel_axes, layer.kernel.shape, strict=True)
        num_new = math.prod(size for axis, size in sizes if axis not in input_axes)
        return 2.0 * math.prod(layer.input.shape[1:]) * num_new
    return 0.0


def matmul_flops_per_second() -> float:
    """Measures how many operations a second a product of float32 matrices makes here."""
    matrix = keras.ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(_MATRIX, _MATRIX)).astype(np.float32)
    )
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        np.asarray(keras.ops.matmul(matrix, matrix))
        seconds.append(time.perf_counter() - start)
    return 2 * _MATRIX**3 / min(seconds)
