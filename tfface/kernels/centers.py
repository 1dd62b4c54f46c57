"""Passes over class centers, with many identities much the largest array of a step of training."""

from keras import ops

from tfface.kernels.placing import is_on_tensorflow_cpu


def lengths(centers):
    """Returns the length of each center: float32 [num_centers].

    Args:
        centers: float32 [num_centers, embedding_size].
    """
    if is_on_tensorflow_cpu():
        from tfface.kernels import tensorflow_centers

        return tensorflow_centers.lengths(centers)
    return ops.sqrt(ops.sum(ops.square(centers), axis=-1))


def gradient(weights, embeddings, factors, centers):
    """Returns transpose(weights) @ embeddings - factors * centers, of the shape of `centers`.

    Args:
        weights: float32 [batch, num_centers].
        embeddings: float32 [batch, embedding_size].
        factors: float32 [num_centers].
        centers: float32 [num_centers, embedding_size].
    """
    if is_on_tensorflow_cpu():
        from tfface.kernels import tensorflow_centers

        return tensorflow_centers.gradient(weights, embeddings, factors, centers)
    return ops.matmul(ops.transpose(weights), embeddings) - factors[:, None] * centers
