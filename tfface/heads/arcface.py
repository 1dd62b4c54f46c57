"""ArcFace: an additive angular margin."""

import math
from typing import Annotated

from keras import initializers, ops
from pydantic import Field

from tfface.heads.head import Head, is_best, softmax_loss
from tfface.heads.margins import arcface_margin


class ArcFaceHead(Head):
    """Identity classifier with an additive angular margin; used in training only.

    With unit embedding e, unit class center w_j and theta = arccos(w_y . e):
        logit_y = scale * cos(theta + margin)   while theta + margin <= pi, monotone beyond it
        logit_j = scale * w_j . e               for j != y

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        scale: float > 0; 64 in the paper.
        num_identities: int > 0.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: `class_centers` float32 [num_identities, embedding_size], any length.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.5,
        scale: Annotated[float, Field(gt=0)] = 64.0,
        *,
        num_identities: int,
    ):
        super().__init__(name="head")
        self.margin = margin
        self.scale = scale
        self.num_identities = num_identities

    def build(self, embeddings_shape):
        self.class_centers = self.add_weight(
            name="class_centers",
            shape=(self.num_identities, embeddings_shape[-1]),
            # The length is normalised away; it sets how fast a center turns at a learning rate.
            initializer=initializers.GlorotUniform(),
        )

    def cosines(self, embeddings):
        """Returns the similarity to every class center: float32 [batch, num_identities]."""
        embeddings = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
        centers = ops.convert_to_tensor(self.class_centers)
        # Scaling the product's columns costs a fraction of normalising the centers themselves.
        inverse_lengths = ops.rsqrt(ops.maximum(ops.sum(ops.square(centers), axis=-1), 1e-24))
        return ops.matmul(embeddings, ops.transpose(centers)) * inverse_lengths

    def logits(self, embeddings):
        return self.scale * self.cosines(embeddings)

    def loss_and_accuracy(self, embeddings, identities, training=False):
        cosines = self.cosines(embeddings)
        positions = ops.expand_dims(ops.cast(identities, "int32"), -1)
        targets = ops.take_along_axis(cosines, positions, axis=-1)
        with_margin = ops.where(
            ops.equal(ops.arange(self.num_identities, dtype="int32"), positions),
            arcface_margin(targets, self.margin),
            cosines,
        )
        losses = softmax_loss(self.scale * with_margin, identities)
        return losses, is_best(cosines, identities)
