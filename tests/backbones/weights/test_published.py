"""Weights that others publish: downloaded, checked, and refused where there are none."""

import hashlib
import inspect

import keras
import numpy as np
import pytest

from tests.contracts.test_backbones import in_its_tier
from tests.training.recipes import load_tiny
from tfface.backbones import BACKBONES
from tfface.backbones.torchvision import resnet_basic
from tfface.backbones.weights import published
from tfface.errors import InputError
from tfface.training.recognizer import build_embedder

URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"


def test_without_network(monkeypatch, tmp_path):
    """One line, which names the file that may be given instead."""

    def fail(*arguments, **options):
        raise Exception(f"URL fetch failure on {URL}: None -- no network")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    recipe = load_tiny(tmp_path, "model.backbone={name: resnet18, weights: imagenet}")
    with pytest.raises(InputError) as error:
        build_embedder(recipe.model, (32, 32), tmp_path)
    assert str(error.value) == (
        f"model.backbone.weights: 'imagenet' could not be downloaded (URL fetch failure on {URL}: "
        "None -- no network); without network access, give the path of a copy of "
        "resnet18-f37072fd.pth, or start from random weights with --set model.backbone.weights=none"
    )


def test_a_download_is_checked_by_its_name(monkeypatch, tmp_path):
    def fetch(name, origin, cache_subdir):
        path = tmp_path / name
        path.write_bytes(b"weights")
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", fetch)
    begins = hashlib.sha256(b"weights").hexdigest()[:8]
    path = published.download(f"https://example.invalid/net-{begins}.pth")
    assert path == tmp_path / f"net-{begins}.pth"
    with pytest.raises(InputError, match=rf"SHA-256 begins with {begins}, not 00000000\); .* try"):
        published.download("https://example.invalid/net-00000000.pth")
    assert not (tmp_path / "net-00000000.pth").exists()


def test_any_other_failure_is_not_hidden(monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(OSError, match="no space left"):
        published.download(URL)


def test_imagenet_of_a_torchvision_network(monkeypatch, tmp_path, capsys):
    """It is what the downloaded checkpoint holds."""
    build = resnet_basic((1, 1, 1, 1), "tiny-00000000")
    arrays = {}
    for layer in build(image_size=(32, 32)).network.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.Conv2D):
            arrays[f"{layer.name}.weight"] = weights[0].transpose(3, 2, 0, 1)
        elif weights:
            names = ("weight", "bias", "running_mean", "running_var")
            arrays |= {f"{layer.name}.{n}": w for n, w in zip(names, weights, strict=True)}
    np.savez(tmp_path / "tiny.npz", **arrays)
    asked = []

    def download(url):
        asked.append(url)
        return tmp_path / "tiny.npz"

    monkeypatch.setattr("tfface.training.recognizer.download", download)
    monkeypatch.setitem(BACKBONES, "resnet18", build)
    recipe = load_tiny(tmp_path, "model.backbone={name: resnet18, weights: imagenet}")
    embedder = build_embedder(recipe.model, (32, 32), tmp_path)
    assert asked == ["https://download.pytorch.org/models/tiny-00000000.pth"]
    assert f"weights: {len(arrays)} arrays of tiny.npz" in capsys.readouterr().out
    kernel = embedder.get_layer("backbone").get_layer("layer4_0_conv2").get_weights()[0]
    np.testing.assert_array_equal(kernel, arrays["layer4_0_conv2.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("name", ["simple_cnn", "inception_resnet_v1", "vit_small", "iresnet50"])
def test_networks_without_published_weights(name):
    with pytest.raises(InputError, match=f"{name} has no 'imagenet' weights; use 'none' or a path"):
        BACKBONES[name](image_size=(112, 112), weights="imagenet")


OF_PYTORCH = [
    name
    for name, build in BACKBONES.items()
    if "weights" not in inspect.signature(build).parameters
]


@pytest.mark.parametrize("name", [in_its_tier(name) for name in OF_PYTORCH])
def test_every_address_tells_the_hash(name):
    with keras.StatelessScope(initialize_variables=False):
        url = BACKBONES[name](image_size=(32, 32)).imagenet_url
    keras.backend.clear_session()
    assert url.startswith("https://download.pytorch.org/models/")
    assert len(url.removesuffix(".pth").rpartition("-")[2]) == 8
