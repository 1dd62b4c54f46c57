"""Passes over class centers, with many identities much the largest array of a step of training."""

from keras import ops

from tfface.kernels.placing import is_on_tensorflow_cpu
from tfface.typing import Tensor


def lengths(centers: Tensor) -> Tensor:
    """Returns the length of each center: float32 [num_centers].

    Args:
        centers: float32 [num_centers, embedding_size].
    """
    if is_on_tensorflow_cpu():
        from tfface.kernels import tensorflow_centers

        return tensorflow_centers.lengths(centers)
    return ops.sqrt(ops.sum(ops.square(centers), axis=-1))


def gradient(
    scaled: Tensor, embeddings: Tensor, cosines: Tensor, inverse: Tensor, centers: Tensor
) -> Tensor:
    """Returns the gradient of what cosines make, by the centers, in the centers' shape.

    With u the gradients by the cosines, w a center of length l, and s = u / l:

        transpose(s) @ embeddings - (sum over the batch of s * cosines) / l * w

    The second term takes out what would only make a center longer: that changes no cosine.

    Args:
        scaled: s, float32 [batch, num_centers].
        embeddings: float32 [batch, embedding_size], of length 1.
        cosines: float32 [batch, num_centers].
        inverse: 1 / l, float32 [num_centers].
        centers: float32 [num_centers, embedding_size].
    """
    if is_on_tensorflow_cpu():
        from tfface.kernels import tensorflow_centers

        return tensorflow_centers.gradient(scaled, embeddings, cosines, inverse, centers)
    along = ops.sum(scaled * cosines, axis=0) * inverse
    return ops.matmul(ops.transpose(scaled), embeddings) - along[:, None] * centers
