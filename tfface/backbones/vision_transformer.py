"""Vision transformers in torchvision's layout, for its weights; keras.applications has none.

They consist of plain Keras layers and operations, so a saved model can be loaded without tfface or
another library.

Source: Dosovitskiy et al., ICLR 2021, arXiv:2010.11929; torchvision/models/vision_transformer.py.
"""

from collections.abc import Callable
from typing import Annotated

import keras
from keras import layers, ops
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.weights.published import PYTORCH, refuse_weights
from tfface.errors import InputError

Count = Annotated[int, Field(ge=1, le=1000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


def vit_b16(dropout: Dropout = 0.0, *, image_size: tuple[int, int]) -> Backbone:
    """ViT-B/16: patches of 16 pixels, 12 blocks, width 768, 12 heads.

    The published weights contain position embeddings for images of 224 pixels, and fit no other
    size.

    Args:
        dropout: dropout rate in each block.

    Raises:
        InputError: the image size is not a multiple of the patch size.
    """
    network = _build("vit_b16", image_size, 16, 12, 768, 12, dropout)
    return Backbone(network, "imagenet", imagenet_url=f"{PYTORCH}vit_b_16-c867db91.pth")


def vit_small(
    patch_size: Count = 8,
    depth: Count = 12,
    width: Width = 384,
    heads: Count = 6,
    dropout: Dropout = 0.0,
    *,
    image_size: tuple[int, int],
    weights: str | None = None,
) -> Backbone:
    """ViT-S for faces: by default 196 patches of an image of 112 pixels, as ViT-S/16 has at 224.

    Args:
        patch_size: side of a patch in pixels; it must divide the image size.
        depth: number of blocks.
        width: channels of a patch; a multiple of `heads`.
        heads: attention heads of each block.
        dropout: dropout rate in each block.

    Raises:
        InputError: weights is "imagenet" (there are none); the image size is not a multiple of the
            patch size, or the width not of the heads.
    """
    refuse_weights("vit_small", weights)
    if width % heads:
        raise InputError(
            f"model.backbone: vit_small: width {width} must be a multiple of heads, {heads}"
        )
    network = _build("vit_small", image_size, patch_size, depth, width, heads, dropout)
    return Backbone(network, "minus_one_to_one")


def _build(name, image_size, patch_size, depth, width, heads, dropout) -> keras.Model:
    """Returns images [batch, height, width, 3] -> class token [batch, 1, 1, width]."""
    if any(size % patch_size for size in image_size):
        raise InputError(
            f"model.backbone: {name} cuts images into patches of {patch_size} pixels; "
            f"data.image_size must be a multiple of it, and is {image_size[0]}x{image_size[1]}"
        )
    images = keras.Input((*image_size, 3))
    patches = layers.Conv2D(
        width, patch_size, patch_size, kernel_initializer="lecun_normal", name="conv_proj"
    )(images)
    patches = layers.Reshape((-1, width), name="patches")(patches)
    # An Embedding layer holds the weights; Keras needs an input that depends on the image.
    zeros = ops.zeros_like(patches[:, :1, 0], dtype="int32")
    class_token = layers.Embedding(1, width, "zeros", name="class_token")(zeros)
    tokens = layers.Concatenate(axis=1, name="tokens")([class_token, patches])
    tokens = add_positions(tokens, "encoder_pos_embedding")
    tokens = layers.Dropout(dropout, name="encoder_dropout")(tokens)
    for number in range(depth):
        tokens = _block(tokens, heads, dropout, f"encoder_layers_encoder_layer_{number}")
    tokens = _layer_norm(tokens, "encoder_ln")
    # A feature map with one position, which the neck's pooling does not change.
    features = layers.Reshape((1, 1, width), name="features")(tokens[:, 0])
    return keras.Model(images, features, name="backbone")


def add_positions(tokens, name: str):
    """Adds a vector for each position, all of which are the weights of an Embedding layer.

    Args:
        tokens: [batch, positions, width].
        name: of the Embedding layer.
    """
    positions = ops.cumsum(ops.ones_like(tokens[:1, :, 0], dtype="int32"), axis=1) - 1
    _, length, width = tokens.shape
    embedded = layers.Embedding(
        length, width, keras.initializers.RandomNormal(stddev=0.02), name=name
    )(positions)
    return layers.Add(name="positioned")([tokens, embedded])


def _block(tokens, heads, dropout, name):
    width = tokens.shape[-1]
    attended = self_attention(_layer_norm(tokens, f"{name}_ln_1"), heads, f"{name}_self_attention")
    attended = layers.Dropout(dropout, name=f"{name}_dropout")(attended)
    tokens = layers.Add(name=f"{name}_add_1")([tokens, attended])
    inner = _layer_norm(tokens, f"{name}_ln_2")
    inner = layers.Dense(4 * width, "gelu", name=f"{name}_mlp_0")(inner)
    inner = layers.Dropout(dropout, name=f"{name}_mlp_2")(inner)
    inner = layers.Dense(width, name=f"{name}_mlp_3")(inner)
    inner = layers.Dropout(dropout, name=f"{name}_mlp_4")(inner)
    return layers.Add(name=f"{name}_add_2")([tokens, inner])


def self_attention(
    tokens,
    heads: int,
    name: str,
    *,
    parts: tuple[str, str] = ("in_proj", "out_proj"),
    use_bias: bool = True,
    initializer: Callable[[], keras.Initializer] = keras.initializers.GlorotUniform,
):
    """Self-attention; one dense layer computes queries, keys and values, as in PyTorch.

    Args:
        tokens: [batch, positions, width].
        heads: divides the width.
        name: of the module.
        parts: names of the dense layer before attention and of the one behind it.
        use_bias: whether the first dense layer has a bias.
        initializer: makes the initializers of their kernels.
    """
    width = tokens.shape[-1]
    joined = layers.Dense(
        3 * width, use_bias=use_bias, kernel_initializer=initializer(), name=f"{name}_{parts[0]}"
    )(tokens)
    joined = layers.Reshape((-1, 3, heads, width // heads), name=f"{name}_heads")(joined)
    attended = ops.dot_product_attention(joined[:, :, 0], joined[:, :, 1], joined[:, :, 2])
    attended = layers.Reshape((-1, width), name=f"{name}_joined")(attended)
    return layers.Dense(width, kernel_initializer=initializer(), name=f"{name}_{parts[1]}")(
        attended
    )


def _layer_norm(tokens, name):
    return layers.LayerNormalization(epsilon=1e-6, name=name)(tokens)
