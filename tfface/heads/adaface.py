"""AdaFace: a margin that depends on the image's quality, told by the embedding's length."""

import math
from typing import Annotated

from keras import initializers, ops
from pydantic import Field

from tfface.heads.head import LabelSmoothing
from tfface.heads.margin_head import (
    WARMUP_EPOCHS,
    MarginHead,
    SampledCenters,
    Scale,
    WarmupEpochs,
    lengths,
)
from tfface.heads.margins import adaface_margin
from tfface.typing import Tensor

# As in the authors' code.
SHORTEST, LONGEST = 1e-3, 100.0
EPSILON = 1e-3


class AdaFaceHead(MarginHead):
    """Identity classifier whose margin follows the image's quality; used in training only.

    With embedding x, unit class center w_j, theta = arccos(w_y . x / |x|), and the running mean mu
    and deviation sigma of the lengths |x|:
        z = clip(concentration * (|x| - mu) / sigma, -1, 1)
        logit_y = scale * (cos(theta - margin * z) - margin * (z + 1))
        logit_j = scale * w_j . x / |x|         for j != y
    with theta - margin * z kept within [0, pi]. z has no gradient. Short embeddings, of bad images,
    get ArcFace's margin (z = -1), average ones CosFace's (z = 0), long ones a negative angle.

    Args:
        margin: in [0, pi/2); 0.4 in the paper.
        scale: float > 0; 64 in the paper.
        concentration: h, float > 0; 0.333 in the paper.
        momentum: of mu and sigma, in [0, 1); 0.99 in the paper.
        label_smoothing, warmup_epochs, sampled_centers, num_identities, steps_per_epoch: see
            `MarginHead`.
    Call arguments:
        embeddings: float [batch, embedding_size], of the length that the network gives.
        identities: int32 [batch], each in [0, num_identities).
    Weights: those of `MarginHead`, and float32, not trained, `mean_length` and `length_deviation`,
        which start as 20 and 100 as in the authors' code and are updated before they are used. A
        batch of one has the deviation 0.
    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.4,
        scale: Scale = 64.0,
        concentration: Annotated[float, Field(gt=0)] = 0.333,
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
        self.concentration = concentration
        self.momentum = momentum

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        super().build(embeddings_shape)
        self.mean_length, self.length_deviation = (
            self.add_weight(
                name=name,
                shape=(),
                initializer=initializers.Constant(value),
                trainable=False,
                aggregation="mean",
            )
            for name, value in (("mean_length", 20.0), ("length_deviation", 100.0))
        )

    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        deviations = (_clipped_lengths(embeddings) - self.mean_length) / (
            self.length_deviation + EPSILON
        )
        quality = ops.clip(self.concentration * deviations, -1.0, 1.0)
        margin = strength * self.margin
        return adaface_margin(targets, -margin * quality, margin * quality + margin)

    def see(self, targets: Tensor, embeddings: Tensor) -> None:
        seen = _clipped_lengths(embeddings)
        mean = ops.mean(seen)
        # Of a sample, hence by n - 1.
        others = ops.maximum(ops.cast(ops.shape(seen)[0], "float32") - 1.0, 1.0)
        deviation = ops.sqrt(ops.sum(ops.square(seen - mean)) / others)
        for weight, value in ((self.mean_length, mean), (self.length_deviation, deviation)):
            weight.assign(self.momentum * weight + (1 - self.momentum) * value)


def _clipped_lengths(embeddings: Tensor) -> Tensor:
    return ops.clip(ops.stop_gradient(lengths(embeddings)), SHORTEST, LONGEST)
