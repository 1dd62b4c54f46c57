"""What a vision transformer can be built of, and what not."""

import keras
import numpy as np
import pytest

from tfface.backbones import BACKBONES
from tfface.backbones.arcface_vit import arcface_vit_network
from tfface.errors import InputError


def test_patches_must_fit_into_the_image():
    with pytest.raises(InputError, match=r"patches of 16 pixels; .* is 32x40"):
        BACKBONES["vit_b16"](image_size=(32, 40))


def test_insightfaces_patches_need_not_fit():
    network = BACKBONES["vit_t"](0.0, image_size=(20, 30)).network
    assert network.get_layer("pos_embed").get_weights()[0].shape == (2 * 3, 256)
    with pytest.raises(InputError, match=r"vit_t cuts .* patches of 9 pixels; .* is 8x32"):
        BACKBONES["vit_t"](image_size=(8, 32))


def test_blocks_are_left_out_in_training_alone():
    """Of the branches of the last block, some are zero for an image and the others are scaled."""
    network = arcface_vit_network((18, 18), 16, 3, 2, drop_path=0.5)
    rates = [each.rate for each in network.layers if isinstance(each, keras.layers.Dropout)]
    assert rates == [0.25, 0.25, 0.5, 0.5]
    dropout = network.get_layer("blocks_2_drop_path_2")
    ones = np.ones((64, 4, 16), np.float32)
    np.testing.assert_array_equal(dropout(ones, training=False), ones)
    made = keras.ops.convert_to_numpy(dropout(ones, training=True))
    assert set(made[:, 0, 0]) == {0, 2}
    np.testing.assert_array_equal(made, np.broadcast_to(made[:, :1, :1], made.shape))


def test_heads_must_fit_into_the_width():
    with pytest.raises(InputError, match="width 50 must be a multiple of heads, 4"):
        BACKBONES["vit_small"](8, 1, 50, 4, image_size=(32, 32))


def test_options():
    network = BACKBONES["vit_small"](16, 3, 48, 4, 0.1, image_size=(48, 32)).network
    assert network.output_shape == (None, 1, 1, 48)
    assert network.get_layer("encoder_pos_embedding").get_weights()[0].shape == (7, 48)
    assert "encoder_layers_encoder_layer_2_mlp_3" in [layer.name for layer in network.layers]
