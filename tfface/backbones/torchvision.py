"""ResNets and VGG13 in torchvision's layout, for its weights.

keras.applications has other ResNets: their bottlenecks have the stride in the first 1x1
convolution, their convolutions have biases, and there are none with 18 and 34 layers.

Source: He et al., CVPR 2016, arXiv:1512.03385; wide: Zagoruyko and Komodakis, arXiv:1605.07146;
ResNeXt: Xie et al., CVPR 2017, arXiv:1611.05431; VGG: Simonyan and Zisserman, ICLR 2015,
arXiv:1409.1556; torchvision/models/resnet.py and vgg.py.
"""

from collections.abc import Callable

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv, grouped_conv, kaiming_fan_out
from tfface.backbones.weights.published import PYTORCH


def resnet_basic(blocks: tuple[int, ...], published: str) -> Callable[..., Backbone]:
    """Returns the builder of a ResNet with blocks of two 3x3 convolutions.

    Args:
        blocks: number of blocks in each stage.
        published: NAME-HASH, the file of its published weights.

    Returns:
        The builder.
    """

    def build(*, image_size: tuple[int, int]) -> Backbone:
        return _build(_basic_block, blocks, image_size, published)

    build.__doc__ = "torchvision's ResNet. Input normalization: `imagenet`."
    return build


def resnet_bottleneck(
    blocks: tuple[int, ...], published: str, width: int = 64, groups: int = 1
) -> Callable[..., Backbone]:
    """Returns the builder of a ResNet with blocks of 1x1, 3x3 and 1x1 convolutions.

    Args:
        blocks, published: as for `resnet_basic`.
        width: channels of each group inside the blocks of the first stage.
        groups: of the 3x3 convolutions.

    Returns:
        The builder.
    """

    def build(*, image_size: tuple[int, int]) -> Backbone:
        def block(features, planes, strides, name):
            return _bottleneck(features, planes, strides, name, width, groups)

        return _build(block, blocks, image_size, published)

    build.__doc__ = "torchvision's ResNet. Input normalization: `imagenet`."
    return build


def _build(block, blocks, image_size, published) -> Backbone:
    images = keras.Input((*image_size, 3))
    features = conv(images, 64, 7, "conv1", strides=2, padding=3, initializer=kaiming_fan_out)
    features = layers.ReLU(name="relu")(batch_norm(features, "bn1"))
    # Padding with zeros does not change the maximum of ReLU outputs.
    features = layers.ZeroPadding2D(1, name="maxpool_padding")(features)
    features = layers.MaxPooling2D(3, 2, name="maxpool")(features)
    for stage, count in enumerate(blocks):
        for number in range(count):
            strides = 2 if stage > 0 and number == 0 else 1
            features = block(features, 64 * 2**stage, strides, f"layer{stage + 1}_{number}")
    return Backbone(
        keras.Model(images, features, name="backbone"),
        "imagenet",
        imagenet_url=f"{PYTORCH}{published}.pth",
    )


def _basic_block(features, planes, strides, name):
    inner = _conv_bn(features, planes, 3, name, 1, strides)
    inner = layers.ReLU(name=f"{name}_relu1")(inner)
    inner = _conv_bn(inner, planes, 3, name, 2)
    return _joined(features, inner, strides, name)


def _bottleneck(features, planes, strides, name, width, groups):
    channels = planes * width // 64 * groups
    inner = _conv_bn(features, channels, 1, name, 1)
    inner = layers.ReLU(name=f"{name}_relu1")(inner)
    inner = _conv_bn(inner, channels, 3, name, 2, strides, groups)
    inner = layers.ReLU(name=f"{name}_relu2")(inner)
    inner = _conv_bn(inner, 4 * planes, 1, name, 3)
    return _joined(features, inner, strides, name)


def _joined(features, inner, strides, name):
    channels = inner.shape[-1]
    if strides != 1 or features.shape[-1] != channels:
        features = conv(
            features,
            channels,
            1,
            f"{name}_downsample_0",
            strides=strides,
            initializer=kaiming_fan_out,
        )
        features = batch_norm(features, f"{name}_downsample_1")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([inner, features]))


def _conv_bn(features, filters, kernel_size, name, number, strides=1, groups=1):
    shape = {"strides": strides, "padding": kernel_size // 2}
    name, norm = f"{name}_conv{number}", f"{name}_bn{number}"
    if groups > 1:
        features = grouped_conv(features, filters, kernel_size, name, groups=groups, **shape)
    else:
        features = conv(features, filters, kernel_size, name, initializer=kaiming_fan_out, **shape)
    return batch_norm(features, norm)


STAGES = (64, 128, 256, 512, 512)
CLASSIFIER = {"neck_hidden_0": "classifier.0", "neck_hidden_1": "classifier.3"}


def vgg13_bn(*, image_size: tuple[int, int]) -> Backbone:
    """torchvision's VGG13 with batch norm. Input normalization: `imagenet`.

    Its classifier is a neck: {pooling: adaptive_average_7x7, hidden_units: [4096, 4096]} and no
    embedding layer.
    """
    images = features = keras.Input((*image_size, 3))
    # PyTorch numbers all layers of the sequence, even those without weights.
    number = 0
    for channels in STAGES:
        for _ in range(2):
            features = conv(
                features,
                channels,
                3,
                f"features_{number}",
                padding=1,
                use_bias=True,
                initializer=kaiming_fan_out,
            )
            features = batch_norm(features, f"features_{number + 1}")
            features = layers.ReLU(name=f"features_{number + 2}")(features)
            number += 3
        features = layers.MaxPooling2D(2, name=f"features_{number}")(features)
        number += 1
    return Backbone(
        keras.Model(images, features, name="backbone"),
        "imagenet",
        neck_modules=CLASSIFIER,
        imagenet_url=f"{PYTORCH}vgg13_bn-abd245e5.pth",
    )
