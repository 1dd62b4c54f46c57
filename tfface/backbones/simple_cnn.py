"""Small convolutional networks: baselines of a comparison, and fast networks for tests."""

from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv
from tfface.backbones.weights.published import refuse_weights

Channels = Annotated[int, Field(ge=1, le=65_536)]


def plain_cnn(
    channels: Annotated[list[Channels], Field(min_length=1, max_length=32)] = (32, 64, 128, 192),
    *,
    image_size: tuple[int, int],
    weights: str | None = None,
) -> Backbone:
    """A 3x3 convolution of stride 2, batch norm and ReLU for each entry of `channels`.

    Args:
        channels: output channels of each layer.

    Raises:
        InputError: weights is "imagenet", and there are none.
    """
    refuse_weights("plain_cnn", weights)
    images = features = keras.Input((*image_size, 3))
    for number, count in enumerate(channels):
        features = layers.Conv2D(
            count, 3, strides=2, padding="same", use_bias=False, name=f"conv_{number}"
        )(features)
        # Short runs end before statistics with the default momentum have converged.
        features = layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{number}")(features)
        features = layers.ReLU(name=f"relu_{number}")(features)
    return Backbone(keras.Model(images, features, name="backbone"), "minus_one_to_one")


def simple_cnn(
    channels: Annotated[list[Channels], Field(min_length=1, max_length=32)] = (8, 16, 32, 64, 128),
    *,
    image_size: tuple[int, int],
    weights: str | None = None,
) -> Backbone:
    """For each entry of `channels` a 3x3 convolution of stride 2, batch norm, ReLU, max-pool of 2.

    The convolutions pad by 2, so that an image of any size has an output.

    Args:
        channels: output channels of each layer.

    Raises:
        InputError: weights is "imagenet", and there are none.
    """
    refuse_weights("simple_cnn", weights)
    images = features = keras.Input((*image_size, 3))
    for number, count in enumerate(channels):
        features = conv(features, count, 3, f"conv_{number}", strides=2, padding=2)
        features = batch_norm(features, f"batch_norm_{number}")
        features = layers.ReLU(name=f"relu_{number}")(features)
        features = layers.MaxPooling2D(2, name=f"pooling_{number}")(features)
    return Backbone(keras.Model(images, features, name="backbone"), "minus_one_to_one")
