"""The .h5 files that Keras publishes for its networks, given by their path."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from tests.contracts.test_backbones import SMALLEST
from tests.training.recipes import load_tiny
from tfface.backbones import BACKBONES
from tfface.errors import InputError
from tfface.training.recognizer import build_embedder

OF_KERAS = [name for name, build in BACKBONES.items() if hasattr(build, "takes_published_file")]


def publish(network, path):
    """Writes weights as Keras' published files hold them: in the format of Keras 2."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


def drawn(network):
    rng = np.random.default_rng(0)
    return [rng.uniform(0.1, 1, weight.shape).astype(np.float32) for weight in network.weights]


# One of each way in which a network takes its pixels; all others are in the slow tier.
_BY_DEFAULT = ("mobilenet_v2",)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in _BY_DEFAULT else pytest.mark.slow) for n in OF_KERAS],
)
def test_every_network_of_keras_takes_its_file(tmp_path, name):
    size = SMALLEST.get(name, 32)
    network = BACKBONES[name](image_size=(size, size)).network
    network.set_weights(drawn(network))
    path = publish(network, tmp_path / f"{name}_notop.h5")
    loaded = BACKBONES[name](image_size=(size, size), weights=path).network
    for expected, found in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    keras.backend.clear_session()


def test_all_of_them_do():
    assert len(OF_KERAS) == 21


def test_a_recipe_names_the_file(tmp_path):
    network = BACKBONES["mobilenet_v2"](0.35, image_size=(32, 32)).network
    network.set_weights(drawn(network))
    publish(network, tmp_path / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_no_top.h5")
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_no_top.h5"
    part = f"model.backbone={{name: mobilenet_v2, alpha: 0.35, weights: {file}}}"
    embedder = build_embedder(load_tiny(tmp_path, part).model, (32, 32), tmp_path)
    found = embedder.get_layer("backbone").get_weights()
    np.testing.assert_array_equal(found[0], network.get_weights()[0])


@pytest.mark.slow
def test_a_file_in_upper_case(tmp_path):
    network = BACKBONES["mobilenet_v2"](0.35, image_size=(32, 32)).network
    network.set_weights(drawn(network))
    publish(network, tmp_path / "net_no_top.H5")
    part = "model.backbone={name: mobilenet_v2, alpha: 0.35, weights: net_no_top.H5}"
    embedder = build_embedder(load_tiny(tmp_path, part).model, (32, 32), tmp_path)
    found = embedder.get_layer("backbone").get_weights()
    np.testing.assert_array_equal(found[0], network.get_weights()[0])


@pytest.mark.slow
def test_efficientnet_is_built_as_for_a_download(tmp_path):
    """Keras scales the pixels once more where the weights are the published ones."""
    network = BACKBONES["efficientnet_b0"](image_size=(32, 32)).network
    path = publish(network, tmp_path / "efficientnetb0_notop.h5")
    loaded = BACKBONES["efficientnet_b0"](image_size=(32, 32), weights=path).network

    def count(net):
        return sum(isinstance(layer, keras.layers.Rescaling) for layer in net.layers)

    assert count(loaded) == count(network) + 1


def test_files_of_other_networks(tmp_path):
    network = BACKBONES["mobilenet"](0.25, image_size=(32, 32)).network
    path = publish(network, tmp_path / "other.h5")
    with pytest.raises(InputError, match=r"does not fit .* publishes for MobileNetV2 without its"):
        BACKBONES["mobilenet_v2"](0.35, image_size=(32, 32), weights=path)
    recipe = load_tiny(tmp_path, "model.backbone={name: plain_cnn, weights: other.h5}")
    with pytest.raises(InputError, match=r"unknown type of file; must be .* \.h5, as Keras pub"):
        build_embedder(recipe.model, (32, 32), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"weights\.h5: no such file"),
        (b"no HDF5", r"weights\.h5: can't be read as published weights: "),
        ("empty", r"can't be read as published weights: it has no list of layers"),
        ("external", r"can't be read as published weights: '/net/kernel' is an external link"),
        ("names", r"does not fit this backbone: it is not the file that Keras publishes"),
    ],
)
def test_what_is_no_published_file(tmp_path, content, message):
    path = tmp_path / "my weights.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        with h5py.File(path, "w") as file:
            if content == "external":
                file.create_group("net")["kernel"] = h5py.ExternalLink("/etc/passwd", "/")
            if content == "names":
                file.attrs["layer_names"] = 7
    with pytest.raises(InputError, match=message) as error:
        BACKBONES["mobilenet_v2"](0.35, image_size=(32, 32), weights=path)
    assert "\n" not in str(error.value)
