import math

import numpy as np
import pytest

from tests.heads.reference import EMBEDDINGS, check, cross_entropy, with_centers
from tfface.heads.sphereface import SphereFaceHead


def psi_by_intervals(theta: float, margin: float) -> float:
    """(-1)^k cos(margin * theta) - 2k, k where margin * theta is in [k pi, (k + 1) pi]."""
    for k in range(9):
        if k * math.pi <= margin * theta <= (k + 1) * math.pi:
            return (-1) ** k * math.cos(margin * theta) - 2 * k
    raise ValueError(theta)


@pytest.mark.parametrize("margin", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("identity", [0, 2])
def test_golden_loss_and_gradient(margin, identity):
    def loss(cosines, y, *_):
        cosines[y] = psi_by_intervals(math.acos(cosines[y]), margin)
        return cross_entropy(5.0 * cosines, y)

    head = with_centers(SphereFaceHead(margin=margin, scale=5.0, num_identities=4))
    check(head, loss, identities=np.full(len(EMBEDDINGS), identity, "int32"))
