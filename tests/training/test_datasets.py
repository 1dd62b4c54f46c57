"""Which images a run trains on and is judged by, and under which labels."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tests.training.recipes import load_tiny
from tfface import recipe as recipes
from tfface.errors import InputError
from tfface.training.datasets import load_data
from tfface.training.registries import REGISTRIES
from tfface.training.training_identities import shared_images_warnings

ROOT = Path(__file__).resolve().parents[2]

COUNTS = {"ann": 4, "bob": 5, "cleo": 6, "dora": 7, "emil": 8}
EXCLUDE = "data.exclude=exclude.csv"


@pytest.fixture
def faces(tmp_path):
    write_folder(tmp_path / "faces", COUNTS, size=32)
    (tmp_path / "exclude.csv").write_text("name,source,reason\nbob,,x\ndora,faces,y\n")
    return tmp_path


def load(folder, validation, *overrides):
    recipe = load_tiny(
        folder,
        "data.train={source: folder, path: faces}",
        f"data.validation={validation}",
        "data.augment=[]",
        "data.cache=none",
        *overrides,
    )
    return load_data(recipe, folder, folder)


def counts(pipeline) -> dict[int, int]:
    """Label -> images, of an epoch that leaves nothing out."""
    labels = np.concatenate([labels for _, labels in pipeline.epoch(0).as_numpy_iterator()])
    found, number = np.unique(labels, return_counts=True)
    return dict(zip(found.tolist(), number.tolist(), strict=True))


def test_excluded_people_are_not_trained_on(faces):
    data = load(faces, "none", EXCLUDE, "data.batch_size=1")
    assert data.identities == ["ann", "cleo", "emil"]
    assert counts(data.train) == {0: 4, 1: 6, 2: 8}
    assert data.description == (
        "18 images of 3 identities (12 images of 2 identities excluded by exclude.csv), all to "
        "train"
    )


def test_nor_validated_on_by_image(faces):
    data = load(faces, "{fraction: 0.5, by: image}", EXCLUDE, "data.batch_size=1")
    assert counts(data.train) == counts(data.validation) == {0: 2, 1: 3, 2: 4}
    assert data.description.endswith(": 9 images to train, 9 to validate")


def test_nor_validated_on_by_identity(faces):
    data = load(faces, "{fraction: 0.34, by: identity}", "data.batch_size=1")
    assert len(data.identities) == 3
    (faces / "exclude.csv").write_text("name\nbob\n")
    data = load(faces, "{fraction: 0.5, by: identity}", EXCLUDE, "data.batch_size=1")
    assert len(data.identities) == 2
    assert counts(data.train) == {label: COUNTS[name] for label, name in enumerate(data.identities)}
    held_out = {name.split("/")[0] for name in data.validation_pairs.image_names}
    assert held_out | set(data.identities) == set(COUNTS) - {"bob"}
    assert not held_out & set(data.identities)
    assert "of 2 unseen identities to validate" in data.description


def test_nor_in_a_validation_source(faces):
    # Another source of the same people has another name, and the list still holds for it.
    write_folder(faces / "other", dict.fromkeys(COUNTS, 2), size=32)
    validation = "{source: folder, path: other}"
    data = load(faces, validation, EXCLUDE, "data.batch_size=1")
    assert counts(data.train) == {0: 4, 1: 6, 2: 8}
    assert counts(data.validation) == {0: 2, 1: 2, 2: 2}
    assert data.description.endswith("excluded by exclude.csv) to train, 6 images to validate")


def test_nor_in_the_images_to_be_classified(faces):
    parts = [
        f"{{source: split, path: faces, fractions: [0.5, 0.5], subset: {part}}}"
        for part in ("train", "test")
    ]
    overrides = [f"data.train={parts[0]}", f"evaluation.classification={parts[1]}"]
    data = load(faces, "none", EXCLUDE, "data.batch_size=1", *overrides)
    assert data.identities == ["ann", "cleo", "emil"]
    assert np.bincount(data.test_images.labels).tolist() == [2, 3, 4]
    assert data.description.endswith("excluded by exclude.csv), all to train, 9 images to test")
    (faces / "exclude.csv").write_text("name\ndora\n")
    write_folder(faces / "test", {"dora": 2}, size=32)
    with pytest.raises(InputError, match=r"evaluation\.classification: data\.exclude leaves none"):
        load(faces, "none", EXCLUDE, "evaluation.classification={source: folder, path: test}")


def test_without_a_list_nothing_changes(faces):
    data = load(faces, "none", "data.batch_size=1", "data.exclude=none")
    assert data.identities == list(COUNTS)
    assert counts(data.train) == dict(enumerate(COUNTS.values()))
    assert data.description == "30 images of 5 identities, all to train"


def test_a_list_outside_the_data_folder(faces, tmp_path):
    (tmp_path / "list.txt").write_text("ann\n")
    data = load(faces, "none", f"data.exclude={tmp_path / 'list.txt'}")
    assert data.identities == ["bob", "cleo", "dora", "emil"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^data\.exclude: .*exclude\.csv: can't be read: No such file"),
        ("name\nzoe\n", r"^data\.exclude: .*: lists identities that the sources don't have: zoe"),
        ("name\n" + "\n".join(COUNTS), r"exclude\.csv lists everybody in data\.train"),
        ("name\n" + "\n".join(list(COUNTS)[1:]), "4 images of 1 identities .* of two at least"),
    ],
)
def test_wrong_lists(faces, content, message):
    (faces / "exclude.csv").unlink()
    if content:
        (faces / "exclude.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        load(faces, "none", EXCLUDE)


class TestWhereToGetTheData:
    """The hint of `about.notes` is shown only when the data that the recipe names are missing."""

    RECIPE = ROOT / "recipes" / "celebrity_simple_cnn.yaml"

    def mistake(self, folder, *overrides) -> str:
        recipe = recipes.load(self.RECIPE, REGISTRIES, overrides)
        with pytest.raises(InputError, match=r"\S") as caught:
            load_data(recipe, folder, folder)
        return str(caught.value)

    def test_the_recipes_own_data_are_missing(self, tmp_path):
        said = self.mistake(tmp_path)
        assert "\n  The data of this recipe: The celebrity face image dataset of Kaggle" in said

    def test_the_recipes_own_data_are_missing_in_a_union(self, tmp_path):
        write_folder(tmp_path / "mine", {"ann": 1, "bob": 1})
        of = "[{source: folder, path: mine}, {source: folder, path: celebrity_faces}]"
        rest = ["data.validation=none", "evaluation.classification=none"]
        said = self.mistake(tmp_path, f"data.train={{source: union, of: {of}}}", *rest)
        assert "\n  The data of this recipe: The celebrity face image dataset of Kaggle" in said
        of = of.replace("celebrity_faces", "my_photos")
        said = self.mistake(tmp_path, f"data.train={{source: union, of: {of}}}", *rest)
        assert said == f"{tmp_path / 'my_photos'}: no such folder"

    def test_a_source_in_a_union_is_said_wrong(self, tmp_path):
        of = "[{source: folder, path: mine}, {source: folder}]"
        rest = ["data.validation=none", "evaluation.classification=none"]
        said = self.mistake(tmp_path, f"data.train={{source: union, of: {of}}}", *rest)
        assert said == "source union: of.1: path: missing; it must be given"

    def test_data_of_ones_own_are_missing(self, tmp_path):
        own = ["data.train={source: folder, path: my_photos}", "data.validation=none"]
        said = self.mistake(tmp_path, *own, "evaluation.classification=none")
        assert said == f"{tmp_path / 'my_photos'}: no such folder"

    def test_all_that_is_missing_is_named(self, tmp_path):
        own = [
            "data.train={source: folder, path: my_photos}",
            "data.validation={source: folder, path: others}",
            "evaluation.classification=none",
            "model.backbone={name: mobilefacenet, weights: mine.onnx}",
        ]
        write_folder(tmp_path / "others", {"ann": 1, "bob": 1})
        said = self.mistake(tmp_path, *own, "evaluation.verification=[my_photos.bin]")
        assert said == (
            f"{tmp_path / 'my_photos.bin'}: no such file\n"
            f"  Also missing: {tmp_path / 'my_photos'}, {tmp_path / 'mine.onnx'}"
        )

    def test_data_that_are_there_are_wrong(self, tmp_path):
        write_folder(tmp_path / "celebrity_faces", {"ann": 1, "bob": 1})
        assert "Kaggle" not in self.mistake(tmp_path)


class TestHeldOutImagesThatAreTrainedOn:
    """A warning names held-out images that are copies of training images, or links to them."""

    def warnings(self, faces, validation="none", *overrides):
        return shared_images_warnings(load(faces, validation, *overrides))

    @pytest.mark.parametrize("add", [shutil.copy, os.link, os.symlink])
    def test_among_images_to_validate(self, faces, add):
        write_folder(faces / "held", dict.fromkeys(COUNTS, 2), size=32, first=100)
        add(faces / "faces/ann/0.jpg", faces / "held/ann/copy.jpg")
        [line] = self.warnings(faces, "{source: folder, path: held}")
        assert line.startswith(
            "data.validation: 1 of its 11 images are training images, too (copies or links): "
        )

    def test_among_images_to_test(self, faces):
        shutil.copytree(faces / "faces", faces / "test")
        classify = "evaluation.classification={source: folder, path: test}"
        [line] = self.warnings(faces, "none", classify)
        assert line.startswith("evaluation.classification: 30 of its 30 images are training images")

    def test_among_pairs(self, faces):
        (faces / "p.csv").write_text("first,second,same\n" + "ann/0.jpg,ann/1.jpg,1\n" * 10)
        (faces / "p_images").symlink_to(faces / "faces")
        with (faces / "p.csv").open("a") as file:
            file.write("ann/0.jpg,bob/1.jpg,0\n" * 10)
        [line] = self.warnings(faces, "none", "evaluation.verification=[p.csv]")
        assert line.startswith("evaluation.verification: p: 3 of its 3 images are training images")

    @pytest.mark.parametrize("by", ["image", "identity"])
    def test_copies_on_both_sides_of_a_split(self, faces, by):
        assert self.warnings(faces, f"{{fraction: 0.5, by: {by}}}") == []
        for name in COUNTS:
            for image in (faces / "faces" / name).iterdir():
                image.write_bytes(encoded(0, 32))
        [line] = self.warnings(faces, f"{{fraction: 0.5, by: {by}}}")
        assert line.startswith("data.validation: ")

    def test_others_are_not(self, faces):
        write_folder(faces / "held", dict.fromkeys(COUNTS, 2), size=32, first=100)
        assert self.warnings(faces, "{source: folder, path: held}") == []
        assert self.warnings(faces, "none") == []

    def test_synthetic_faces_are_not_rendered_for_it(self, faces, monkeypatch):
        monkeypatch.setattr(
            "tfface.training.training_identities.content_digest",
            lambda image: pytest.fail("an image was read"),
        )
        synthetic = "{source: synthetic, num_identities: 5, images_per_identity: 4, size: 32}"
        train = f"data.train={synthetic}"
        assert self.warnings(faces, "{fraction: 0.5, by: image}", train) == []

    def test_many_images_are_sampled(self, faces, monkeypatch):
        monkeypatch.setattr("tfface.training.training_identities._MOST_IMAGES", 20)
        shutil.copytree(faces / "faces", faces / "test")
        classify = "evaluation.classification={source: folder, path: test}"
        [line] = self.warnings(faces, "none", classify)
        assert line.startswith("evaluation.classification: at least 20 of its 30 images are")
