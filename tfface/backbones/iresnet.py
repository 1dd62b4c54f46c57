"""IResNets, the improved ResNets of face recognition, in the layout of insightface's arcface_torch.

The layers behind their last block are the neck {input_batch_norm: true, pooling: flatten,
batch_norm: true} with an embedding of size 512. An image of 112 pixels gives a 7x7 feature map.

Source: Deng et al., CVPR 2019, arXiv:1801.07698 (the residual unit is its figure of "IBN");
insightface/recognition/arcface_torch/backbones/iresnet.py.
"""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv, prelu
from tfface.backbones.weights.published import refuse_weights

NECK = {"neck_input_batch_norm": "bn2", "embedding": "fc", "neck_batch_norm": "features"}
CHANNELS = (64, 128, 256, 512)


def iresnet(name: str, blocks: Sequence[int]) -> Callable[..., Backbone]:
    """Returns the builder of a network.

    Args:
        name: its key in `BACKBONES`.
        blocks: in each of the four stages.

    Returns:
        The builder.
    """

    def build(*, image_size: tuple[int, int], weights: str | None = None) -> Backbone:
        refuse_weights(name, weights)
        return Backbone(iresnet_network(image_size, blocks), "minus_one_to_one", neck_modules=NECK)

    build.__doc__ = (
        "insightface's ResNet for faces. Input normalization: `minus_one_to_one`; no published "
        "weights."
    )
    return build


def iresnet_network(
    image_size: tuple[int, int], blocks: Sequence[int], channels: Sequence[int] = CHANNELS
) -> keras.Model:
    """Builds images [batch, height, width, 3] -> [batch, height / 16, width / 16, channels].

    Args:
        blocks: in each stage; the first block of a stage halves the feature map.
        channels: of each stage.
    """
    images = keras.Input((*image_size, 3))
    features = _conv(images, channels[0], 3, "conv1")
    features = prelu(batch_norm(features, "bn1"), "prelu")
    for stage, (count, width) in enumerate(zip(blocks, channels, strict=True), start=1):
        for number in range(count):
            features = _block(features, width, 2 if number == 0 else 1, f"layer{stage}_{number}")
    return keras.Model(images, features, name="backbone")


def _block(features, channels, strides, name):
    inner = batch_norm(features, f"{name}_bn1")
    inner = batch_norm(_conv(inner, channels, 3, f"{name}_conv1"), f"{name}_bn2")
    inner = prelu(inner, f"{name}_prelu")
    inner = batch_norm(_conv(inner, channels, 3, f"{name}_conv2", strides), f"{name}_bn3")
    if strides != 1 or features.shape[-1] != channels:
        features = _conv(features, channels, 1, f"{name}_downsample_0", strides)
        features = batch_norm(features, f"{name}_downsample_1")
    return layers.Add(name=f"{name}_add")([inner, features])


def _conv(features, filters, kernel_size, name, strides=1):
    return conv(
        features,
        filters,
        kernel_size,
        name,
        strides=strides,
        padding=kernel_size // 2,
        initializer=_initial_kernel,
    )


def _initial_kernel() -> keras.Initializer:
    return keras.initializers.RandomNormal(stddev=0.1)
