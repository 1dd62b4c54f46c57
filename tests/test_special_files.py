"""A pipe, a device or a socket in place of a file: one line, and no reader waits for ever."""

import json
import os
import socket

import numpy as np
import pytest

import tfface
from tfface import recipe
from tfface.data.pairs import load_pair_set
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.evaluation.embedders.options import hash_files
from tfface.reporting.metrics_log import read_metrics

ENDINGS = ("", ".yaml", ".keras", ".onnx", ".tflite", ".bin", ".csv", ".rec", ".txt", ".jpg")


@pytest.fixture
def special(tmp_path, monkeypatch):
    """The paths of a pipe, a device and a socket; of pipes with each ending that is read."""
    # The path of a socket has to be short.
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "dev.bin", tmp_path / "socket.keras"]
    paths[0].symlink_to("/dev/zero")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket.keras")
    for ending in ENDINGS:
        paths.append(tmp_path / f"x{ending}")
        os.mkfifo(paths[-1])
    yield paths
    listening.close()


@pytest.mark.parametrize(
    "read",
    [
        tfface.load_embedder,
        tfface.load_classifier,
        tfface.Gallery.load,
        tfface.align,
        load_pair_set,
        lambda path: open_source(str(path)),
        read_metrics,
        lambda path: recipe.load(path, {}),
        lambda path: tfface.compare(path, path, model="pixels"),
        lambda path: tfface.Gallery.build("pixels", {"Anna": path}),
    ],
)
def test_whatever_reads_a_file(special, read):
    for path in special:
        with pytest.raises(InputError) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_hashing(special):
    for path in special:
        with pytest.raises(OSError, match="is no regular file"):
            hash_files(path)


@pytest.mark.parametrize("model", ["x.yaml", "x.keras", "quickstart.yaml", "m.keras", ""])
def test_the_model_that_a_gallery_names(special, tmp_path, model):
    """A relative path would lead elsewhere in each folder; a recipe is no model of a gallery."""
    face = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    gallery = tfface.Gallery.build("pixels", {"Anna": face}, path=tmp_path / "g", aligned=True)
    (tmp_path / "quickstart.yaml").write_text(recipe.find_recipe("quickstart").read_text())
    manifest = json.loads((gallery.path / "gallery.json").read_text())
    for named in (model, str(tmp_path / model)) if model.startswith(("x", "q")) else (model,):
        manifest["load_options"]["model"] = named
        (gallery.path / "gallery.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match="its model is no longer at"):
            _ = tfface.Gallery.load(gallery.path).model
