"""What a vision transformer can be built of, and what not."""

import pytest

from tfface.backbones import BACKBONES
from tfface.errors import InputError


def test_patches_must_fit_into_the_image():
    with pytest.raises(InputError, match=r"patches of 16 pixels; .* is 32x40"):
        BACKBONES["vit_b16"](image_size=(32, 40))


def test_heads_must_fit_into_the_width():
    with pytest.raises(InputError, match="width 50 must be a multiple of heads, 4"):
        BACKBONES["vit_small"](8, 1, 50, 4, image_size=(32, 32))


def test_options():
    network = BACKBONES["vit_small"](16, 3, 48, 4, 0.1, image_size=(48, 32)).network
    assert network.output_shape == (None, 1, 1, 48)
    assert network.get_layer("encoder_pos_embedding").get_weights()[0].shape == (7, 48)
    assert "encoder_layers_encoder_layer_2_mlp_3" in [layer.name for layer in network.layers]
