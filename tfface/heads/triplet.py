"""Triplet loss: an image is to be nearer to one of the same identity than to one of another."""

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from tfface.errors import InputError
from tfface.heads.class_centers import SampledClasses
from tfface.heads.head import Head, class_labels
from tfface.registry import check_arguments
from tfface.typing import Tensor

# More than the squared distance of any two unit vectors.
_BEYOND_ALL = 5.0


@keras.saving.register_keras_serializable("tfface")
class TripletHead(Head):
    """Triplet loss with semi-hard negatives, mined within the batch; it has no classes.

    With the squared distance d of unit embeddings, every pair (a, p) of one identity in the batch
    makes a triplet with the semi-hard negative n: the nearest to a of those other identities that
    are farther from it than p; if there is none, the farthest of all.
        loss of (a, p) = max(0, d(a, p) - d(a, n) + margin)
        loss of a = mean over its p
    An image is no anchor, and has loss 0, if the batch has no other image of its identity or none
    of another identity; the losses of anchors are multiplied by batch / number of anchors, so that
    the batch's mean is theirs. The accuracy is the share of images whose nearest other image in the
    batch is of the same identity. Batches need several images of an identity (PK sampling).

    Called as a layer with (embeddings, labels), in any keras.Model, it adds its mean loss by
    `add_loss` and returns the embeddings; without labels it is an error, as there are no logits.

    Args:
        margin: of squared distances, in [0, 4); 0.2 in the paper.
        **kwargs: of `Head`.
    Call arguments:
        embeddings: float [batch, embedding_size], of any norm.
        labels: int [batch] or [batch, 1].
    Weights: none.
    Raises ValueError: the margin is out of range.
    Reference: Schroff et al., CVPR 2015, arXiv:1503.03832.

    Example:
        >>> import numpy as np
        >>> from tfface.heads import TripletHead
        >>> embeddings = np.array([[1, 0], [1, 0], [-1, 0]], "float32")
        >>> losses, _ = TripletHead().losses_and_correct(embeddings, np.array([7, 7, 8]))
        >>> [float(loss) for loss in losses]
        [0.0, 0.0, 0.0]
    """

    is_named_only = True

    def __init__(self, margin: Annotated[float, Field(ge=0, lt=4)] = 0.2, **kwargs: Any):
        super().__init__(**kwargs)
        check_arguments(TripletHead, margin=margin)
        self.margin = margin

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        """Does nothing: there are no weights."""

    def logits(self, embeddings: Tensor) -> Tensor:
        """Raises InputError: always, there are no classes."""
        self.check_classifies()

    def check_classifies(self) -> None:
        raise InputError(
            "a triplet head has no classes, so it can't classify: verification and identification "
            "measure what its embeddings are worth (tfface evaluate verification, "
            "tfface evaluate identification)"
        )

    def call(
        self, embeddings: Tensor, labels: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        if labels is None:
            self.check_classifies()
        labels = class_labels(labels, None, self.name)
        self.add_loss(ops.mean(self.losses_and_correct(embeddings, labels)[0]))
        return embeddings

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}

    def losses_and_correct(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool = False,
        update_state: bool = True,
        sampled: SampledClasses | None = None,
    ) -> tuple[Tensor, Tensor]:
        embeddings = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
        distances = 2.0 - 2.0 * ops.matmul(embeddings, ops.transpose(embeddings))
        positions = ops.arange(ops.shape(labels)[0])
        is_other_image = ops.not_equal(positions[:, None], positions)
        is_same = ops.equal(labels[:, None], labels)
        is_positive = ops.logical_and(is_same, is_other_image)
        is_negative = ops.logical_not(is_same)
        negatives = _semi_hard(distances, is_negative)
        triplets = ops.logical_and(is_positive, ops.any(is_negative, axis=-1, keepdims=True))

        losses = ops.maximum(distances - negatives + self.margin, 0.0)
        num_triplets = ops.sum(ops.cast(triplets, "float32"), axis=-1)
        losses = ops.sum(ops.where(triplets, losses, 0.0), axis=-1) / ops.maximum(num_triplets, 1.0)
        is_anchor = ops.cast(num_triplets > 0, "float32")
        losses = losses / ops.maximum(ops.mean(is_anchor), 1e-12)

        nearest = ops.argmin(ops.where(is_other_image, distances, _BEYOND_ALL), axis=-1)
        found = ops.take_along_axis(is_positive, nearest[:, None], axis=-1)[:, 0]
        return losses, ops.cast(found, "float32")


def _semi_hard(distances: Tensor, is_negative: Tensor) -> Tensor:
    """Returns the distance of each row's semi-hard negative, if the column is the positive.

    Among the row's negatives, sorted by distance, it follows those that are nearer than the column.
    Their number is counted in one sort, without comparing all triplets.
    """
    order = ops.argsort(ops.stop_gradient(distances), axis=-1)
    counted = ops.cumsum(ops.cast(ops.take_along_axis(is_negative, order, axis=-1), "int32"), -1)
    num_nearer = ops.take_along_axis(counted, ops.argsort(order, axis=-1), axis=-1)
    farthest = ops.sum(ops.cast(is_negative, "int32"), axis=-1, keepdims=True) - 1
    by_distance = ops.sort(ops.where(is_negative, distances, _BEYOND_ALL), axis=-1)
    position = ops.maximum(ops.minimum(num_nearer, farthest), 0)
    return ops.take_along_axis(by_distance, position, axis=-1)
