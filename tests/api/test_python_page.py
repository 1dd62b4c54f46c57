"""docs/guides/python.md: its code runs from top to bottom as it is written there."""

import re

import keras
import pytest
import yaml

import tfface
from tests.api.dot_photos import group_photo, photo_of, write_photos
from tests.api.test_training import tiny, write_pairs
from tests.conftest import ROOT
from tests.evaluation.people import face
from tfface.errors import LOGGER

PAGE = (ROOT / "docs" / "guides" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the page names, small, with a recipe that trains in seconds."""
    write_pairs(tmp_path / "lfw.bin")
    for name, photo in (
        ("photo", group_photo("Anna", "Ben")),
        ("a", photo_of("Anna")),
        ("b", photo_of("Anna", 1)),
        ("door", group_photo("Ben", "Cleo")),
        ("new/anna", photo_of("Anna")),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photo.save(tmp_path / f"{name}.jpg", "PNG")
    write_photos(tmp_path / "staff", {"Ben": range(2), "Cleo": range(2)})
    for folder, numbers in (("faces", range(4)), ("test_faces", range(4, 6))):
        for person, name in enumerate(("anna", "ben", "cleo", "dora", "emil")):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in numbers:
                path = tmp_path / folder / name / f"{number}.png"
                path.write_bytes(face(person, number))
    recipe = tiny(evaluation={"verification": ["lfw.bin"]})
    recipe["data"]["train"] = {"source": "folder", "path": "faces"}
    # A file of a recipe's name is preferred to the recipe.
    (tmp_path / "quickstart").write_text(yaml.safe_dump(recipe))
    monkeypatch.setenv("TFFACE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The page sets up the logger.
    handlers, level = LOGGER.handlers, LOGGER.level
    yield tmp_path
    LOGGER.handlers = handlers
    LOGGER.setLevel(level)


@pytest.mark.usefixtures("dot_detector")
def test_the_page_runs(files):
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/guides/python.md", "exec"), names)
    assert names["answer"].is_same is not None
    assert "pairs of 'lfw'" in names["answer"].threshold_source
    assert names["embeddings"].shape == (2, 8)
    assert names["gallery"].names == ["Ben", "Cleo"]
    assert (files / "roc.png").is_file()
    assert isinstance(names["recognizer"], keras.Model)


def test_every_name_of_the_package_is_on_the_page():
    results = {
        "AlignedFace",
        "Classifier",
        "Comparison",
        "Embedder",
        "ExportResult",
        "IdentifiedFace",
        "RunResult",
    }
    for name in {*tfface._PUBLIC} - results - {"Recipe"}:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_there_is_code_on_the_page():
    assert len(BLOCKS) >= 8
