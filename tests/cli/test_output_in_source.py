"""No tool writes into the folder that its images are read from."""

import pytest

from tests.data.small_faces import write_folder
from tests.training.recipes import load_tiny
from tfface.cli import benchmark, gallery, pairs, sweep
from tfface.cli import evaluate_classification as classification
from tfface.cli import evaluate_identification as identification
from tfface.cli import evaluate_verification as verification
from tfface.errors import InputError
from tfface.training.run import train

_LIES_IN = r"out\S*: lies in \S*faces, where its files would be taken for those of a person"


@pytest.fixture
def faces(tmp_path):
    return write_folder(tmp_path / "faces", {"ann": 2, "bob": 2})


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (pairs.main, ["FACES", "--output", "FACES/out/a.bin"]),
        (pairs.main, ["FACES", "--output", "FACES/out.csv", "--overwrite"]),
        (gallery.main, ["build", "pixels", "FACES", "--gallery", "FACES/out"]),
        (gallery.main, ["build", "pixels", "FACES", "--gallery", "FACES/out", "--name", "ann"]),
        (verification.main, ["pixels", "--templates", "FACES", "--plots", "FACES/out"]),
        (
            identification.main,
            ["pixels", "--gallery", "FACES", "--gallery-shots", "1", "--plots", "FACES/out/of"],
        ),
        (
            classification.main,
            ["pixels", "--classes", "none.txt", "--data", "FACES", "--plots", "FACES/out"],
        ),
    ],
)
def test_nothing_is_written_into_a_source(faces, main, arguments):
    before = sorted(faces.rglob("*"))
    with pytest.raises(InputError, match=_LIES_IN):
        main([argument.replace("FACES", str(faces)) for argument in arguments])
    assert sorted(faces.rglob("*")) == before


@pytest.mark.parametrize("tool", ["sweep", "epoch", "pipeline", "step"])
def test_nothing_about_a_recipe_is_written_into_its_source(faces, tmp_path, tool):
    before = sorted(faces.rglob("*"))
    load_tiny(tmp_path)
    given = [str(tmp_path / "tiny.yaml"), "--set", "data.train={source: folder, path: faces}"]
    data_dir = [] if tool == "step" else ["--data-dir", str(tmp_path)]
    if tool == "step":
        given[-1] = f"data.train={{source: folder, path: {faces}}}"
    if tool == "sweep":
        main, arguments = sweep.main, [*given, *data_dir, "--output", str(faces / "out")]
    else:
        main = benchmark.main
        arguments = [tool, *given, *data_dir, "--plots", str(faces / "out")]
    with pytest.raises(InputError, match=_LIES_IN):
        main(arguments)
    assert sorted(faces.rglob("*")) == before


def test_no_run_is_trained_in_its_source(faces, tmp_path):
    before = sorted(faces.rglob("*"))
    recipe = load_tiny(tmp_path, "data.train={source: folder, path: faces}")
    with pytest.raises(InputError, match=_LIES_IN):
        train(recipe, faces / "out", tmp_path)
    assert sorted(faces.rglob("*")) == before
