"""The three margins in one: multiplicative, additive on the angle, additive on the cosine."""

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
from tfface.heads.margins import combined_margin
from tfface.typing import Tensor


class CombinedHead(MarginHead):
    """Identity classifier with SphereFace's, ArcFace's and CosFace's margin; in training only.

    With unit embedding e, unit class center w_j and theta = arccos(w_y . e):
        logit_y = scale * (psi(m1 * theta + m2) - m3)
        logit_j = scale * w_j . e               for j != y
    where psi(a) = (-1)^k cos(a) - 2k, k = floor(a / pi): the cosine while a <= pi, falling beyond.
    m1 = 1, m2 = 0, m3 = 0 is no margin.

    Args:
        m1: factor on the angle, above 0, to 8.
        m2: radians in [0, pi/2).
        m3: a difference of cosines in [0, 1). The defaults 1, 0.3, 0.2 are CM1 of the paper; its
            CM2 is 0.9, 0.4, 0.15.
        scale: float > 0; 64 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`. In the warm-up m1 goes from 1, m2 and m3 from 0 to what they are.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698.
    """

    def __init__(
        self,
        m1: Annotated[float, Field(gt=0, le=8)] = 1.0,
        m2: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.3,
        m3: Annotated[float, Field(ge=0, lt=1)] = 0.2,
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
        self.m1 = m1
        self.m2 = m2
        self.m3 = m3

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        return combined_margin(
            targets,
            1.0 + strength * (self.m1 - 1.0),
            strength * self.m2,
            strength * self.m3,
        )
