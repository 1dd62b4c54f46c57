"""Similarities to all class centers, with a gradient that seldom passes over the centers."""

from collections.abc import Callable

from keras import ops

from tfface.heads.sharding import EMBEDDINGS, LOGITS, lay_out
from tfface.kernels import class_centers as passes
from tfface.typing import Tensor


def cosines_to(embeddings: Tensor, centers: Tensor) -> Tensor:
    """Returns the cosine of each embedding with each center.

    With e a unit embedding and w a center: e . w / |w|. Its gradient is written by hand, because
    with many identities the centers are much the largest array of a step of training.

    Args:
        embeddings: float32 [batch, embedding_size], of length 1.
        centers: float32 [num_centers, embedding_size], of any length.
    Returns: float32 [batch, num_centers].
    """
    # Reshaped, a variable becomes a tensor, which is what custom gradients are given for.
    return _cosines(embeddings, ops.reshape(centers, (-1, embeddings.shape[-1])))


@ops.custom_gradient
def _cosines(embeddings: Tensor, centers: Tensor) -> tuple[Tensor, Callable]:
    embeddings = lay_out(embeddings, EMBEDDINGS)
    # Scaling the product's columns costs a fraction of normalising the centers themselves.
    inverse = 1.0 / ops.maximum(passes.l2_norms(centers), 1e-12)
    # The large matrix as it lies in memory: the other way round takes twice as long on a CPU.
    products = ops.transpose(ops.matmul(centers, ops.transpose(embeddings)))
    cosines = lay_out(products * inverse, LOGITS)

    def gradients(*arguments: Tensor, upstream: Tensor = None) -> tuple[Tensor, Tensor]:
        # Backends differ in how they give it.
        if upstream is None:
            (upstream,) = arguments
        scaled = lay_out(upstream, LOGITS) * inverse
        of_embeddings = lay_out(ops.matmul(scaled, centers), EMBEDDINGS)
        of_centers = passes.cosine_gradient(scaled, embeddings, cosines, inverse, centers)
        return of_embeddings, of_centers

    return cosines, gradients
