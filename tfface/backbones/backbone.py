"""What a backbone is: a network and the pixels it expects."""

import dataclasses
from collections.abc import Mapping

import keras


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network and its pixel contract.

    In a network that PyTorch publishes weights of, each layer that has weights is named as the
    PyTorch module is, `_` for `.`: `layer1.0.conv1` is `layer1_0_conv1`.

    Attributes:
        network: keras.Model, float images [batch, height, width, 3] -> features
            [batch, rows, columns, channels].
        pixels: name of the contract in `pixels.PIXELS` that `network` expects.
        neck_modules: layers of the neck, by name, whose weights a PyTorch checkpoint of this
            network holds too, and the PyTorch module of each.
        neck_epsilon: of the batch norms of the neck; weights are trained with one.
        imagenet_url: where PyTorch publishes weights of it that were trained on ImageNet.
    """

    network: keras.Model
    pixels: str
    neck_modules: Mapping[str, str] = dataclasses.field(default_factory=dict)
    neck_epsilon: float = 1e-5
    imagenet_url: str | None = None
