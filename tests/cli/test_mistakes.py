"""Mistakes on the command line: one line says what is wrong, before TensorFlow is imported."""

import re

import pytest

from tests.cli.test_main import call
from tests.evaluation.people import face
from tfface.cli import command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a photo, a model and a recipe; TensorFlow is never imported."""
    (tmp_path / "anna.png").write_bytes(face(1, 0))
    (tmp_path / "m.keras").write_bytes(b"")
    (tmp_path / "mine.yaml").write_text("data: [\n")
    monkeypatch.chdir(tmp_path)

    def import_tensorflow_quietly():
        raise AssertionError("TensorFlow is imported")

    monkeypatch.setattr(command, "import_tensorflow_quietly", import_tensorflow_quietly)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verify anna.png ann.png --model pixels", "ann.png: no such photo.*mean 'anna.png'?"),
        ("verify anna.png anna.png --model n.keras", "n.keras: no such model.*mean 'm.keras'?"),
        ("identify anna.pgn --gallery g", "anna.pgn: no such photo or folder.*mean 'anna.png'?"),
        ("identify anna.png --gallery g", "g: no gallery"),
        ("classify anna.pgn --model m.keras", "anna.pgn: no such photo.*mean 'anna.png'?"),
        ("classify anna.png --model gone", "gone: no such model"),
        ("gallery build gone anna.png --name Anna --gallery g", "gone: no such model"),
        ("gallery build m.keras ann.png --name A --gallery g", "ann.png: no such.*'anna.png'?"),
        ("gallery build m.keras people --gallery g", "people: no such file or folder"),
        ("gallery add m.keras anna.png --name Anna --gallery g", "g: no gallery"),
        ("gallery calibrate strangers --gallery g", "g: no gallery"),
        ("gallery query m.keras anna.png --gallery g", "g: no gallery"),
        ("evaluate verification gone --pairs synthetic", "gone: no such model"),
        ("evaluate identification gone --gallery g --query q", "gone: no such model"),
        ("evaluate classification gone --data d", "gone: no such model"),
        ("train mein.yaml", "mein.yaml: no such recipe file.*mean 'mine.yaml'?"),
        ("train mine.yaml", "mine.yaml: line 2, column 1: not valid YAML"),
        ("train quickstrat", "no recipe of this name; did you mean 'quickstart'?"),
        ("train quickstart --set data", "data"),
        (
            "train quickstart --set model.hed=arcface",
            "model.hed: unknown key; did you mean 'head'?",
        ),
        ("train quickstart --set training.seed=x", 'training.seed: "x" is not allowed; must be a'),
        ("train quickstart --set model.head=arcfase", "head 'arcfase'; did you mean 'arcface'?"),
        ("train quickstart --set model.head.margn=1", "unknown key; did you mean 'margin'?"),
        ("train quickstart --set model.head.margin=2", "model.head.margin: 2 is not allowed; must"),
        (
            "train quickstart --set training.stages.0.lr_warmup_epochs=99",
            "more than the .* epochs of",
        ),
        ("sweep quickstart --sweep training.seed=1,2 --set data.x=1", "data.x: unknown key"),
        ("benchmark step quickstart --set training.stages.0.epochs=0", "epochs: 0 is not allowed"),
        ("sweep quickstrat --sweep training.seed=1,2 --output s", "did you mean 'quickstart'?"),
        ("benchmark epoch quickstrat", "did you mean 'quickstart'?"),
        # Of argparse.
        (
            "verify anna.png anna.png --modle m.keras",
            "did you mean '--model' for --modle?",
        ),
        ("verify anna.png --model m.keras", "the following arguments are required: PHOTO"),
        ("verify anna.png anna.png --model m.keras --treshold 1", "mean '--threshold' for --tresh"),
        ("verify anna.png anna.png --model m.keras --threshold x", "--threshold: must be a cosine"),
        ("verify anna.png anna.png --model", "argument --model: expected one argument"),
        ("gallery buildx m.keras people --gallery g", "got 'buildx'; did you mean 'build'?"),
        ("gallery build m.keras p --galery g", "did you mean '--gallery' for --galery?"),
        ("gallery build m.keras p --gallery g --index hsnw", "flat or hnsw.*mean 'hnsw'?"),
        ("gallery", "the following arguments are required: COMMAND"),
        ("align a b --min-confidence high", "--min-confidence: must be a number, got 'high'"),
        ("train quickstart --local-processes", "--local-processes: expected one argument"),
        ("train", "the following arguments are required: recipe"),
        ("recipes a b", "unrecognized arguments: b"),
    ],
)
def test_one_line_says_it(folder, monkeypatch, capsys, words, message):
    code, out, err = call(monkeypatch, capsys, *words.split())
    assert (code, out) == (2, "")
    first, *rest = err.splitlines()
    assert re.match(f"error: .*{message.replace('?', '[?]')}", first), first
    assert len(first) < 400
    by_argparse = [line for line in rest if line.startswith("see: tfface ")]
    assert rest == by_argparse[:1]
    assert sorted(path.name for path in folder.iterdir()) == ["anna.png", "m.keras", "mine.yaml"]


def test_values_with_codes_of_terminals_are_harmless(folder, monkeypatch, capsys):
    _, _, err = call(monkeypatch, capsys, "recipes", "a", "\x1b[31m\n\nroot#")
    assert err == "error: unrecognized arguments: ?[31m  root#\nsee: tfface recipes --help\n"
