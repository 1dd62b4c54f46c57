"""Run folders and external models as classifiers, their scores and lists of class names."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.color_run import COLORS, SIZE, pixels, write_run
from tests.evaluation.embedders.test_external import write_onnx_graph
from tests.property_tests import examples
from tfface.errors import InputError
from tfface.evaluation.classifier import ScoresToProbabilities, load_classifier, read_class_names

ROOT = Path(__file__).resolve().parents[2]


def images(*colors):
    return np.stack([pixels(color, seed) for seed, color in enumerate(colors)])


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
        with pytest.raises(InputError, match="the run folder contains its classes: omit --class"):
            load_classifier(write_run(tmp_path / "run"), classes=tmp_path / "names.txt")
        with pytest.raises(InputError, match="omit --classes and --score-type"):
            load_classifier(tmp_path / "run", scores="logits")

    def test_files_of_two_runs(self, tmp_path):
        run = write_run(tmp_path / "run")
        (run / "identities.csv").write_text("label,name\n0,blue\n1,green\n")
        with pytest.raises(InputError, match=r"has 2 classes, but head\.npz has 3"):
            load_classifier(run)
        write_run(tmp_path / "run")
        inputs = keras.Input((SIZE, SIZE, 3))
        keras.Model(inputs, keras.layers.Flatten()(inputs)).save(run / "model.keras")
        with pytest.raises(
            InputError, match=r"returns embeddings of size 768, but head\.npz expects 3"
        ):
            load_classifier(run).scores(images("red"))

    def test_a_model_without_names(self, tmp_path):
        model = corner_model(tmp_path / "corner.keras")
        with pytest.raises(
            InputError, match=r"does not contain the class names: give --cl.*'tfface gallery build'"
        ):
            load_classifier(model)

    def test_the_model_file_of_a_run(self, tmp_path):
        run = write_run(tmp_path / "run")
        with pytest.raises(InputError, match=r"class names: give its run folder, .*run$"):
            load_classifier(run / "model.keras")

    def test_pixels(self):
        with pytest.raises(InputError, match="raw pixels can't classify"):
            load_classifier("pixels")

    def test_too_many_names(self, tmp_path):
        model = corner_model(tmp_path / "corner.keras")
        (tmp_path / "names.txt").write_text("a\nb\nc\n")
        classifier = load_classifier(model, classes=tmp_path / "names.txt")
        with pytest.raises(
            InputError, match=r"returns 2 scores for an image, but there are 3 class"
        ):
            classifier.scores(images("red"))


@pytest.mark.slow
def test_jax_backend_gives_the_same(tmp_path):
    pytest.importorskip("jax")
    run = write_run(tmp_path / "run", head="arcface")
    np.save(tmp_path / "images.npy", images(*COLORS))
    np.save(tmp_path / "expected.npy", load_classifier(run).scores(images(*COLORS)))
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


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@examples(50)
@given(arrays(np.float32, (4, 5), elements=st.floats(-30, 30, width=16)))
def test_probabilities_of_logits(logits):
    found = ScoresToProbabilities("m", 5, "logits").probabilities(logits)
    np.testing.assert_allclose(found, softmax(logits.astype(np.float64)), rtol=1e-5, atol=1e-30)


def test_probabilities_are_left_as_they_are():
    given = softmax(np.random.default_rng(0).normal(size=(6, 4)))
    np.testing.assert_allclose(ScoresToProbabilities("m", 4).probabilities(given), given, rtol=1e-6)


def test_quantized_probabilities_are_made_to_sum_to_one():
    given = np.round(softmax(np.random.default_rng(0).normal(size=(6, 4))) * 256) / 256
    found = ScoresToProbabilities("m", 4).probabilities(given.astype(np.float32))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found, given, atol=0.01)


def test_logits_are_told_by_the_first_batch():
    scores = ScoresToProbabilities("m", 3)
    first = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    np.testing.assert_allclose(scores.probabilities(first), softmax(first), rtol=1e-6)
    # These would be probabilities by themselves.
    later = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(scores.probabilities(later), softmax(later), rtol=1e-6)


def test_a_single_score_is_that_of_the_second_class():
    found = ScoresToProbabilities("m", 2).probabilities(np.array([[0.2], [0.9]]))
    np.testing.assert_allclose(found, [[0.8, 0.2], [0.1, 0.9]], rtol=1e-6)
    found = ScoresToProbabilities("m", 2).probabilities(np.array([[0.0], [800.0], [-2.0]]))
    sigmoid = 1 / (1 + np.exp(2))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0, 1], [1 - sigmoid, sigmoid]], rtol=1e-6)
    found = ScoresToProbabilities("m", 2, "logits").probabilities(np.array([[0.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5]])


@pytest.mark.parametrize(
    ("kind", "reason"), [("auto", "those of the first"), ("probabilities", "--score-type")]
)
def test_scores_that_are_no_probabilities_after_all(kind, reason):
    scores = ScoresToProbabilities("net.onnx", 2, kind)
    scores.probabilities(np.array([[0.5, 0.5]]))
    with pytest.raises(
        InputError, match=rf"^net\.onnx: the scores .*{reason}.*use --score-type logits$"
    ):
        scores.probabilities(np.array([[3.0, -2.0]]))


def test_a_few_single_scores_may_be_logits(capsys):
    scores = np.array([[0.134], [0.9]])
    ScoresToProbabilities("net.onnx", 2).probabilities(scores)
    assert "net.onnx: returns a single score, which is from 0 to 1" in capsys.readouterr().err
    ScoresToProbabilities("net.onnx", 2, "probabilities").probabilities(scores)
    ScoresToProbabilities("net.onnx", 2).probabilities(np.tile(scores, (8, 1)))
    ScoresToProbabilities("net.onnx", 2).probabilities(scores - 0.5)
    assert capsys.readouterr().err == ""


def test_nan_stays_nan():
    scores = np.array([[np.nan, 0.5], [0.25, 0.75]])
    found = ScoresToProbabilities("m", 2).probabilities(scores)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [0.25, 0.75])


def test_another_number_of_scores():
    with pytest.raises(
        InputError, match="m: the model returns 1 scores for an image, but there are 3"
    ):
        ScoresToProbabilities("m", 3).probabilities(np.ones((2, 1)))


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("n.txt", "b\na a\n\u00e9\n\n\n", ["b", "a a", "\u00e9"]),
        ("n.names", "\ufeffx\r\ny\r\n", ["x", "y"]),
        ("i.csv", 'label,name\n0,"a, b"\n1,c\n', ["a, b", "c"]),
        ("i.CSV", "name,source,label\nz,s,0\ny,s,1\n", ["z", "y"]),
    ],
)
def test_names(tmp_path, file, text, names):
    (tmp_path / file).write_bytes(text.encode())
    assert read_class_names(tmp_path / file) == names


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("n.txt", "a\n\nb\n", r"n\.txt: class 1 has no name"),
        ("n.txt", "a\n", "names 1 classes; at least two are required"),
        ("n.txt", "a\nb\na\n", "two classes are called 'a', so the name is ambiguous"),
        ("i.csv", "label,name,name\n0,a,c\n1,b,d\n", r"i\.csv: two columns are called 'name'"),
        ("i.csv", "label,name\n1,a\n0,b\n", r"the labels are not 0, 1, 2, \.\.\. in order"),
        ("i.csv", "label,name\nx,a\n", r"needs the columns label \(integers\) and name"),
        ("i.csv", "name\na\nb\n", "needs the columns label"),
        ("i.csv", "label,name\n0\n1\n", "class 0 has no name"),
    ],
)
def test_what_is_no_list(tmp_path, file, text, message):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_class_names(tmp_path / file)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: can't be read: No such file"):
        read_class_names(tmp_path / "none.txt")
