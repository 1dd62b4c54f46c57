"""SphereFace: a multiplicative angular margin."""

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


class SphereFaceHead(MarginHead):
    """Identity classifier with a multiplicative angular margin; used in training only.

    With unit embedding e, unit class center w_j and theta = arccos(w_y . e):
        logit_y = scale * psi(margin * theta),  psi(a) = (-1)^k cos(a) - 2k,  k = floor(a / pi)
        logit_j = scale * w_j . e               for j != y

    Of the published forms this is psi of SphereFace (arXiv:1704.08063), which falls with theta
    everywhere, on embeddings of fixed length as in SphereFace-R (arXiv:2109.05565), whose authors'
    code (OpenSphere) gives the defaults. SphereFace itself leaves the embedding its length and,
    since its margin of 4 does not train from scratch, mixes psi with the cosine by a lambda that
    falls over the training. That annealing is not taken: `warmup_epochs`, in which the margin rises
    from 1, does its work.

    Args:
        margin: factor on the angle, 1 (none) to 8; 1.5 in OpenSphere, 4 in the first paper.
        scale: float > 0; 30 in OpenSphere.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], any length; normalised here.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`.
    Reference: Liu et al., CVPR 2017, arXiv:1704.08063; Liu et al., TPAMI 2022, arXiv:2109.05565.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=1, le=8)] = 1.5,
        scale: Scale = 30.0,
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
        return combined_margin(targets, 1.0 + strength * (self.margin - 1.0), 0.0, 0.0)
