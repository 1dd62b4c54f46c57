"""The three networks of MTCNN, with the weights that the `mtcnn` package brings.

Only its weights are used. Its own cascade compares all candidates of a photo with each other in one
matrix, which takes 22 GB for a photo of a thousand small faces; it puts the faces of a batch in
wrong places when another photo of the batch has none; and it cuts out patches without antialiasing,
which makes it less sure of large faces.

The networks take RGB, (pixel - 127.5) / 128.

Reference: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016, arXiv:1604.02878.
"""

import importlib.util
import io
from pathlib import Path

import joblib
import lz4.frame
import numpy as np
import tensorflow as tf

# For each network the pooling after its convolutions: (window, padding), stride 2; None for none.
_POOLING = {
    "pnet": [(2, "SAME"), None, None],
    "rnet": [(3, "SAME"), (3, "VALID"), None],
    "onet": [(3, "SAME"), (3, "VALID"), (2, "SAME"), None],
}


class Network:
    """One of the three networks; calling it runs it.

    Args:
        name: "pnet" (finds candidates), "rnet" (refines them) or "onet" (judges them, and finds the
            landmarks).
    Call arguments:
        pixels: float32 [batch, height, width, 3]; of P-Net any size from 12, of R-Net 24, O-Net 48.
    Returns: a list of float32 tensors: the box's offsets (left, top, right, bottom, in box widths
        and heights) [..., 4]; O-Net only: the landmarks (5 x, then 5 y, in box widths and heights)
        [..., 10]; the probability of a face [...]. P-Net has one result for every second pixel, the
        others one for each patch.
    """

    def __init__(self, name: str):
        # Found without importing the package, which would build Keras models.
        package = importlib.util.find_spec("mtcnn").submodule_search_locations[0]
        compressed = Path(package, "assets", "weights", f"{name}.lz4").read_bytes()
        # Joblib would close the file before lz4 does, about which Python 3.13 prints an error.
        self._weights = joblib.load(io.BytesIO(lz4.frame.decompress(compressed)))
        self._pooling = _POOLING[name]
        self._is_dense = name != "pnet"

    def __call__(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        weights = iter(self._weights)
        x = pixels
        for pooling in self._pooling:
            x = tf.nn.bias_add(tf.nn.conv2d(x, next(weights), 1, "VALID"), next(weights))
            x = _prelu(x, next(weights))
            if pooling:
                window, padding = pooling
                x = tf.nn.max_pool2d(x, window, 2, padding)
        if self._is_dense:
            # The dense weights are those of a framework that counts columns first.
            x = tf.transpose(x, (0, 2, 1, 3))
            kernel, bias = next(weights), next(weights)
            x = tf.reshape(x, (-1, kernel.shape[0])) @ kernel + bias
            x = _prelu(x, next(weights))
        last = list(weights)
        outputs = [
            _last_layer(x, kernel, bias) for kernel, bias in zip(last[::2], last[1::2], strict=True)
        ]
        return [*outputs[:-1], tf.nn.softmax(outputs[-1])[..., 1]]


def _prelu(x: tf.Tensor, slope: np.ndarray) -> tf.Tensor:
    return tf.nn.relu(x) + slope * tf.minimum(x, 0)


def _last_layer(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray) -> tf.Tensor:
    if kernel.ndim == 4:
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias)
    return x @ kernel + bias
