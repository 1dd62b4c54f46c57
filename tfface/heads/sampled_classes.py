"""Which identities a step of training compares its embeddings with, where not with all."""

from dataclasses import dataclass

import keras
from keras import ops

from tfface.kernels.class_centers import top_k_positions
from tfface.typing import Tensor


@dataclass(frozen=True)
class Candidates:
    """Some of the identities.

    Attributes:
        identities: int32 [num_candidates], rising.
        centers: float32 [num_candidates * centers_per_identity, embedding_size], those of each
            identity after each other.
    """

    identities: Tensor
    centers: Tensor

    def columns(self, identities: Tensor) -> Tensor:
        """Returns the place of each identity, int32 [batch], among the candidates."""
        return ops.searchsorted(self.identities, ops.cast(identities, "int32"))


def draw_identities(
    wanted: Tensor, share: float, num_identities: int, seed: keras.random.SeedGenerator
) -> Tensor:
    """Draws a share of the identities, each equally likely, with some that have to be in it.

    Args:
        wanted: int32 [n], of those; not necessarily distinct.
        share: in (0, 1).
    Returns: int32 [num_drawn], rising and distinct. `num_drawn` is that share of the identities,
        or n where that is more.
    """
    num_drawn = max(round(share * num_identities), min(wanted.shape[0], num_identities))
    numbers = keras.random.uniform((num_identities,), seed=seed)
    ahead = ops.full((wanted.shape[0],), 2.0)
    numbers = ops.scatter_update(numbers, ops.expand_dims(wanted, -1), ahead)
    return top_k_positions(numbers, num_drawn)
