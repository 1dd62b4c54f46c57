"""Checkpoints of TensorFlow 2, as Keras 2 saves the weights of a backbone and the layers behind it.

They are written here by TensorFlow alone: a tree of objects with the names that Keras 2 gives them.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfface.backbones import Backbone
from tfface.backbones.neck import build_neck
from tfface.backbones.weights.loading import load_initial_weights
from tfface.errors import InputError
from tfface.recipe.schema import NeckConfig

NECK = NeckConfig(input_batch_norm=True, pooling="flatten", batch_norm=True)


def backbone(width=4):
    images = keras.Input((8, 6, 3))
    x = layers.Conv2D(width, 3, strides=2, padding="same", name="conv1_conv")(images)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.DepthwiseConv2D(3, use_bias=False, name="conv1_dw")(x)
    return keras.Model(images, x, name="backbone")


def embedder(network, neck=NECK):
    images = keras.Input((8, 6, 3))
    return keras.Model(images, build_neck(network(images), neck, 5, epsilon=1e-5))


def as_theirs(network):
    """The layers of arcface-tf2 behind a network: a bias before a batch norm, Keras' epsilon."""
    x = layers.Flatten()(layers.BatchNormalization()(network.output))
    x = layers.BatchNormalization()(layers.Dense(5)(x))
    return keras.Model(network.input, x)


def drawn(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.weights])
    return model


def run(model):
    images = np.random.default_rng(9).uniform(-1, 1, (3, 8, 6, 3)).astype(np.float32)
    return keras.ops.convert_to_numpy(model(images, training=False))


def write(path, *parts):
    """Writes a checkpoint of lists of layers, each list a model in Keras 2."""
    root = {"optimizer": tf.Module()}
    root["optimizer"].iterations = tf.Variable(7, name="iteration", dtype=tf.int64)
    for number, part in enumerate(parts):
        model = root[f"layer_with_weights-{number}"] = tf.Module()
        for place, layer in enumerate(each for each in part if each.weights):
            made = tf.Module()
            for weight in layer.weights:
                is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
                leaf = "depthwise_kernel" if is_depthwise else weight.name
                values = keras.ops.convert_to_numpy(weight)
                setattr(made, leaf, tf.Variable(values, name=f"{layer.name}/{leaf}"))
            setattr(model, f"layer_with_weights-{place}", made)
    return tf.train.Checkpoint(**root).write(str(path))


@pytest.fixture
def theirs():
    network = backbone()
    return network, drawn(as_theirs(network))


@pytest.fixture
def written(theirs, tmp_path):
    network, whole = theirs
    behind = whole.layers[len(network.layers) :]
    write(tmp_path / "e_1_b_0.ckpt", network.layers, behind)
    return tmp_path / "e_1_b_0.ckpt"


def load(path, network, whole):
    return load_initial_weights(path, Backbone(network, "zero_to_one"), whole)


@pytest.mark.parametrize("suffix", ["", ".index"])
def test_the_whole_embedder_is_loaded(theirs, written, suffix):
    network = backbone()
    whole = drawn(embedder(network), seed=1)
    line = load(written.with_name(written.name + suffix), network, whole)
    np.testing.assert_allclose(run(whole), run(theirs[1]), rtol=1e-5, atol=1e-5)
    assert line == f"weights: 17 arrays of {written.name}{suffix} into the backbone and the neck"


def test_with_a_bias_in_the_neck(theirs, written):
    network = backbone()
    whole = embedder(network, NECK.model_copy(update={"embedding_bias": True}))
    load(written, network, whole)
    np.testing.assert_allclose(run(whole), run(theirs[1]), rtol=1e-5, atol=1e-5)


def test_another_neck_keeps_its_weights(theirs, written):
    network = backbone()
    whole = embedder(network, NeckConfig(pooling="flatten"))
    before = whole.get_layer("embedding").get_weights()[0]
    line = load(written, network, whole)
    np.testing.assert_array_equal(whole.get_layer("embedding").get_weights()[0], before)
    np.testing.assert_allclose(run(network), run(theirs[0]), atol=1e-5)
    assert "into the backbone; embedding starts from random weights" in line


def test_ten_layers_are_not_behind_the_second(tmp_path):
    """As they would be in the order of the alphabet."""
    network = backbone()
    sizes = [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    neck = [layers.Dense(size, use_bias=False, name=f"fc{i}") for i, size in enumerate(sizes)]
    images = keras.Input((8, 6, 3))
    x = layers.GlobalAveragePooling2D()(network(images))
    for layer in neck:
        x = layer(x)
    whole = drawn(keras.Model(images, x))
    expected = run(whole)
    write(tmp_path / "net", network.layers, neck)
    drawn(whole, seed=1)
    load(tmp_path / "net", network, whole)
    np.testing.assert_allclose(run(whole), expected, rtol=1e-5)


def test_what_does_not_fit(written, tmp_path):
    network = backbone(width=5)
    before = network.get_weights()
    with pytest.raises(InputError, match=r"conv1_conv/kernel is \[3, 3, 3, 4\], and must be"):
        load(written, network, embedder(network))
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    one = keras.layers.Conv2D(4, 1, name="conv4_block6_3_conv")
    one.build((None, 4, 4, 4))
    write(tmp_path / "other", [one])
    message = r"no array for conv1_conv/kernel \[3, 3, 3, 5\]; .* it looks like resnet50$"
    with pytest.raises(InputError, match=message):
        load(tmp_path / "other", network, embedder(network))


def test_damaged_checkpoints(written, tmp_path):
    network = backbone()
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "old"), tensor_names=["a"], shape_and_slices=[""], tensors=[[1.0]]
    )
    with pytest.raises(InputError, match=r"a checkpoint of TensorFlow 1, .* it holds 1 arrays"):
        load(tmp_path / "old", network, embedder(network))
    data = written.with_name(f"{written.name}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(InputError, match=r"e_1_b_0\.ckpt: cut short or damaged: ") as error:
        load(written, network, embedder(network))
    assert "\n" not in str(error.value)
    data.unlink()
    with pytest.raises(InputError, match="cut short or damaged: "):
        load(written, network, embedder(network))
    written.with_name(f"{written.name}.index").write_bytes(b"no index")
    with pytest.raises(InputError, match="cut short or damaged: "):
        load(written, network, embedder(network))
