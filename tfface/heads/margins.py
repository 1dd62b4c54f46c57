"""Angular margins as pure functions on cosines.

Margins are numbers, or float32 tensors that broadcast with the cosines. Cosines are of any shape,
in [-1, 1]; values outside by rounding are allowed. Values and gradients are finite everywhere, also
at cos = 1 and -1: what goes into a square root or an arccosine, whose gradients there are infinite,
is clipped before.
"""

import math

from keras import ops

from tfface.typing import Tensor


def arcface_margin(cosines: Tensor, margin: Tensor | float) -> Tensor:
    """Returns cos(theta + margin) for cosines = cos(theta).

    Past theta = pi - margin, where cos(theta + margin) would rise again, cos(theta) - margin *
    sin(margin) takes over, so that the result falls with theta everywhere in [0, pi].

    Args:
        margin: radians in [0, pi/2).
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698; the continuation is
        that of the authors' code.
    """
    cosine, sine = _cosine_and_sine(margin)
    continued = cosines - margin * sine
    return ops.where(cosines > -cosine, _shifted(cosines, cosine, sine), continued)


def cosface_margin(cosines: Tensor, margin: Tensor | float) -> Tensor:
    """Returns cos(theta) - margin.

    Args:
        margin: 0 or more.
    Reference: Wang et al., CVPR 2018, arXiv:1801.09414.
    """
    return cosines - margin


def combined_margin(
    cosines: Tensor, factor: Tensor | float, shift: Tensor | float, offset: Tensor | float
) -> Tensor:
    """Returns psi(factor * theta + shift) - offset for cosines = cos(theta).

    psi is the cosine where its argument is within [0, pi] and goes on falling beyond:
        psi(a) = (-1)^k cos(a) - 2k,   k the whole part of a / pi

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
    turns = ops.stop_gradient(ops.floor(angles / math.pi))
    signs = 1.0 - 2.0 * ops.mod(turns, 2.0)
    return signs * ops.cos(angles) - 2.0 * turns - offset


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
