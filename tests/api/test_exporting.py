"""`tfface.export` of runs: their threshold, their recipe and their metrics go along."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import tfface
from tests.conftest import ROOT
from tests.exporting.made import network, pair_set
from tfface.api.exporting import make_exporter
from tfface.errors import InputError
from tfface.exporting.options import ExportOptions

RUN = ROOT / "tests" / "compatibility" / "0.1.0" / "finished_run"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(RUN, folder)
    measured = tfface.evaluate_verification(folder, pair_set(), check=False)
    text = json.dumps({"sets": {"blocks": measured.to_dict()}})
    (folder / "verification.json").write_text(text, encoding="utf-8")
    return folder


def test_a_run_is_known_by_its_files(run, tmp_path, monkeypatch):
    result = tfface.export(run, tmp_path / "out" / "face.onnx", num_images=2)
    embedder, original = tfface.load_embedder(result.path), tfface.load_embedder(run)
    assert embedder.threshold().cosine == original.threshold().cosine
    assert embedder.image_size == original.image_size
    faces = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_allclose(embedder.embed(faces), original.embed(faces), rtol=1e-3, atol=1e-4)
    content = json.loads((tmp_path / "out" / "face.onnx.json").read_text(encoding="utf-8"))
    # The threshold is for sums of the embeddings of an image and of its mirror image.
    monkeypatch.chdir(tmp_path / "out")
    for name, face in (("face", faces[0]), ("other", faces[1])):
        Image.fromarray(face).save(f"{name}.png")
    names: dict = {}
    exec(content["code"], names)
    np.testing.assert_allclose(names["first"], embedder.embed(faces)[0], rtol=1e-4, atol=1e-5)
    assert content["metrics"]["blocks"]["num_pairs"] == 40
    assert content["recipe"]["model"]["backbone"]["name"] == "plain_cnn"
    assert content["recipe_sha256"] == embedder.embedder.metadata.recipe_sha256
    assert len(content["recipe_sha256"]) == len(hashlib.sha256().hexdigest())
    card = result.card.read_text(encoding="utf-8")
    assert "| backbone | name plain_cnn" in card
    assert "40 pairs of `blocks`" in card


def test_the_model_may_be_its_file_or_in_memory(run):
    options = ExportOptions()
    of_run = make_exporter(run, options, num_images=1).metadata
    of_file = make_exporter(run / "model.keras", options, num_images=1).metadata
    assert of_file.model == "model"
    assert of_run.recipe_sha256 == of_file.recipe_sha256
    in_memory = make_exporter(network(), options, pairs=pair_set(), num_images=1)
    assert in_memory.metadata.threshold.pair_set == "blocks"
    assert in_memory.metadata.recipe_sha256 is None


def test_what_is_no_model_of_keras():
    with pytest.raises(InputError, match="pixels: only models of Keras can be exported"):
        tfface.export("pixels", "a.onnx")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("num_images", 0, "num_images must be a whole number of 1 or more, got 0"),
        ("num_images", "3", "num_images must be a whole number of 1 or more, got '3'"),
        ("num_images", 2.5, "num_images must be a whole number of 1 or more, got 2.5"),
        ("license", 3, "license must be text, got 3"),
    ],
)
def test_arguments_of_the_wrong_type(name, given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        tfface.export(network(), tmp_path / "a.onnx", **{name: given})
    assert not [*tmp_path.iterdir()]
