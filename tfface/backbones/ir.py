"""IR and IR-SE networks: improved ResNets in the layout of AdaFace, CVLface, TFace, face.evoLVe.

They differ from insightface's iresnets in their first block, whose shortcut is the feature map
without every other row and column instead of a convolution. The layers behind their last block are
the neck {input_batch_norm: true, pooling: flatten, dropout: 0.4, batch_norm: true} with an
embedding of size 512. An image of 112 pixels gives a 7x7 feature map.

Source: Deng et al., CVPR 2019, arXiv:1801.07698; Hu et al., CVPR 2018, arXiv:1709.01507 (squeeze
and excitation); the networks of AdaFace (arXiv:2204.00964), TFace and face.evoLVe.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv, kaiming_fan_out, prelu
from tfface.backbones.weights.published import refuse_weights

Layout = Literal["adaface", "tface", "evolve"]

INPUT_NORMALIZATION = {
    # AdaFace was trained on images as OpenCV reads them.
    "adaface": "minus_one_to_one_bgr",
    "tface": "minus_one_to_one",
    "evolve": "minus_one_to_one",
}
NECK = {
    "neck_input_batch_norm": "output_layer.0",
    "embedding": "output_layer.3",
    "neck_batch_norm": "output_layer.4",
}
CHANNELS = (64, 128, 256, 512)
# Of squeeze and excitation: channels / inner channels.
REDUCTION = 16


def ir(name: str, blocks: Sequence[int], *, squeeze: bool = False) -> Callable[..., Backbone]:
    """Returns the builder of a network.

    Args:
        name: its key in `BACKBONES`.
        blocks: in each of the four stages.
        squeeze: whether blocks end in squeeze and excitation.

    Returns:
        The builder.
    """

    def build(
        layout: Layout = "adaface", *, image_size: tuple[int, int], weights: str | None = None
    ) -> Backbone:
        refuse_weights(name, weights)
        network = ir_network(image_size, blocks, layout=layout, squeeze=squeeze)
        return Backbone(network, INPUT_NORMALIZATION[layout], neck_modules=NECK)

    build.__doc__ = f"""ResNet for faces{" with squeeze and excitation" if squeeze else ""}, \
in a layout that many projects share.

    Args:
        layout: whose checkpoints fit, and whose pixels are used: `adaface`, which takes BGR;
            `tface`, the same network on RGB, also of CVLface and CurricularFace; or `evolve`, of
            face.evoLVe, with a batch norm less in each block, on RGB.
    """
    return build


def ir_network(
    image_size: tuple[int, int],
    blocks: Sequence[int],
    channels: Sequence[int] = CHANNELS,
    *,
    layout: Layout = "adaface",
    squeeze: bool = False,
) -> keras.Model:
    """Builds images [batch, height, width, 3] -> [batch, height / 16, width / 16, channels].

    Args:
        blocks: in each stage; the first block of a stage halves the feature map.
        channels: of each stage.
        layout: `evolve` for blocks without a batch norm between their two convolutions.
        squeeze: whether blocks end in squeeze and excitation.
    """
    # Keras' own names, input_layer_1 and so on, are those of layers here.
    images = keras.Input((*image_size, 3), name="images")
    features = _conv(images, channels[0], 3, "input_layer_0")
    features = prelu(batch_norm(features, "input_layer_1"), "input_layer_2")
    number = 0
    for count, width in zip(blocks, channels, strict=True):
        for place in range(count):
            strides = 2 if place == 0 else 1
            features = _block(features, width, strides, f"body_{number}", layout, squeeze)
            number += 1
    return keras.Model(images, features, name="backbone")


def _block(features, channels, strides, name, layout, squeeze):
    # Modules of PyTorch's Sequential are numbered.
    names = iter(f"{name}_res_layer_{place}" for place in range(7))
    inner = batch_norm(features, next(names))
    inner = _conv(inner, channels, 3, next(names))
    if layout != "evolve":
        inner = batch_norm(inner, next(names))
    inner = prelu(inner, next(names))
    inner = batch_norm(_conv(inner, channels, 3, next(names), strides), next(names))
    if squeeze:
        last = next(names) if layout == "evolve" else f"{name}_res_layer_se_block"
        inner = _squeeze_and_excitation(inner, last)
    shortcut = features
    if features.shape[-1] != channels:
        shortcut = _conv(features, channels, 1, f"{name}_shortcut_layer_0", strides)
        shortcut = batch_norm(shortcut, f"{name}_shortcut_layer_1")
    elif strides > 1:
        shortcut = layers.MaxPooling2D(1, strides, name=f"{name}_shortcut_layer")(features)
    return layers.Add(name=f"{name}_add")([inner, shortcut])


def _squeeze_and_excitation(features, name):
    channels = features.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(features)
    weights = _conv(weights, channels // REDUCTION, 1, f"{name}_fc1")
    weights = layers.Activation("relu", name=f"{name}_relu")(weights)
    weights = _conv(weights, channels, 1, f"{name}_fc2")
    weights = layers.Activation("sigmoid", name=f"{name}_sigmoid")(weights)
    return layers.Multiply(name=f"{name}_scaled")([features, weights])


def _conv(features, filters, kernel_size, name, strides=1):
    return conv(
        features,
        filters,
        kernel_size,
        name,
        strides=strides,
        padding=kernel_size // 2,
        initializer=kaiming_fan_out,
    )
