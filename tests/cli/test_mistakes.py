"""Mistakes on the command line: one line says what is wrong, before TensorFlow is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_main import call
from tests.evaluation.people import face
from tfface.cli import command
from tfface.evaluation.face_index import FaceIndex
from tfface.gallery.storage import EnrolledFace, GalleryContent, new_gallery, write_gallery

ROOT = Path(__file__).resolve().parents[2]


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
        (
            "sweep quickstart --sweep training.stages.0.epochs=1,two",
            "variant 'two': .*stages.0.epochs: \"two\" is not allowed; must be a valid integer",
        ),
        ("sweep quickstart --sweep data.x=1", "variant '1': .*data.x: unknown key"),
        ("sweep quickstart --sweep training.stages", "must be PLACE=VALUE,VALUE,..."),
        (
            "benchmark step quickstart --sweep data.batch_size=8,x",
            "variant 'x': .*data.batch_size: \"x\" is not allowed",
        ),
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
        ("gallery", "are required: COMMAND, one of build, add, calibrate, remove, query, list$"),
        (
            "gallery add anna.png --name Ben --gallery g",
            "are required: SOURCE; the order is MODEL, SOURCE$",
        ),
        ("gallery add m.keras anna.png", "are required: --gallery$"),
        ("align a b --min-confidence high", "--min-confidence: must be a number, got 'high'"),
        ("train quickstart --local-processes", "--local-processes: expected one argument"),
        ("train", "the following arguments are required: recipe"),
        ("recipes a b", "too many arguments: 'b' after NAME$"),
        ("align a b c d", "too many arguments: 'c' after SRC, OUT$"),
        ("evaluate classification runs/x --source y", "are required: --data$"),
        ("convert a --output b --overwrite", "unrecognized arguments: --overwrite$"),
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


@pytest.fixture
def photos(folder):
    """Photos in wrong places, and a gallery of Anna."""
    for name in (
        "level/ann/1/0.png",
        "level/friends/ann/0.png",
        "high/friends/ann/0.png",
        "high/strangers/eve/0.png",
        "loose/0.png",
        "strangers/0.png",
        "people/ann/0.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(face(1, 0))
    (folder / "none" / "ann").mkdir(parents=True)
    (folder / "empty").mkdir()
    with new_gallery(folder / "g"):
        anna = GalleryContent(
            model="pixels",
            fingerprint="f",
            index=FaceIndex.from_embeddings(np.eye(1, 4, dtype=np.float32), "flat"),
            faces=[EnrolledFace("Anna", "0.png", "0" * 64)],
        )
        write_gallery(folder / "g", anna)
    return folder


MISTAKES_WITH_PHOTOS = [
    ("gallery build m.keras people --gallery g", "g: contains a gallery already"),
    ("gallery build m.keras people --gallery loose", "loose: contains other files; give a new"),
    ("gallery build m.keras people --gallery anna.png", "anna.png: is a file; give a folder"),
    ("gallery build m.keras people --gallery people/g", "choose an output folder elsewhere"),
    ("gallery build m.keras loose --gallery n", "loose: contains images directly"),
    ("gallery build m.keras none --gallery n", "none: no image .* in its folders"),
    ("gallery build m.keras empty --gallery n", "empty: is empty; one folder per identity"),
    ("gallery build m.keras high --gallery n", "high: its folders .* such as high/friends"),
    ("gallery add m.keras high --gallery g", "high: its folders .* such as high/friends"),
    ("gallery add m.keras empty --name A --gallery g", "empty: no image .* in it"),
    ("gallery calibrate strangers --gallery g", "1 strangers are too few .*--fpir"),
    ("gallery remove Ana --gallery g", "g: nobody is called 'Ana'; did you mean 'Anna'?"),
    ("identify empty --gallery g", "empty: no image .* in it"),
    ("identify mine.yaml --gallery g", "mine.yaml: not an image that can be read"),
    ("identify mine.yaml m.keras --gallery g", "mine.yaml: not an image .*nor can 1 more"),
    ("identify anna.png --gallery g --json mine.yaml", "mine.yaml: is there already"),
    ("verify anna.png gone.png --model m.keras", "gone.png: no such photo(;|$)"),
    ("verify anna.png people --model m.keras", "people: is a folder; give one photo"),
    ("verify anna.png mine.yaml --model m.keras", "mine.yaml: not an image"),
    ("verify m.keras anna.png --model m.keras", "m.keras: the file is empty"),
    ("verify anna.png anna.png --model anna.png", "anna.png: not a model that can be evaluated"),
    ("verify anna.png anna.png --model people", "people: not a model that can be evaluated"),
    ("verify anna.png anna.png --model m.keras --json mine.yaml", "mine.yaml: is there already"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES_WITH_PHOTOS)
def test_one_line_says_it_of_photos(photos, monkeypatch, capsys, words, message):
    code, out, err = call(monkeypatch, capsys, *words.split())
    assert (code, out) == (2, "")
    assert re.match(f"error: .*{message.replace('?', '[?]')}", err), err
    assert len(err.splitlines()) == 1
    assert not (photos / "n").exists()


def test_they_are_found_without_tensorflow(photos):
    """In a process of its own: modules may import it, too."""
    code = (
        "import sys; from tfface.cli import main\n"
        "for words in sys.argv[1:]:\n"
        "    sys.argv = ['tfface', *words.split()]\n"
        "    try: main.main()\n"
        "    except SystemExit as end: assert end.code == 2, words\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    given = [words for words, _ in MISTAKES_WITH_PHOTOS]
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "[]\n"


def test_values_with_codes_of_terminals_are_harmless(folder, monkeypatch, capsys):
    _, _, err = call(monkeypatch, capsys, "recipes", "a", "\x1b[31m\n\nroot#")
    assert (
        err == "error: too many arguments: '?[31m??root#' after NAME\nsee: tfface recipes --help\n"
    )
