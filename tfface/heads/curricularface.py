"""CurricularFace: ArcFace's margin, and hard identities that count more as training goes on."""

import math
from typing import Annotated

from keras import ops
from pydantic import Field

from tfface.heads.head import LabelSmoothing
from tfface.heads.margin_head import (
    WARMUP_EPOCHS,
    MarginHead,
    SampledCenters,
    Scale,
    WarmupEpochs,
)
from tfface.heads.margins import arcface_margin
from tfface.typing import Tensor


class CurricularFaceHead(MarginHead):
    """Identity classifier with an angular margin and a curriculum; used in training only.

    With unit embedding e, unit class center w_j, theta = arccos(w_y . e) and c_j = w_j . e:
        logit_y = scale * T,  T = cos(theta + margin)  as in ArcFace
        logit_j = scale * c_j                  for j != y, where c_j <= T
        logit_j = scale * c_j * (t + c_j)      where c_j > T: the identity is hard
    t is the running mean of cos(theta), from 0 in the beginning:
        t <- momentum * t + (1 - momentum) * mean cos(theta) of the batch
    so hard identities count little at first and more later.

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        scale: float > 0; 64 in the paper.
        momentum: in [0, 1); 0.99 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`, and `mean_cosine`, float32, not trained: t.
    Reference: Huang et al., CVPR 2020, arXiv:2004.00288. As there, t is updated before it is used.
        What is hard is told by T with ArcFace's continuation past theta = pi - margin; the authors'
        code takes cos(theta + margin) for that also where it rises again.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.5,
        scale: Scale = 64.0,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        label_smoothing: LabelSmoothing = 0.0,
        warmup_epochs: WarmupEpochs = WARMUP_EPOCHS,
        sampled_centers: SampledCenters = 1.0,
        *,
        num_identities: int,
        steps_per_epoch: int | None = None,
    ):
        super().__init__(
            scale=scale,
            label_smoothing=label_smoothing,
            warmup_epochs=warmup_epochs,
            sampled_centers=sampled_centers,
            num_identities=num_identities,
            steps_per_epoch=steps_per_epoch,
        )
        self.margin = margin
        self.momentum = momentum

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        super().build(embeddings_shape)
        self.mean_cosine = self.add_weight(
            name="mean_cosine",
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="mean",
        )

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        return arcface_margin(targets, strength * self.margin)

    def of_others(self, cosines: Tensor, with_margin: Tensor) -> Tensor:
        return ops.where(cosines > with_margin, cosines * (self.mean_cosine + cosines), cosines)

    def see(self, targets: Tensor, embeddings: Tensor) -> None:
        mean = ops.mean(ops.stop_gradient(targets))
        self.mean_cosine.assign(self.momentum * self.mean_cosine + (1 - self.momentum) * mean)
