"""CosFace: an additive margin on the cosine."""

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
from tfface.heads.margins import cosface_margin
from tfface.typing import Tensor


class CosFaceHead(MarginHead):
    """Identity classifier with an additive margin on the cosine; used in training only.

    With unit embedding e and unit class center w_j:
        logit_y = scale * (w_y . e - margin)
        logit_j = scale * w_j . e               for j != y

    Args:
        margin: a difference of cosines in [0, 1); 0.35 in the paper.
        scale: float > 0; 64 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`.
    Reference: Wang et al., CVPR 2018, arXiv:1801.09414.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=1)] = 0.35,
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
        return cosface_margin(targets, strength * self.margin)
