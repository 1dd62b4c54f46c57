"""What a network holds at a time is counted before it is run."""

import keras
import pytest

from tfface.backbones.activation_size import peak_activation_size


def test_a_chain_holds_two_layers_at_a_time():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, padding="same")(image)
    x = keras.layers.Conv2D(4, 3, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    assert peak_activation_size(keras.Model(image, x)) == 64 * (16 + 4)


def test_branches_are_held_until_they_meet():
    image = keras.Input((8, 8, 1))
    branches = [keras.layers.Conv2D(10, 1)(image) for _ in range(5)]
    x = keras.layers.Add()(branches)
    assert peak_activation_size(keras.Model(image, x)) == 64 * (5 * 10 + 10)


def test_networks_in_networks():
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, keras.layers.Conv2D(32, 1)(inner_image))
    image = keras.Input((8, 8, 3))
    x = keras.layers.Add()([inner(image), inner(image)])
    # Of the outer one the image and two results; within the inner one its own.
    assert peak_activation_size(keras.Model(image, x)) == 64 * (3 + 32 + 32) + 64 * (3 + 32)


def test_attention_holds_every_pair_of_places():
    image = keras.Input((100, 6))
    x = keras.layers.MultiHeadAttention(2, 3)(image, image)
    assert peak_activation_size(keras.Model(image, x)) == 600 + 600 + 2 * 100 * 100


def test_a_network_that_is_used_again_and_again_is_looked_at_once():
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    for _ in range(40):
        image = keras.Input((4, 4, 1))
        model = keras.Model(image, keras.layers.Add()([model(image), model(image)]))
    assert peak_activation_size(model) == 32 + 40 * 48


@pytest.mark.parametrize(
    ("net", "most"),
    [(keras.applications.VGG16, 6_422_528), (keras.applications.MobileNetV2, 2_430_048)],
)
def test_usual_networks_are_far_from_the_limits(net, most):
    model = net(include_top=False, weights=None, input_shape=(224, 224, 3))
    assert peak_activation_size(model) == most
