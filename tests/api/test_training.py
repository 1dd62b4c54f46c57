"""`train`: recipes of every kind, the model that comes out, and the threshold it knows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

import tfface
from tests.api.dot_photos import photo_of
from tests.training.recipes import TINY
from tfface.data.pairs.pair_file import PairOptions, make_pair_set
from tfface.data.pairs.writing import write_bin
from tfface.data.sources.synthetic import SyntheticSource

ROOT = Path(__file__).resolve().parents[2]


def tiny(**changes) -> dict:
    """A recipe of one stage and one epoch, as a dict."""
    recipe = yaml.safe_load(TINY)
    recipe["training"]["stages"] = [
        {"name": "all", "epochs": 1, "optimizer": {"name": "sgd", "learning_rate": 0.05}}
    ]
    recipe["data"]["augment"] = []
    return {**recipe, **changes}


def write_pairs(path: Path) -> None:
    """Writes pairs of synthetic faces, two identities in each of the ten folds."""
    pairs, _ = make_pair_set(SyntheticSource(20, 2, size=32), PairOptions())
    write_bin(pairs, path)


class Epochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(epoch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Has pairs.bin, pairs of synthetic faces."""
    folder = tmp_path_factory.mktemp("api")
    write_pairs(folder / "pairs.bin")
    return folder


@pytest.fixture(scope="module")
def epochs():
    return Epochs()


@pytest.fixture(scope="module")
def run(folder, epochs):
    recipe = tiny(evaluation={"verification": ["pairs.bin"]})
    return tfface.train(recipe, folder / "run", data_dir=folder, callbacks=[epochs])


def test_a_recipe_that_is_a_dict(run, folder, epochs):
    assert run.path == folder / "run"
    assert epochs.seen == [0]
    assert {"val_accuracy", "loss", "pairs.accuracy", "pairs.eer"} <= set(run.metrics)


def test_the_trained_model(run):
    assert run.model is run.model
    assert run.model.image_size == (32, 32)
    images = np.random.default_rng(0).integers(0, 255, (70, 32, 32, 3)).astype(np.uint8)
    embeddings = run.model.embed(images)
    assert (embeddings.shape, embeddings.dtype) == ((70, 8), np.float32)
    # Few images don't wait for a whole batch; each is embedded all the same.
    np.testing.assert_allclose(run.model.embed(images[:2]), embeddings[:2], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(tfface.load_embedder(run.path).embed(images), embeddings)


def test_the_threshold_of_a_run(run):
    measured = json.loads((run.path / "verification.json").read_text())["sets"]["pairs"]
    expected = measured["threshold"]["cosine"]
    assert run.model.thresholds == {"pairs": expected}
    cosine, source, pair_set = run.model.threshold()
    assert pair_set == "pairs"
    assert cosine == expected
    assert source.startswith(f"the run's evaluation on {measured['num_pairs']} pairs of 'pairs'")
    in_the_folder = tfface.load_embedder(run.path / "model.keras")
    assert in_the_folder.threshold().cosine == expected
    assert run.model.threshold(0.25) == (0.25, "given by the caller", None)
    # It was measured with flip.
    assert tfface.load_embedder(run.path, flip=False).thresholds == {}


@pytest.mark.usefixtures("dot_detector")
def test_a_run_decides(run):
    answer = tfface.compare(photo_of("Anna"), photo_of("Ben"), model=run.path)
    assert answer.threshold == run.model.thresholds["pairs"]
    assert answer.is_same is (answer.cosine >= answer.threshold)
    assert "pairs of 'pairs'" in answer.threshold_source


def test_damaged_metrics_of_a_run(run, tmp_path):
    for name in ("recipe.yaml", "model.keras"):
        (tmp_path / name).write_bytes((run.path / name).read_bytes())
    assert tfface.load_embedder(tmp_path).thresholds == {}
    found = {"threshold": {"cosine": 0.5}, "accuracy": {"mean": 0.9}, "num_pairs": 6}
    for bad in (
        '{"sets": []}',
        json.dumps({"sets": {"lfw": {**found, "threshold": {"x": 1}}}}),
        json.dumps({"sets": {"lfw": {**found, "threshold": {"cosine": 2}}}}),
        json.dumps({"sets": {"lfw": {**found, "num_pairs": None}}}),
    ):
        (tmp_path / "verification.json").write_text(bad)
        with pytest.raises(tfface.InputError, match=r"verification\.json: can't be read as the"):
            _ = tfface.load_embedder(tmp_path).thresholds
    (tmp_path / "verification.json").write_text(json.dumps({"sets": {"lfw": found}}))
    assert tfface.load_embedder(tmp_path).thresholds == {"lfw": 0.5}


def test_evaluations_of_a_run(run, folder, capsys):
    result = tfface.evaluate_verification(run.model, folder / "pairs.bin")
    measured = json.loads((run.path / "verification.json").read_text())["sets"]["pairs"]
    assert result.to_dict() == measured
    assert result.name == "pairs"
    assert repr(result).startswith("set    pairs")
    assert "<table>" in result._repr_html_()
    assert len(result.plot().axes) == 2
    capsys.readouterr()
    trained_on = {
        "source": "synthetic",
        "num_identities": 6,
        "images_per_identity": 5,
        "size": 32,
    }
    tfface.evaluate_classification(run.path, trained_on, check=False)
    assert "was trained on" not in capsys.readouterr().err
    classes = tfface.evaluate_classification(run.path, trained_on)
    assert "run was trained on" in capsys.readouterr().err
    assert classes.to_dict()["num_images"] == 30
    assert "balanced accuracy" in repr(classes)
    assert classes._repr_html_().count("<table>") == 2
    people = tfface.evaluate_identification(
        run.model, trained_on, gallery_shots=2, open_set_fraction=0.5
    )
    assert people.result.num_non_mated == 15
    assert len(people.plot().axes) == 3
    assert "rank-1" in people._repr_html_()
    assert repr(people).startswith("gallery")
    assert "was trained on" in capsys.readouterr().err


def test_a_finished_run_is_left_as_it_is(run, folder, capsys):
    again = tfface.train(
        tiny(evaluation={"verification": ["pairs.bin"]}), folder / "run", data_dir=folder
    )
    assert again.metrics == run.metrics
    assert "holds a finished run of this recipe" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("quickstrat", "no such file, and no recipe of this name; did you mean 'quickstart'"),
        ("gone/recipe.yaml", r"gone/recipe\.yaml: no such recipe file"),
        ({"data": 3}, r"recipe: data: 3 is not allowed"),
        (tiny(mode={}), "recipe: mode: unknown key; did you mean 'model'"),
    ],
)
def test_recipes_that_are_none(recipe, message, tmp_path):
    with pytest.raises(tfface.InputError, match=message):
        tfface.train(recipe, tmp_path / "run")


def test_overrides_and_recipes_that_are_loaded(tmp_path):
    from tfface import recipe as recipes
    from tfface.training.registries import REGISTRIES

    loaded = recipes.parse(tiny(), REGISTRIES)
    with pytest.raises(tfface.InputError, match=r"training\.stages\.0\.epochs: 0 is not allowed"):
        tfface.train(loaded, tmp_path / "run", overrides=["training.stages.0.epochs=0"])
    # A dict stays as it was given.
    given = tiny()
    recipes.parse(given, REGISTRIES, ["data.batch_size=4"])
    assert given["data"]["batch_size"] == 8
    assert recipes.parse({**given, "about": {}}, REGISTRIES) == loaded


def test_a_recognizer_is_saved_and_loaded(tmp_path):
    embedder = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=8)
    recognizer = tfface.Recognizer(embedder, tfface.heads.ArcFace(num_identities=3, margin=0.2))
    recognizer.compile("adam")
    faces = {"source": "synthetic", "num_identities": 3, "images_per_identity": 4, "size": 32}
    dataset = tfface.image_dataset(faces, image_size=32, batch_size=4)
    recognizer.fit(dataset, verbose=0)
    recognizer.save(tmp_path / "recognizer.keras")
    loaded = keras.saving.load_model(tmp_path / "recognizer.keras")
    images, labels = next(iter(dataset))
    np.testing.assert_array_equal(loaded(images), recognizer(images))
    np.testing.assert_array_equal(
        loaded.head(loaded(images), labels), recognizer.head(recognizer(images), labels)
    )
    assert loaded.head.margin == recognizer.head.margin
    assert np.isfinite(loaded.fit(dataset, verbose=0).history["loss"]).all()


@pytest.mark.slow
def test_a_new_program_loads_a_recognizer(tmp_path):
    """It imports nothing of tfface but its name."""
    embedder = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=8)
    recognizer = tfface.Recognizer(embedder, tfface.heads.ArcFace(num_identities=3))
    recognizer.save(tmp_path / "recognizer.keras")
    program = (
        "import keras, tfface; print(type(keras.saving.load_model('recognizer.keras')).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Recognizer\n"


def test_an_embedder_with_unknown_options():
    with pytest.raises(
        tfface.InputError, match=r"build_embedder: backbone: unknown backbone 'plain_cn'; did you"
    ):
        tfface.build_embedder("plain_cn")


def test_folded_batch_norms_are_warned_of(monkeypatch, capsys):
    norm = keras.layers.BatchNormalization()
    embedder = keras.Sequential([keras.Input((2,)), norm])
    # As weights of an ONNX file leave it.
    norm.moving_variance.assign(np.full(2, 1 - norm.epsilon, np.float32))
    monkeypatch.setattr("tfface.training.recognizer.build_embedder", lambda *_: embedder)
    assert tfface.build_embedder("plain_cnn") is embedder
    assert "1 batch norms of these weights are folded" in capsys.readouterr().err
    norm.moving_mean.assign([1.0, 2.0])
    tfface.build_embedder("plain_cnn")
    assert capsys.readouterr().err == ""
