"""Sub-center ArcFace: several centers for each identity, against wrong labels."""

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


class SubcenterArcFaceHead(MarginHead):
    """ArcFace in which an identity has `num_centers` centers and its nearest one counts.

    With unit embedding e, unit centers w_jk and theta_j = arccos(max_k w_jk . e):
        logit_y = scale * cos(theta_y + margin)   while theta_y + margin <= pi, monotone beyond it
        logit_j = scale * cos(theta_j)            for j != y
    Wrongly labelled and odd images gather about centers of their own and don't pull at the main
    one. With one center it is ArcFace.

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        scale: float > 0; 64 in the paper.
        num_centers: int > 0; 3 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`; rows j * num_centers to (j + 1) * num_centers are of identity j.
    Reference: Deng et al., ECCV 2020; section 3.3 of arXiv:1801.07698v4.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.5,
        scale: Scale = 64.0,
        num_centers: Annotated[int, Field(ge=1, le=1000)] = 3,
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
            centers_per_identity=num_centers,
        )
        self.margin = margin

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        return arcface_margin(targets, strength * self.margin)
