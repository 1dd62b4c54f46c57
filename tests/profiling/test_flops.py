"""Operations of networks, against counts by hand and published ones."""

import keras
import pytest
from keras import layers

from tfface.backbones import BACKBONES
from tfface.heads import ArcFace
from tfface.profiling.step import matmul_flops_per_second, step_flops
from tfface.training.recognizer import Recognizer


def forward(network: keras.Model) -> float:
    """Operations of an image, without those of the head."""
    images = keras.Input(network.input_shape[1:])
    embedder = keras.Model(images, layers.GlobalAveragePooling2D()(network(images)))
    head = ArcFace(num_identities=3)
    recognizer = Recognizer(embedder, head)
    return step_flops(recognizer, 4) / 12 - 2 * 3 * embedder.output_shape[-1]


def test_layers_by_hand():
    images = keras.Input((8, 6, 4))
    values = layers.Conv2D(5, 3, strides=2, padding="same")(images)
    values = layers.DepthwiseConv2D(3, padding="same")(values)
    values = layers.BatchNormalization()(layers.Dense(7)(values))
    values = layers.EinsumDense("bhwc,cgd->bhwgd", (None, None, 2, 3))(values)
    values = layers.Reshape((4, 3, 6))(values)
    network = keras.Model(images, values)
    places = 4 * 3
    macs = places * (9 * 4 * 5 + 9 * 5 + 5 * 7 + 7 * 6)
    assert forward(network) == 2 * macs


@pytest.mark.parametrize(("name", "giga"), [("resnet50", 7.7), ("mobilenet_v2", 0.60)])
def test_published_counts(name, giga):
    """3.86 and 0.30 GMAC at 224 pixels, in the papers (the latter with its last layer's 1.3 M)."""
    network = BACKBONES[name](image_size=(224, 224)).network
    assert forward(network) / 1e9 == pytest.approx(giga, rel=0.02)


def test_ceiling_is_plausible():
    assert 1e9 < matmul_flops_per_second() < 1e15
