"""ArcFace: an additive angular margin."""

import math
from typing import Annotated

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


class ArcFaceHead(MarginHead):
    """Identity classifier with an additive angular margin; used in training only.

    With unit embedding e, unit class center w_j and theta = arccos(w_y . e):
        logit_y = scale * cos(theta + margin)   while theta + margin <= pi, monotone beyond it
        logit_j = scale * w_j . e               for j != y

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        scale: float > 0; 64 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.5,
        scale: Scale = 64.0,
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

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        return arcface_margin(targets, strength * self.margin)
