"""Vision transformers for faces in the layout of insightface's arcface_torch.

They have no class token: all patches together are one vector, which a dense layer and a batch norm
bring to the width of the network. The layers behind are the neck {batch_norm: true} with an
embedding of size 512. Patches have 9 pixels, 12x12 of them an image of 112 pixels; pixels left at
the right and at the bottom are not seen.

Source: Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; An et al., CVPR 2022, arXiv:2203.15565;
insightface/recognition/arcface_torch/backbones/vit.py.
"""

from collections.abc import Callable
from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import default_kernel
from tfface.backbones.vision_transformer import add_positions, self_attention
from tfface.backbones.weights.published import refuse_weights
from tfface.errors import InputError

DropPath = Annotated[float, Field(ge=0, lt=1)]

PATCH = 9
HEADS = 8
EPSILON = 2e-5
NECK = {"embedding": "feature.2", "neck_batch_norm": "feature.3"}


def arcface_vit(name: str, width: int, depth: int) -> Callable[..., Backbone]:
    """Returns the builder of a network.

    Args:
        name: its key in `BACKBONES`.
        width: channels of a patch.
        depth: number of blocks.

    Returns:
        The builder.
    """

    def build(
        drop_path: DropPath = 0.1, *, image_size: tuple[int, int], weights: str | None = None
    ) -> Backbone:
        refuse_weights(name, weights)
        if min(image_size) < PATCH:
            raise InputError(
                f"model.backbone: {name} cuts images into patches of {PATCH} pixels; "
                f"data.image_size is {image_size[0]}x{image_size[1]}"
            )
        network = arcface_vit_network(image_size, width, depth, HEADS, drop_path)
        return Backbone(network, "minus_one_to_one", NECK, EPSILON)

    build.__doc__ = f"""insightface's vision transformer of {depth} blocks and width {width}.

    Input normalization: `minus_one_to_one`; no published weights.

    Args:
        drop_path: share of images for which the last block is left out in training (stochastic
            depth); it rises from 0 at the first block.
    """
    return build


def arcface_vit_network(
    image_size: tuple[int, int], width: int, depth: int, heads: int, drop_path: float = 0.0
) -> keras.Model:
    """Builds images [batch, height, width, 3] -> [batch, 1, 1, width].

    Args:
        image_size: (height, width).
        width: channels of a patch, a multiple of `heads`.
        depth: number of blocks.
        heads: attention heads of each block.
        drop_path: share of images for which the last block is left out in training.
    """
    images = keras.Input((*image_size, 3))
    patches = layers.Conv2D(
        width, PATCH, PATCH, kernel_initializer=default_kernel(), name="patch_embed_proj"
    )(images)
    tokens = layers.Reshape((-1, width), name="patches")(patches)
    tokens = add_positions(tokens, "pos_embed")
    for number in range(depth):
        rate = drop_path * number / max(1, depth - 1)
        tokens = _block(tokens, heads, rate, f"blocks_{number}")
    tokens = _layer_norm(tokens, "norm")
    features = layers.Flatten(name="flat")(tokens)
    features = _dense(features, width, "feature_0", use_bias=False)
    features = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name="feature_1")(features)
    # A feature map with one position, which the neck's pooling does not change.
    features = layers.Reshape((1, 1, width), name="features")(features)
    return keras.Model(images, features, name="backbone")


def _block(tokens, heads, drop_path, name):
    width = tokens.shape[-1]
    attended = self_attention(
        _layer_norm(tokens, f"{name}_norm1"),
        heads,
        f"{name}_attn",
        parts=("qkv", "proj"),
        use_bias=False,
        initializer=_initial_kernel,
    )
    tokens = layers.Add(name=f"{name}_add_1")([tokens, _dropped(attended, drop_path, name, 1)])
    inner = _dense(_layer_norm(tokens, f"{name}_norm2"), 4 * width, f"{name}_mlp_fc1")
    inner = layers.ReLU(6.0, name=f"{name}_mlp_act")(inner)
    inner = _dense(inner, width, f"{name}_mlp_fc2")
    return layers.Add(name=f"{name}_add_2")([tokens, _dropped(inner, drop_path, name, 2)])


def _dropped(inner, rate, name, number):
    """Leaves the branch out for a share of images in training."""
    if not rate:
        return inner
    return layers.Dropout(rate, noise_shape=(None, 1, 1), name=f"{name}_drop_path_{number}")(inner)


def _dense(features, units, name, *, use_bias=True):
    return layers.Dense(units, use_bias=use_bias, kernel_initializer=_initial_kernel(), name=name)(
        features
    )


def _layer_norm(tokens, name):
    return layers.LayerNormalization(epsilon=1e-5, name=name)(tokens)


def _initial_kernel() -> keras.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
