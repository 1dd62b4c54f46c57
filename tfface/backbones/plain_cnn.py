"""A small network for small images: quick to train from random weights on a CPU."""

from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from tfface.backbones.backbone import Backbone
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
        channels: channels of each convolution, as many as there shall be layers.

    Raises InputError: weights is "imagenet"; there are none.
    """
    refuse_weights("plain_cnn", weights)
    images = features = keras.Input((*image_size, 3))
    for number, count in enumerate(channels):
        features = layers.Conv2D(
            count, 3, strides=2, padding="same", use_bias=False, name=f"conv_{number}"
        )(features)
        # Short trainings end before slower statistics have arrived.
        features = layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{number}")(features)
        features = layers.ReLU(name=f"relu_{number}")(features)
    return Backbone(keras.Model(images, features, name="backbone"), "minus_one_to_one")
