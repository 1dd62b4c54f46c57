"""Angular margins as pure functions on cosines."""

import math

from keras import ops


def arcface_margin(cosines, margin: float):
    """Returns cos(theta + margin) for cosines = cos(theta).

    Past theta = pi - margin, where cos(theta + margin) would rise again, cos(theta) - margin *
    sin(margin) takes over, so that the result falls with theta everywhere in [0, pi].

    Args:
        cosines: float tensor of any shape, in [-1, 1]; values outside by rounding are allowed.
        margin: radians in [0, pi/2).
    Numerics: the sine's argument is clipped before the square root, whose gradient at 0 is
        infinite; values and gradients are finite everywhere, also at cos = 1 and -1.
    Reference: Deng et al., CVPR 2019, arXiv:1801.07698; the continuation is
        that of the authors' code.
    """
    sines = ops.sqrt(ops.clip(1.0 - ops.square(cosines), 1e-12, 1.0))
    shifted = cosines * math.cos(margin) - sines * math.sin(margin)
    continued = cosines - margin * math.sin(margin)
    return ops.where(cosines > -math.cos(margin), shifted, continued)
