"""Starting from a weights file."""

import keras
import numpy as np
import pytest

from tfface.backbones import BACKBONES
from tfface.backbones.weights.loading import load_weights
from tfface.errors import InputError
from tfface.kernels.keras_internals import instead_of_download


def make(alpha: float = 0.25) -> keras.Model:
    return BACKBONES["mobilenet"](alpha, image_size=(32, 32)).network


def same(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_weights_file(tmp_path):
    saved, loaded = make(), make()
    saved.save_weights(tmp_path / "net.weights.h5")
    assert not same(saved, loaded)
    load_weights(loaded, tmp_path / "net.weights.h5")
    assert same(saved, loaded)


def test_keras_file_of_the_network(tmp_path):
    saved, loaded = make(), make()
    saved.save(tmp_path / "net.keras")
    load_weights(loaded, tmp_path / "net.keras")
    assert same(saved, loaded)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_extensions_in_upper_case(tmp_path, suffix):
    saved, loaded = make(), make()
    path = tmp_path / f"net{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    load_weights(loaded, path.rename(tmp_path / f"net{suffix.upper()}"))
    assert same(saved, loaded)


def test_keras_file_of_a_model_on_top_of_it(tmp_path):
    saved, loaded = make(), make()
    images = keras.Input((32, 32, 3))
    keras.Model(images, keras.layers.Flatten()(saved(images))).save(tmp_path / "model.keras")
    load_weights(loaded, tmp_path / "model.keras")
    assert same(saved, loaded)


def test_keras_file_of_a_layer(tmp_path):
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    keras.saving.save_model(layer, tmp_path / "layer.keras")
    with pytest.raises(InputError, match=r"contains a single layer \(Dense\), not a network"):
        load_weights(make(), tmp_path / "layer.keras")


def test_weights_that_can_not_be_downloaded(monkeypatch, recwarn):
    """One clear error, and nothing about published weights being of another image size."""

    def fail(*arguments, **options):
        raise Exception("URL fetch failure on somewhere: no network")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", fail)
    with pytest.raises(InputError, match=r"'imagenet' could not be downloaded .* give the path"):
        BACKBONES["mobilenet_v2"](image_size=(112, 112), weights="imagenet")
    assert not [w for w in recwarn if "input_shape" in str(w.message)]


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="is a folder, and must be a file"):
        load_weights(make(), tmp_path)
    with pytest.raises(InputError, match=r"net\.weights\.h5: no such file"):
        load_weights(make(), tmp_path / "net.weights.h5")


def test_a_file_that_is_for_inference_alone(tmp_path):
    path = tmp_path / "net.tflite"
    path.touch()
    with pytest.raises(InputError, match=r"^model\.backbone\.weights: .*can't be trained on"):
        load_weights(make(), path)


def test_file_of_another_kind(tmp_path):
    (tmp_path / "net.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"must be .*\.pth.* \.weights\.h5, \.keras"):
        load_weights(make(), tmp_path / "net.bin")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_damaged_file(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"not a weights file")
    with pytest.raises(InputError, match=r"does not fit this backbone|can't be loaded as a Keras"):
        load_weights(make(), path)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_keras_file_that_was_damaged_on_its_way(tmp_path, place):
    path = tmp_path / "net.keras"
    make().save(path)
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"can't be loaded as a Keras model .*CRC"):
        load_weights(make(), path)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_file_of_another_network(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    other = make(alpha=0.5)
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    with pytest.raises(
        InputError,
        match=r"does not fit this backbone: it is of another network: it contains 829,536 "
        r"values, but the backbone has 218,544; give weights of the same model\.backbone\.name",
    ):
        load_weights(make(), path)


def test_imagenet_without_network(monkeypatch):
    def no_network(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.invalid/x.h5: None -- no network")

    monkeypatch.setattr("keras.src.applications.mobilenet.file_utils.get_file", no_network)
    with pytest.raises(InputError, match=r"could not be downloaded .*weights=none"):
        BACKBONES["mobilenet"](image_size=(32, 32), weights="imagenet")


def test_a_size_that_the_network_can_not_have():
    with pytest.raises(InputError, match="MobileNet can't be built for images of 16x16"):
        BACKBONES["mobilenet"](image_size=(16, 16))


def test_a_file_in_place_of_a_download(tmp_path):
    """Where `keras.applications` asks for it."""
    make_network = keras.applications.MobileNetV2
    options = {"include_top": False, "input_shape": (96, 96, 3), "alpha": 0.35}
    network = make_network(weights=None, **options)
    network.save_weights(tmp_path / "a.weights.h5")
    with instead_of_download(tmp_path / "a.weights.h5"):
        loaded = make_network(weights="imagenet", **options)
    for one, other in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
