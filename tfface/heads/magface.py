"""MagFace: longer embeddings get a larger margin, and are rewarded for their length."""

import math
from typing import Annotated

from keras import ops
from pydantic import Field

from tfface.errors import InputError
from tfface.heads.head import LabelSmoothing
from tfface.heads.margin_head import (
    WARMUP_EPOCHS,
    MarginHead,
    SampledCenters,
    Scale,
    WarmupEpochs,
    lengths,
)
from tfface.heads.margins import arcface_margin
from tfface.typing import Tensor

Margin = Annotated[float, Field(ge=0, lt=math.pi / 2)]
Length = Annotated[float, Field(gt=0)]


class MagFaceHead(MarginHead):
    """Identity classifier whose margin grows with the embedding's length; used in training only.

    With embedding x, its length a = |x| clipped to [lower_length, upper_length], unit class center
    w_j and theta = arccos(w_y . x / |x|):
        m(a) = lower_margin + (upper_margin - lower_margin)
               * (a - lower_length) / (upper_length - lower_length)
        logit_y = scale * cos(theta + m(a))     while theta + m(a) <= pi, monotone beyond it
        logit_j = scale * w_j . x / |x|         for j != y
        loss = cross-entropy + regulariser * g(a),  g(a) = 1 / a + a / upper_length^2
    g falls up to upper_length: easy images, to which a larger margin does little harm, grow long,
    and the length tells an image's quality. Beyond the two lengths, a has no gradient.

    Args:
        lower_margin, upper_margin: radians in [0, pi/2), in this order; 0.45 and 0.8 in the paper.
        lower_length, upper_length: float > 0, in this order; 10 and 110 in the paper.
        regulariser: lambda_g, float >= 0; 35 in the paper.
        scale: float > 0; 64 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`. In the warm-up the regulariser rises with the margin that holds it in
            balance.
    Call arguments:
        embeddings: float [batch, embedding_size], of the length that the network gives.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`.
    Raises InputError: margins or lengths are not in order.
    Reference: Meng et al., CVPR 2021, arXiv:2103.06627. Past theta = pi - m(a) ArcFace's
        continuation is taken, where the authors' code goes back to cos(theta).
    """

    def __init__(
        self,
        lower_margin: Margin = 0.45,
        upper_margin: Margin = 0.8,
        lower_length: Length = 10.0,
        upper_length: Length = 110.0,
        regulariser: Annotated[float, Field(ge=0)] = 35.0,
        scale: Scale = 64.0,
        label_smoothing: LabelSmoothing = 0.0,
        warmup_epochs: WarmupEpochs = WARMUP_EPOCHS,
        sampled_centers: SampledCenters = 1.0,
        *,
        num_identities: int,
        steps_per_epoch: int | None = None,
    ):
        if lower_margin > upper_margin:
            raise InputError(
                f"model.head: magface's lower_margin {lower_margin:g} is above its upper_margin "
                f"{upper_margin:g}; it must be that or less"
            )
        if lower_length >= upper_length:
            raise InputError(
                f"model.head: magface's lower_length {lower_length:g} is not below its "
                f"upper_length {upper_length:g}; it must be"
            )
        super().__init__(
            scale=scale,
            label_smoothing=label_smoothing,
            warmup_epochs=warmup_epochs,
            sampled_centers=sampled_centers,
            num_identities=num_identities,
            steps_per_epoch=steps_per_epoch,
        )
        self.lower_margin = lower_margin
        self.upper_margin = upper_margin
        self.lower_length = lower_length
        self.upper_length = upper_length
        self.regulariser = regulariser

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        slope = (self.upper_margin - self.lower_margin) / (self.upper_length - self.lower_length)
        margins = self.lower_margin + slope * (self._lengths(embeddings) - self.lower_length)
        return arcface_margin(targets, strength * margins)

    def regularised(self, losses: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        a = self._lengths(embeddings)[:, 0]
        return losses + strength * self.regulariser * (1.0 / a + a / self.upper_length**2)

    def _lengths(self, embeddings: Tensor) -> Tensor:
        return ops.clip(lengths(embeddings), self.lower_length, self.upper_length)
