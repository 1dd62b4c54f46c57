"""Passes over class centers: with many classes the largest array of a training step by far."""

import math

from keras import ops

from tfface.kernels.device import is_tf_cpu
from tfface.typing import Tensor


def l2_norms(centers: Tensor) -> Tensor:
    """Returns the L2 norm of each center: float32 [num_centers].

    On a CPU it is one operation of TensorFlow that writes nothing but the norms: a sum of squares
    would first write the squares, an array as large as the centers.

    Args:
        centers: float32 [num_centers, embedding_size].
    """
    if is_tf_cpu():
        import tensorflow as tf

        return tf.raw_ops.EuclideanNorm(input=centers, axis=-1)
    return ops.sqrt(ops.sum(ops.square(centers), axis=-1))


def cosine_gradient(
    scaled: Tensor, embeddings: Tensor, cosines: Tensor, inverse_norms: Tensor, centers: Tensor
) -> Tensor:
    """Returns the gradient of cosine logits with respect to the centers.

    With u the gradient with respect to the cosines, w a center of norm l, and s = u / l:

        transpose(s) @ embeddings - (sum over the batch of s * cosines) / l * w

    The second term removes the part along the center, which changes its norm but no cosine.

    On a CPU the formula is compiled by XLA, which fuses it into one pass over the result; otherwise
    each of the two terms would be written to memory first.

    Args:
        scaled: s, float32 [batch, num_centers].
        embeddings: float32 [batch, embedding_size], of norm 1.
        cosines: float32 [batch, num_centers].
        inverse_norms: 1 / l, float32 [num_centers].
        centers: float32 [num_centers, embedding_size].
    Returns: float32 [num_centers, embedding_size].
    """

    if is_tf_cpu():
        import tensorflow as tf

        @tf.function(jit_compile=True, autograph=False)
        def compiled(scaled, embeddings, cosines, inverse_norms, centers):
            along = tf.reduce_sum(scaled * cosines, axis=0) * inverse_norms
            return tf.matmul(scaled, embeddings, transpose_a=True) - along[:, None] * centers

        return compiled(scaled, embeddings, cosines, inverse_norms, centers)
    along = ops.sum(scaled * cosines, axis=0) * inverse_norms
    return ops.matmul(ops.transpose(scaled), embeddings) - along[:, None] * centers


def top_k_positions(scores: Tensor, k: int) -> Tensor:
    """Returns the positions of the k largest scores, sorted ascending: int32 [k].

    On a CPU only the few scores above a limit are sorted, not all of them. The limit is chosen so
    that fewer than k scores above it are very unlikely; then all are sorted.

    Args:
        scores: float32 [n], each uniform on [0, 1), except for some that are larger.
        k: int in [1, n].

    Example:
        >>> from keras import ops
        >>> from tfface.kernels.class_centers import top_k_positions
        >>> scores = ops.convert_to_tensor([0.1, 0.9, 0.4, 2.0])
        >>> ops.convert_to_numpy(top_k_positions(scores, 2)).tolist()
        [1, 3]
    """
    if not is_tf_cpu():
        _, positions = ops.top_k(scores, k, sorted=False)
        return ops.sort(ops.cast(positions, "int32"))
    import tensorflow as tf

    num_scores = scores.shape[0]
    limit = 1 - (k + 8 * math.sqrt(k)) / num_scores
    above = tf.cast(tf.where(scores >= limit)[:, 0], tf.int32)
    above = tf.cond(tf.size(above) < k, lambda: tf.range(num_scores), lambda: above)
    _, positions = tf.math.top_k(tf.gather(scores, above), k, sorted=False)
    return tf.gather(above, tf.sort(positions))
