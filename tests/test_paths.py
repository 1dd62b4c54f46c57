"""The home folder, wherever a recipe or an argument names it."""

from pathlib import Path

import pytest

from tests.data.small_faces import write_folder
from tests.training.recipes import TINY
from tfface import recipe
from tfface.data.pairs import split_name
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.paths import expanded
from tfface.training.datasets import load_data
from tfface.training.recognizer import build_starting_embedder
from tfface.training.registries import REGISTRIES
from tfface.training.warm_start import read_warm_start


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "faces", {"ann": 3, "bob": 3})
    return tmp_path


def test_only_at_the_beginning(home):
    assert expanded("~/x") == home / "x"
    assert expanded("a/~/x") == Path("a/~/x")
    assert expanded("~nobody-has-this-name/x") == Path("~nobody-has-this-name/x")


def test_an_empty_path_is_no_folder(home):
    with pytest.raises(InputError, match=r"^an empty path: name a file or folder"):
        expanded("")
    (home / "tiny.yaml").write_text(TINY)
    for override in (
        "data.train={source: folder, path: ''}",
        "data.train={source: csv, path: a.csv, image_root: ''}",
        "data.exclude=''",
    ):
        with pytest.raises(
            InputError, match=r"data\.[a-z_.]+: an empty path: name a file or folder"
        ):
            recipe.load(home / "tiny.yaml", REGISTRIES, [override])


@pytest.mark.parametrize(
    "argument",
    ["~/faces", "mine=~/faces", "{source: folder, path: ~/faces}"],
)
def test_arguments_of_tools(home, argument):
    opened = open_source(argument)
    assert opened.source.num_images == 6
    assert opened.paths == [home / "faces"]


def test_verification_sets(home):
    assert split_name("~/lfw.bin") == ("lfw", f"{home}/lfw.bin")
    assert split_name("mine=~/lfw.bin") == ("mine", f"{home}/lfw.bin")


def open_all(loaded: recipe.Recipe, home: Path) -> None:
    load_data(loaded, Path("data"), home)
    read_warm_start(loaded.model, Path("data"))
    build_starting_embedder(loaded, Path("data"))


@pytest.mark.parametrize(
    "override",
    [
        "data.exclude=~/gone",
        "data.train={source: folder, path: ~/gone}",
        "data.train={source: split, path: ~/gone, fractions: [0.5, 0.5], subset: train}",
        "data.train={source: tfds, dataset: ~/gone}",
        "evaluation.verification=[~/gone.bin]",
        "evaluation.verification=[mine=~/gone.bin]",
        "model.init_from=~/gone",
        "model.backbone.weights=~/gone.keras",
    ],
)
def test_paths_of_recipes(home, override):
    (home / "tiny.yaml").write_text(TINY, encoding="utf-8")
    loaded = recipe.load(home / "tiny.yaml", REGISTRIES, [override])
    with pytest.raises(InputError, match=f"{home}/gone"):
        open_all(loaded, home)
