"""Margins: what training makes of the cosine to an example's own class center.

The functions work on cosines of any shape in [-1, 1]; values outside by rounding are allowed. A
margin is a number, or a float32 tensor that broadcasts with the cosines. Values and gradients are
finite everywhere, also at cos = 1 and -1: the argument of a square root or an arccosine, whose
gradients are infinite there, is clipped before.

To add a margin, write a subclass of `Margin` and a line in `tfface/heads/__init__.py`.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import keras
from keras import ops
from pydantic import Field

from tfface.errors import InputError
from tfface.registry import check_arguments
from tfface.typing import Tensor

Angle = Annotated[float, Field(ge=0, lt=math.pi / 2)]
CosineDifference = Annotated[float, Field(ge=0, lt=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Norm = Annotated[float, Field(gt=0)]


Stats = Mapping[str, Tensor]


class Margin(abc.ABC):
    """Base of all margins. A subclass is a frozen dataclass with at least `apply`.

    Its annotated fields are the options that a recipe may give. Values outside of the annotated
    ranges are refused.

    Attributes:
        initial_statistics: name -> initial value of the running statistics that the head keeps for
            this margin. Methods get the current values as `stats`: name -> scalar tensor.

    Raises ValueError: a field is out of range.

    Example:
        >>> from dataclasses import dataclass
        >>> import keras
        >>> from tfface.heads import Margin
        >>> @keras.saving.register_keras_serializable("my_project")
        ... @dataclass(frozen=True)
        ... class QuadraticMargin(Margin):
        ...     margin: float = 0.2
        ...
        ...     def apply(self, cosines, norms, factor, stats):
        ...         return cosines - factor * self.margin * cosines**2
        >>> QuadraticMargin().apply(0.5, norms=1.0, factor=1.0, stats={})
        0.45
    """

    initial_statistics: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        check_arguments(type(self), **self.get_config())

    @abc.abstractmethod
    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        """Returns the cosines to the own class centers with the margin.

        Args:
            cosines: float32 [batch, 1].
            norms: float32 [batch, 1], L2 norms of the embeddings.
            factor: share of the margin to apply, 0 to 1: a float, or a scalar tensor that rises
                during the warm-up.
            stats: the running statistics.
        Returns: float32 [batch, 1].
        """

    def adjust_negatives(self, cosines: Tensor, with_margin: Tensor, stats: Stats) -> Tensor:
        """Returns what becomes of the cosines to the centers of other classes.

        Args:
            cosines: float32 [batch, num_classes].
            with_margin: float32 [batch, 1], what `apply` returned for the own classes.
        """
        return cosines

    def extra_loss(self, norms: Tensor, factor: Tensor) -> Tensor | None:
        """Returns a loss [batch] to add to the cross-entropy, or None.

        Args:
            norms: [batch, 1], of the embeddings.
            factor: as the other methods have it.
        """
        return None

    def update_statistics(self, stats: Stats, cosines: Tensor, norms: Tensor) -> dict[str, Tensor]:
        """Returns the new values of the running statistics, after a training step's batch.

        They are assigned before the other methods are called.
        """
        return {}

    def get_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Margin":
        return cls(**config)


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class ArcFaceMargin(Margin):
    """Additive angular margin: cos(theta) becomes cos(theta + margin).

    The cosine goes on falling beyond theta + margin = pi: see `arcface_margin`.

    The gradient of the formula is that of the margin itself:
        d cos(theta + margin) / d cos(theta) = sin(theta + margin) / sin(theta)
    which is above 1 at small angles and grows without bound as theta goes to 0. arcface_torch
    computes the margin where PyTorch records nothing, so that its gradient passes straight through,
    as if cos(theta) had been moved by a constant. `straight_through` does the same, for a
    comparison with that code: the value is cos(theta + margin) also beyond pi, where it rises
    again, and the derivative is 1 everywhere.

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        gradient: `exact`, that of the formula; or `straight_through`, as in arcface_torch.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698.

    Example:
        >>> from tfface.heads import ArcFaceMargin
        >>> ArcFaceMargin(margin=0.3)
        ArcFaceMargin(margin=0.3, gradient='exact')
    """

    margin: Angle = 0.5
    gradient: Literal["exact", "straight_through"] = "exact"

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        margin = factor * self.margin
        if self.gradient == "exact":
            return arcface_margin(cosines, margin)
        shifted = _shifted(cosines, *_cosine_and_sine(margin))
        return cosines + ops.stop_gradient(shifted - cosines)


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class CosFaceMargin(Margin):
    """Additive cosine margin: cos(theta) becomes cos(theta) - margin.

    Args:
        margin: difference of cosines in [0, 1); 0.35 in the paper.
    Reference: Wang et al., CVPR 2018, arXiv:1801.09414.

    Example:
        >>> from tfface.heads import CosFaceMargin
        >>> CosFaceMargin(margin=0.3).apply(0.5, norms=1.0, factor=1.0, stats={})
        0.2
    """

    margin: CosineDifference = 0.35

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        return cosines - factor * self.margin


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class SphereFaceMargin(Margin):
    """Multiplicative angular margin: cos(theta) becomes psi(margin * theta).

        psi(a) = (-1)^k cos(a) - 2k,  k = floor(a / pi)

    This is psi of SphereFace (arXiv:1704.08063), which falls with theta everywhere, on embeddings
    of fixed norm as in SphereFace-R (arXiv:2109.05565), whose authors' code (OpenSphere) gives the
    default. SphereFace itself does not normalize embeddings. Its margin of 4 does not train from
    scratch, so it mixes psi with the cosine by a weight that falls during training; here the
    warm-up does that work, in which the margin rises from 1.

    Args:
        margin: factor on the angle, 1 (no margin) to 8; 1.5 in OpenSphere, 4 in the first paper.
    Reference: Liu et al., CVPR 2017, arXiv:1704.08063; Liu et al., TPAMI 2022, arXiv:2109.05565.

    Example:
        >>> from tfface.heads import SphereFaceMargin
        >>> SphereFaceMargin()
        SphereFaceMargin(margin=1.5)
    """

    margin: Annotated[float, Field(ge=1, le=8)] = 1.5

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        return combined_margin(cosines, 1.0 + factor * (self.margin - 1.0), 0.0, 0.0)


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class CombinedMargin(Margin):
    """Three margins in one: cos(theta) becomes psi(m1 * theta + m2) - m3, psi as in SphereFace.

    m1 = 1, m2 = 0, m3 = 0 is no margin.

    Args:
        m1: factor on the angle, above 0, to 8; it starts at 1 in the warm-up.
        m2: radians in [0, pi/2).
        m3: difference of cosines in [0, 1). The defaults 1, 0.3, 0.2 are CM1 of the paper; its CM2
            is 0.9, 0.4, 0.15.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698.

    Example:
        >>> from tfface.heads import CombinedMargin
        >>> CombinedMargin(m3=0.1)
        CombinedMargin(m1=1.0, m2=0.3, m3=0.1)
    """

    m1: Annotated[float, Field(gt=0, le=8)] = 1.0
    m2: Angle = 0.3
    m3: CosineDifference = 0.2

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        m1 = 1.0 + factor * (self.m1 - 1.0)
        return combined_margin(cosines, m1, factor * self.m2, factor * self.m3)


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class CurricularFaceMargin(Margin):
    """ArcFace's margin with a curriculum: hard negatives count more as training proceeds.

    With T = cos(theta + margin) as in ArcFace and c_j the cosine to the center of another class:
        c_j becomes c_j * (t + c_j)   where c_j > T: the negative is hard
    t is the running mean of cos(theta), at first 0:
        t <- momentum * t + (1 - momentum) * mean cos(theta) of the batch

    Args:
        margin: radians in [0, pi/2); 0.5 in the paper.
        momentum: in [0, 1); 0.99 in the paper.
    Reference: Huang et al., CVPR 2020, arXiv:2004.00288. As there, t is updated before it is used.
        Here T has ArcFace's continuation past theta = pi - margin; the authors' code compares with
        cos(theta + margin) also where it rises again.

    Example:
        >>> from tfface.heads import CurricularFaceMargin
        >>> CurricularFaceMargin()
        CurricularFaceMargin(margin=0.5, momentum=0.99)
    """

    margin: Angle = 0.5
    momentum: Momentum = 0.99

    initial_statistics: ClassVar = {"mean_cosine": 0.0}

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        return arcface_margin(cosines, factor * self.margin)

    def adjust_negatives(self, cosines: Tensor, with_margin: Tensor, stats: Stats) -> Tensor:
        hard = cosines * (stats["mean_cosine"] + cosines)
        return ops.where(cosines > with_margin, hard, cosines)

    def update_statistics(self, stats: Stats, cosines: Tensor, norms: Tensor) -> dict[str, Tensor]:
        mean = ops.mean(ops.stop_gradient(cosines))
        return {"mean_cosine": _running(self.momentum, stats["mean_cosine"], mean)}


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class AdaFaceMargin(Margin):
    """A margin that adapts to the image's quality, estimated by the norm of its embedding.

    With the norm |x| and the running mean mu and standard deviation sigma of all norms:
        z = clip(h * (|x| - mu) / sigma, -1, 1)
        cos(theta) becomes cos(theta - margin * z) - margin * (z + 1)
    with theta - margin * z kept within [0, pi]. z has no gradient. Small norms, of bad images, get
    ArcFace's margin (z = -1), average ones CosFace's (z = 0), large ones a negative angle.

    Args:
        margin: in [0, pi/2); 0.4 in the paper.
        h: how strongly the norm's deviation from the mean shifts the margin, above 0; 0.333 in the
            paper.
        momentum: of mu and sigma, in [0, 1); 0.99 in the paper.
    Statistics: `mean_norm` and `norm_std` start at 20 and 100 as in the authors' code, and are
        updated before they are used. A batch of one has the standard deviation 0.
    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.

    Example:
        >>> from tfface.heads import AdaFaceMargin
        >>> AdaFaceMargin()
        AdaFaceMargin(margin=0.4, h=0.333, momentum=0.99)
    """

    margin: Angle = 0.4
    h: Annotated[float, Field(gt=0)] = 0.333
    momentum: Momentum = 0.99

    initial_statistics: ClassVar = {"mean_norm": 20.0, "norm_std": 100.0}

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        centered = self._clip(norms) - stats["mean_norm"]
        quality = self.h * (centered / (stats["norm_std"] + 1e-3))
        quality = ops.clip(quality, -1.0, 1.0)
        margin = factor * self.margin
        return adaface_margin(cosines, -margin * quality, margin * quality + margin)

    def update_statistics(self, stats: Stats, cosines: Tensor, norms: Tensor) -> dict[str, Tensor]:
        norms = self._clip(norms)
        mean = ops.mean(norms)
        # Of a sample, hence divided by n - 1.
        count = ops.maximum(ops.cast(ops.shape(norms)[0], "float32") - 1.0, 1.0)
        std = ops.sqrt(ops.sum(ops.square(norms - mean)) / count)
        return {
            "mean_norm": _running(self.momentum, stats["mean_norm"], mean),
            "norm_std": _running(self.momentum, stats["norm_std"], std),
        }

    @staticmethod
    def _clip(norms: Tensor) -> Tensor:
        # Limits of the authors' code.
        return ops.clip(ops.stop_gradient(norms), 1e-3, 100.0)


@keras.saving.register_keras_serializable("tfface")
@dataclass(frozen=True)
class MagFaceMargin(Margin):
    """ArcFace with a margin that grows with the embedding's norm, and a loss that rewards norms.

    With a = |x| clipped to [lower_norm, upper_norm]:
        m(a) = lower_margin + (upper_margin - lower_margin)
               * (a - lower_norm) / (upper_norm - lower_norm)
        cos(theta) becomes cos(theta + m(a))   where cos(theta) > 0, else it stays
        extra loss: lambda_g * g(a),  g(a) = 1 / a + a / upper_norm^2
    g falls up to upper_norm: easy images, to which a larger margin does little harm, get large
    norms, so that the norm measures an image's quality. Beyond the two norms, a has no gradient.
    In the warm-up the extra loss rises with the margin that balances it.

    Args:
        lower_margin: margin at lower_norm, in radians in [0, pi/2); 0.45 in the paper.
        upper_margin: margin at upper_norm, not below lower_margin; 0.8 in the paper.
        lower_norm: norm below which the margin no longer falls, above 0; 10 in the paper.
        upper_norm: norm above which the margin no longer grows; 110 in the paper.
        lambda_g: weight of the extra loss g(a), which rewards large norms; 35 in the paper.
        easy_margin: whether images at 90 degrees or more from their center get no margin, as in the
            authors' code by default. If false, they get ArcFace's, which goes on falling beyond
            theta + m(a) = pi (see `arcface_margin`).
    Raises InputError: margins or norms are not in order.
    Reference: Meng et al., CVPR 2021, arXiv:2103.06627, and the authors' code.

    Example:
        >>> from tfface.heads import MagFaceMargin
        >>> MagFaceMargin(upper_norm=40.0).upper_margin
        0.8
    """

    lower_margin: Angle = 0.45
    upper_margin: Angle = 0.8
    lower_norm: Norm = 10.0
    upper_norm: Norm = 110.0
    lambda_g: Annotated[float, Field(ge=0)] = 35.0
    easy_margin: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lower_margin > self.upper_margin:
            raise InputError(
                f"model.head: magface's lower_margin {self.lower_margin:g} is above its "
                f"upper_margin {self.upper_margin:g}; it must be that or less"
            )
        if self.lower_norm >= self.upper_norm:
            raise InputError(
                f"model.head: magface's lower_norm {self.lower_norm:g} is not below its "
                f"upper_norm {self.upper_norm:g}; it must be"
            )

    def apply(self, cosines: Tensor, norms: Tensor, factor: Tensor, stats: Stats) -> Tensor:
        slope = (self.upper_margin - self.lower_margin) / (self.upper_norm - self.lower_norm)
        margins = self.lower_margin + slope * (self._clip(norms) - self.lower_norm)
        shifted = arcface_margin(cosines, factor * margins)
        return ops.where(cosines > 0, shifted, cosines) if self.easy_margin else shifted

    def extra_loss(self, norms: Tensor, factor: Tensor) -> Tensor | None:
        a = self._clip(norms)[:, 0]
        return factor * self.lambda_g * (1.0 / a + a / self.upper_norm**2)

    def _clip(self, norms: Tensor) -> Tensor:
        return ops.clip(norms, self.lower_norm, self.upper_norm)


# ------------------------------------------------------------------------------------ the formulas
def arcface_margin(cosines: Tensor, margin: Tensor | float) -> Tensor:
    """Returns cos(theta + margin) for cosines = cos(theta).

    Past theta = pi - margin, where cos(theta + margin) would rise again, it is cos(theta) - margin
    * sin(margin), so that the result falls with theta everywhere in [0, pi].

    Args:
        margin: radians in [0, pi/2).
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698; the continuation is that of the authors'
        code.
    """
    cosine, sine = _cosine_and_sine(margin)
    continued = cosines - margin * sine
    return ops.where(cosines > -cosine, _shifted(cosines, cosine, sine), continued)


def combined_margin(
    cosines: Tensor, factor: Tensor | float, shift: Tensor | float, offset: Tensor | float
) -> Tensor:
    """Returns psi(factor * theta + shift) - offset for cosines = cos(theta).

    psi is the cosine where its argument is within [0, pi], and keeps falling beyond:
        psi(a) = (-1)^k cos(a) - 2k,  k = floor(a / pi)

    Args:
        factor: above 0; the multiplicative margin m1.
        shift: radians, 0 or more; the angular margin m2.
        offset: 0 or more; the cosine margin m3.
    Numerics: within 1e-6 of cos = 1 and -1, values are those at that distance and gradients 0.
    Reference: the three in one are equation 4 of Deng et al., CVPR 2019, arXiv:1801.07698; psi is
        that of Liu et al., CVPR 2017, arXiv:1704.08063.
    """
    edge = 1.0 - 1e-6
    angles = factor * ops.arccos(ops.clip(cosines, -edge, edge)) + shift
    k = ops.stop_gradient(ops.floor(angles / math.pi))
    signs = 1.0 - 2.0 * ops.mod(k, 2.0)
    return signs * ops.cos(angles) - 2.0 * k - offset


def adaface_margin(cosines: Tensor, shift: Tensor | float, offset: Tensor | float) -> Tensor:
    """Returns cos(theta + shift) - offset, with theta + shift kept within [0, pi].

    Args:
        shift: radians in [-pi/2, pi/2].
        offset: 0 or more.
    Reference: Kim et al., CVPR 2022, arXiv:2204.00964; its code keeps the angle 1e-3 from the ends.
    """
    cosine, sine = _cosine_and_sine(shift)
    shifted = _shifted(cosines, cosine, sine)
    shifted = ops.where(ops.logical_and(shift < 0, cosines > cosine), 1.0, shifted)
    shifted = ops.where(ops.logical_and(shift > 0, cosines < -cosine), -1.0, shifted)
    return shifted - offset


def _shifted(cosines: Tensor, cosine: Tensor | float, sine: Tensor | float) -> Tensor:
    """cos(theta + a) from cos(theta), cos(a) and sin(a)."""
    sines = ops.sqrt(ops.clip(1.0 - ops.square(cosines), 1e-12, 1.0))
    return cosines * cosine - sines * sine


def _cosine_and_sine(angle: Tensor | float) -> tuple[Tensor | float, Tensor | float]:
    if isinstance(angle, int | float):
        return math.cos(angle), math.sin(angle)
    return ops.cos(angle), ops.sin(angle)


def _running(momentum: float, mean: Tensor, value: Tensor) -> Tensor:
    return momentum * mean + (1 - momentum) * value
