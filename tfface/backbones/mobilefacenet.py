"""MobileFaceNet: a mobile network of inverted residuals with a global depthwise convolution.

The original and insightface's version have the same structure; insightface's is twice as wide
between the blocks and names its modules differently. The global depthwise convolution belongs to
the backbone; the layers behind it are the neck {pooling: flatten, batch_norm: true}.

Source: Chen et al., CCBR 2018, arXiv:1804.07573;
insightface/recognition/arcface_torch/backbones/mobilefacenet.py.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import (
    batch_norm,
    conv,
    grouped_conv,
    kaiming_fan_out,
    kaiming_of_groups,
    prelu,
)
from tfface.backbones.weights.published import refuse_weights

Count = Annotated[int, Field(ge=1, le=1000)]

# At scale 1. All stages but the first begin with a block that halves the feature map.
CHANNELS = (64, 64, 128, 128)
# Inner width of that block, and of the blocks after it, at any scale.
HALVING_WIDTHS = (None, 128, 256, 512)
WIDTHS = (128, 128, 256, 256)
END_CHANNELS = 512
# Of the convolution that replaces a first stage of one block.
GROUPS = 64

SCALES = {"insightface": 2, "original": 1}
INPUT_NORMALIZATION = {"insightface": "minus_one_to_one", "original": "facenet"}
NECKS = {
    "insightface": {"embedding": "features.layers.2", "neck_batch_norm": "features.layers.3"},
    "original": {"embedding": "linear1.conv", "neck_batch_norm": "linear1.bn"},
}


def mobilefacenet(
    layout: Literal["insightface", "original"] = "insightface",
    blocks: Annotated[list[Count], Field(min_length=4, max_length=4)] = (1, 4, 6, 2),
    scale: Annotated[int, Field(ge=1, le=64)] | None = None,
    *,
    image_size: tuple[int, int],
    weights: str | None = None,
) -> Backbone:
    """A small network for faces, whose last convolution is fixed to the image size.

    Args:
        layout: whose checkpoints fit, and whose input normalization is used.
        blocks: number of blocks in each stage; insightface's large model has [2, 8, 12, 4] at scale
            4.
        scale: factor on the channels between blocks; by default 2 for insightface, 1 for the
            original.
    """
    refuse_weights("mobilefacenet", weights)
    name = _insightface_names if layout == "insightface" else _original_names
    network = _build(image_size, blocks, scale or SCALES[layout], name(blocks))
    return Backbone(network, INPUT_NORMALIZATION[layout], neck_modules=NECKS[layout])


def _build(
    image_size: tuple[int, int], blocks: Sequence[int], scale: int, names: Iterator[Sequence[str]]
) -> keras.Model:
    """Returns images [batch, height, width, 3] -> [batch, 1, 1, 512].

    Args:
        names: of convolution, batch norm and PReLU of each part, in order.
    """
    images = keras.Input((*image_size, 3))
    features = _part(images, CHANNELS[0] * scale, next(names), 3, strides=2)
    if blocks[0] == 1:
        features = _part(features, CHANNELS[0] * scale, next(names), 3, groups=GROUPS)
    for stage, count in enumerate(blocks):
        if stage > 0:
            features = _block(
                features, CHANNELS[stage] * scale, HALVING_WIDTHS[stage], names, strides=2
            )
        elif count == 1:
            continue
        for _ in range(count):
            inner = _block(features, CHANNELS[stage] * scale, WIDTHS[stage], names)
            features = layers.Add()([features, inner])
    features = _part(features, END_CHANNELS, next(names), 1)
    _, rows, columns, _ = features.shape
    convolution, norm, _ = next(names)
    features = layers.DepthwiseConv2D(
        (rows, columns),
        use_bias=False,
        depthwise_initializer=kaiming_of_groups(rows * columns, END_CHANNELS),
        name=convolution,
    )(features)
    return keras.Model(images, batch_norm(features, norm), name="backbone")


def _block(features, channels, width, names, strides=1):
    """An inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection."""
    features = _part(features, width, next(names), 1)
    features = _part(features, width, next(names), 3, strides=strides, groups=width)
    convolution, norm, _ = next(names)
    features = conv(features, channels, 1, convolution, initializer=kaiming_fan_out)
    return batch_norm(features, norm)


def _part(features, channels, names, kernel_size, strides=1, groups=1):
    convolution, norm, activation = names
    if groups == channels:
        if strides > 1:
            features = layers.ZeroPadding2D(1, name=f"{convolution}_padding")(features)
        features = layers.DepthwiseConv2D(
            kernel_size,
            strides,
            padding="valid" if strides > 1 else "same",
            use_bias=False,
            depthwise_initializer=kaiming_of_groups(kernel_size**2, channels),
            name=convolution,
        )(features)
    else:
        shape = {"strides": strides, "padding": kernel_size // 2}
        if groups > 1:
            features = grouped_conv(
                features, channels, kernel_size, convolution, groups=groups, **shape
            )
        else:
            features = conv(
                features, channels, kernel_size, convolution, initializer=kaiming_fan_out, **shape
            )
    return prelu(batch_norm(features, norm), activation)


def _insightface_names(blocks: Sequence[int]) -> Iterator[list[str]]:
    def part(module):
        return [f"{module}_layers_{number}" for number in range(3)]

    yield part("layers_0")
    if blocks[0] == 1:
        yield part("layers_1")
    for stage, count in enumerate(blocks):
        modules = [f"layers_{2 * stage + 1}_layers_{number}" for number in range(count)]
        if stage == 0:
            modules = modules if count > 1 else []
        else:
            modules.insert(0, f"layers_{2 * stage}")
        for module in modules:
            for number in range(3):
                yield part(f"{module}_layers_{number}")
    yield part("conv_sep")
    yield part("features_layers_0")


def _original_names(blocks: Sequence[int]) -> Iterator[list[str]]:
    def part(module):
        return [f"{module}_conv", f"{module}_bn", f"{module}_prelu"]

    yield part("conv1")
    if blocks[0] == 1:
        yield part("dw_conv1")
    num_blocks = sum(blocks[1:]) + 3 + (blocks[0] if blocks[0] > 1 else 0)
    for block in range(num_blocks):
        for number in range(3):
            yield [f"blocks_{block}_conv_{3 * number + place}" for place in range(3)]
    yield part("conv2")
    yield part("linear7")
