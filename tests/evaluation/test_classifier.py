"""Run folders and models of others as classifiers."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.evaluation.colour_run import COLOURS, SIZE, pixels, write_run
from tests.evaluation.embedders.test_external import write_onnx_graph
from tfface.errors import InputError
from tfface.evaluation.classifier import load_classifier

ROOT = Path(__file__).resolve().parents[2]


def images(*colours):
    return np.stack([pixels(colour, seed) for seed, colour in enumerate(colours)])


def half_and_half():
    """Left red, right blue; and the same mirrored."""
    picture = np.concatenate([pixels("red", 0)[:, :8], pixels("blue", 1)[:, 8:]], axis=1)
    return np.stack([picture, picture[:, ::-1]])


@pytest.mark.parametrize("head", ["softmax", "arcface"])
def test_a_run_folder(tmp_path, head):
    classifier = load_classifier(write_run(tmp_path / "run", head=head), batch_size=4)
    assert classifier.name == "run"
    assert classifier.classes == ["blue", "green", "red"]
    assert classifier.image_size == (SIZE, SIZE)
    scores = classifier.scores(images("red", "blue", "green", "red", "red"))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert scores.argmax(axis=1).tolist() == [2, 0, 1, 2, 2]


def test_arcface_is_the_softmax_of_the_scaled_cosines(tmp_path):
    classifier = load_classifier(write_run(tmp_path / "run", head="arcface"))
    batch = images("red", "green")
    mean = batch.mean(axis=(1, 2))
    cosines = (mean / np.linalg.norm(mean, axis=1, keepdims=True))[:, ::-1]
    logits = 64 * cosines
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.scores(batch), expected, rtol=1e-3, atol=1e-7)


def test_the_unit_of_a_sigmoid_is_the_second_class(tmp_path):
    run = write_run(tmp_path / "run", ["cold", "warm"], head="sigmoid")
    scores = load_classifier(run).scores(images("red", "blue"))
    assert scores.shape == (2, 2)
    assert scores.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def corner_model(path):
    """Looks at the left half only: softmax of its blue and its red."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(keras.layers.Cropping2D(((0, 0), (0, 8)))(inputs))
    dense = keras.layers.Dense(2, activation="softmax")
    outputs = dense(keras.layers.GlobalAveragePooling2D()(x))
    dense.set_weights([np.array([[0, 3.0], [0, 0], [3.0, 0]]), np.zeros(2)])
    keras.Model(inputs, outputs).save(path)
    (path.parent / "names.txt").write_text("blue\nred\n")
    return path


def test_mirrored_images_are_looked_at_only_when_asked(tmp_path):
    model = corner_model(tmp_path / "corner.keras")
    names = tmp_path / "names.txt"
    plain = load_classifier(model, classes=names).scores(half_and_half())
    assert plain.argmax(axis=1).tolist() == [1, 0]
    both = load_classifier(model, classes=names, flip=True).scores(half_and_half())
    np.testing.assert_allclose(both, np.tile(plain.mean(axis=0), (2, 1)), rtol=1e-4)


def test_a_model_of_others(tmp_path):
    weights = np.zeros((3, SIZE * SIZE, 3), np.float32)
    weights[[0, 1, 2], :, [2, 1, 0]] = 0.02
    path = write_onnx_graph(tmp_path / "net.onnx", weights.reshape(-1, 3), ["n", 3, SIZE, SIZE])
    (tmp_path / "names.csv").write_text("label,name\n0,red\n1,green\n2,blue\n")
    classifier = load_classifier(path, classes=tmp_path / "names.csv")
    batch = images("red", "green", "blue")
    # Weights of [channel, class] were mirrored: channel 0 is red, and it is class 2.
    assert classifier.scores(batch).argmax(axis=1).tolist() == [2, 1, 0]
    np.testing.assert_allclose(classifier.scores(batch).sum(axis=1), 1, rtol=1e-5)


class TestWhatIsRefused:
    def test_a_run_without_its_head(self, tmp_path):
        run = write_run(tmp_path / "run")
        (run / "head.npz").unlink()
        with pytest.raises(
            InputError, match=r"has no head\.npz, so it can embed but not .*--resume"
        ):
            load_classifier(run)

    def test_a_run_whose_classes_are_named_again(self, tmp_path):
        with pytest.raises(InputError, match="the run folder knows its classes: leave out --class"):
            load_classifier(write_run(tmp_path / "run"), classes=tmp_path / "names.txt")
        with pytest.raises(InputError, match="leave out --classes and --score-type"):
            load_classifier(tmp_path / "run", scores="logits")

    def test_files_of_two_runs(self, tmp_path):
        run = write_run(tmp_path / "run")
        (run / "identities.csv").write_text("label,name\n0,blue\n1,green\n")
        with pytest.raises(InputError, match=r"names 2 classes, and head\.npz tells 3 apart"):
            load_classifier(run)
        write_run(tmp_path / "run")
        inputs = keras.Input((SIZE, SIZE, 3))
        keras.Model(inputs, keras.layers.Flatten()(inputs)).save(run / "model.keras")
        with pytest.raises(InputError, match=r"gives embeddings of 768, and head\.npz takes 3"):
            load_classifier(run).scores(images("red"))

    def test_a_model_without_names(self, tmp_path):
        model = corner_model(tmp_path / "corner.keras")
        with pytest.raises(InputError, match=r"doesn't say what its classes are called: give --cl"):
            load_classifier(model)

    def test_the_model_file_of_a_run(self, tmp_path):
        run = write_run(tmp_path / "run")
        with pytest.raises(InputError, match=r"classes are called: give its run folder, .*run$"):
            load_classifier(run / "model.keras")

    def test_pixels(self):
        with pytest.raises(InputError, match="pixels are compared and don't classify"):
            load_classifier("pixels")

    def test_too_many_names(self, tmp_path):
        model = corner_model(tmp_path / "corner.keras")
        (tmp_path / "names.txt").write_text("a\nb\nc\n")
        classifier = load_classifier(model, classes=tmp_path / "names.txt")
        with pytest.raises(InputError, match=r"gives 2 scores for an image, but 3 classes"):
            classifier.scores(images("red"))


@pytest.mark.slow
def test_jax_backend_gives_the_same(tmp_path):
    pytest.importorskip("jax")
    run = write_run(tmp_path / "run", head="arcface")
    np.save(tmp_path / "images.npy", images(*COLOURS))
    np.save(tmp_path / "expected.npy", load_classifier(run).scores(images(*COLOURS)))
    code = (
        "import numpy as np\n"
        "from tfface.evaluation.classifier import load_classifier\n"
        "scores = load_classifier('run', batch_size=2).scores(np.load('images.npy'))\n"
        "np.testing.assert_allclose(scores, np.load('expected.npy'), rtol=1e-3, atol=1e-6)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
    )
