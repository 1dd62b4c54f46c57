"""Floating-point operations of a training step, and how many per second this machine reaches."""

import math
import time

import keras
import numpy as np
from keras import layers

from tfface.kernels.keras_internals import flatten_layers
from tfface.training.recognizer import Recognizer

# Large enough for a product of two such matrices to be bound by arithmetic, not by memory.
_MATRIX = 2048


def step_flops(recognizer: Recognizer, batch_size: int) -> float:
    """Returns the floating-point operations (additions and multiplications) of a training step.

    Counts convolutions and matrix products, once forward and twice backward, and the products with
    the class centers of the head. Everything else, about a percent, is ignored.

    Args:
        recognizer: A built recognizer.
        batch_size: Images in a step.
    """
    forward = sum(map(_layer_flops, flatten_layers(recognizer.embedder)))
    head = sum(math.prod(weight.shape) for weight in recognizer.head.trainable_weights)
    head *= getattr(recognizer.head, "sample_rate", 1.0)
    return 3.0 * batch_size * (forward + 2 * head)


def _layer_flops(layer: keras.layers.Layer) -> float:
    """Returns the operations of a layer in the forward pass of one image."""
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
    """Measures the floating-point operations per second of a float32 matrix product here."""
    matrix = keras.ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(_MATRIX, _MATRIX)).astype(np.float32)
    )
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        np.asarray(keras.ops.matmul(matrix, matrix))
        seconds.append(time.perf_counter() - start)
    return 2 * _MATRIX**3 / min(seconds)
