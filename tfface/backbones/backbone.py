"""What a backbone is: a network and the pixels it expects."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network and its pixel contract.

    Attributes:
        network: keras.Model, float images [batch, height, width, 3] -> features
            [batch, rows, columns, channels].
        pixels: name of the contract in `pixels.PIXELS` that `network` expects.
    """

    network: keras.Model
    pixels: str
