"""How the large arrays of a head lie over devices that share the class centers.

A keras.distribution that divides the centers says it by layouts for these names; else the compiler
may choose to send all centers, or all logits, to every device.
"""

import keras

from tfface.typing import Tensor

# [batch, embedding_size], [batch, rows of the class centers] and [batch].
EMBEDDINGS, LOGITS, IDENTITIES = "head/embeddings", "head/logits", "head/identities"


def lay_out(tensor: Tensor, name: str) -> Tensor:
    """Returns a tensor as the distribution lays it out, if there is one that does.

    Args:
        name: one of the names above.
    """
    distribution = keras.distribution.distribution()
    layout = distribution and distribution.get_tensor_layout(name)
    return keras.distribution.distribute_tensor(tensor, layout) if layout else tensor
