"""Who was in the images that a run was trained on."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.small_faces import encoded
from tests.training.recipes import load_tiny
from tfface import recipe as recipes
from tfface.cli import model_options
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.image_source import SourceImages
from tfface.errors import InputError
from tfface.synthetic import render_faces
from tfface.training.data_fingerprint import describe_source
from tfface.training.datasets import load_data, open_training_images
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder
from tfface.training.training_identities import (
    read_training_identities,
    squeezed_warning,
    unaligned_warning,
    was_trained_on_unaligned,
)

PEOPLE = {"glasses": ["ann", "bob", "cleo"], "none": ["bob", "dora"]}


def write_run(folder, *overrides):
    """A run folder as far as it says what was trained on; faces/CLASS/PERSON/IMAGE.jpg."""
    for label, people in PEOPLE.items():
        for person in people:
            for number in range(4):
                file = folder / "faces" / label / person / f"{number}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encoded(number))
    recipe = load_tiny(folder, "data.train={source: folder, path: faces}", *overrides)
    run = folder / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(recipes.dump(recipe))
    (run / "identities.csv").write_text("label,name\n0,glasses\n1,none\n")
    return run


def test_everybody_without_validation(tmp_path):
    run = write_run(tmp_path, "data.validation=none")
    people = read_training_identities(run, tmp_path, "subfolder")
    assert people.names == {"ann", "bob", "cleo", "dora"}
    assert people.attribute == "subfolder"
    assert people.where == f"data.train of {run}"


def test_not_those_who_were_held_out(tmp_path):
    run = write_run(tmp_path, "data.validation={fraction: 0.5, by: image}")
    for person in ("ann", "cleo"):
        for number in (1, 2, 3):
            (tmp_path / "faces/glasses" / person / f"{number}.jpg").unlink()
    source, indices, _ = open_training_images(
        recipes.load(run / "recipe.yaml", REGISTRIES), tmp_path
    )
    trained = {source.filename(index).split("/")[1] for index in indices}
    # The seed of the tiny recipe holds out the only images of some.
    assert 0 < len(trained) < 4
    assert read_training_identities(run, tmp_path, "subfolder").names == trained


@pytest.mark.parametrize(
    "validation", ["none", "{fraction: 0.3, by: image}", "{fraction: 0.5, by: identity}"]
)
def test_the_training_part_is_what_a_run_trains_on(tmp_path, validation):
    (tmp_path / "exclude.csv").write_text("name\n000003\n")
    source = "{source: synthetic, num_identities: 6, images_per_identity: 6, size: 32}"
    recipe = load_tiny(
        tmp_path,
        f"data.train={source}",
        f"data.validation={validation}",
        "data.exclude=exclude.csv",
        "data.cache=none",
        "data.augment=[]",
        "data.batch_size=1",
    )
    opened, indices, names = open_training_images(recipe, tmp_path)
    data = load_data(recipe, tmp_path, tmp_path)
    assert names == data.identities
    labels = np.concatenate([batch for _, batch in data.train.epoch(0).as_numpy_iterator()])
    wanted = [names.index(opened.identities[label].name) for label in opened.labels[indices]]
    assert sorted(labels.tolist()) == sorted(wanted)


def test_data_that_changed_since(tmp_path):
    run = write_run(tmp_path)
    (run / "identities.csv").write_text("label,name\n0,glasses\n1,others\n")
    with pytest.raises(InputError, match=r"data\.train has not the classes any more that the run"):
        read_training_identities(run, tmp_path, "subfolder")


def test_data_that_can_not_be_opened(tmp_path):
    run = write_run(tmp_path)
    with pytest.raises(InputError, match="faces: no such folder"):
        read_training_identities(run, tmp_path / "elsewhere", "subfolder")
    with pytest.raises(
        InputError, match=r"data\.train of .*: faces: no attribute 'name'; there are"
    ):
        read_training_identities(run, tmp_path, "name")
    (run / "recipe.yaml").unlink()
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        read_training_identities(run, tmp_path, "subfolder")


class TestUnaligned:
    """Whoever trained on photos as they are knows that they are not aligned."""

    def write_run(self, folder, size: int) -> Path:
        """A run on drawn faces, aligned, in pictures of so many pixels."""
        for number, face in enumerate(render_faces(range(16), [0] * 16, 112)):
            picture = Image.new("RGB", (size, size), "grey")
            picture.paste(Image.fromarray(face), (size - 112, size - 112))
            file = folder / "faces" / f"person{number % 4}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file)
        own = ("data.train={source: folder, path: faces}", "data.validation=none")
        (folder / "run").mkdir()
        text = recipes.dump(load_tiny(folder, *own))
        (folder / "run" / "recipe.yaml").write_text(text)
        names = "".join(f"{n},person{n}\n" for n in range(4))
        (folder / "run" / "identities.csv").write_text(f"label,name\n{names}")
        return folder / "run"

    def warnings(self, model: Path, data_dir: Path) -> list[str]:
        photos = [np.asarray(Image.new("RGB", (64, 64), (n, n, n))) for n in range(16)]
        encoded = [tf.io.encode_png(photo).numpy() for photo in photos]
        options = argparse.Namespace(check=True, model=str(model), data_dir=data_dir)
        return model_options.alignment_warnings(options, [(encoded, [*"abcdefghijklmnop"], "set")])

    def test_nothing_is_said_of_what_a_run_was_trained_on(self, tmp_path):
        run = self.write_run(tmp_path, 224)
        assert was_trained_on_unaligned(run, tmp_path)
        assert self.warnings(run, tmp_path) == []
        # Where its images are is not known.
        assert not was_trained_on_unaligned(run, tmp_path / "elsewhere")
        assert len(self.warnings(run, tmp_path / "elsewhere")) == 1

    def test_but_where_it_was_trained_on_aligned_faces(self, tmp_path):
        run = self.write_run(tmp_path, 112)
        assert not was_trained_on_unaligned(run, tmp_path)
        [line] = self.warnings(run, tmp_path)
        assert line.startswith("set looks unaligned: ")

    def test_nor_of_a_model_that_is_no_run(self, tmp_path):
        assert not was_trained_on_unaligned(tmp_path / "model.onnx", tmp_path)


def test_a_run_whose_files_are_damaged_is_told_from_one_without_its_data(tmp_path):
    run = write_run(tmp_path, "data.validation=none")
    (run / "model.keras").write_bytes(b"")
    options = argparse.Namespace(model=str(run), data_dir=tmp_path)

    def told():
        return model_options.training_images_warnings(options, [([b"other"], "lfw")])

    assert told() == []
    for name in ("identities.csv", "recipe.yaml"):
        content = (run / name).read_text()
        for damaged in (None, "", content[: len(content) // 2]):
            (run / name).unlink()
            if damaged is not None:
                (run / name).write_text(damaged)
            (line,) = told()
            expected = f"lfw: it isn't known whether {run} was trained on these images: {run}/"
            assert line.startswith(expected)
            (run / name).write_text(content)
    (tmp_path / "faces").rename(tmp_path / "gone")
    assert told() == []


@pytest.mark.parametrize(
    ("source", "is_known"),
    [("{source: folder, path: faces}", True), ("{source: split, path: faces, shots: 2}", False)],
)
def test_photos_that_were_added_since(tmp_path, source, is_known):
    """They change which images a split draws, though as many as before."""
    own = (f"data.train={source}", "data.validation=none")
    run = write_run(tmp_path, *own)
    options = argparse.Namespace(model=str(run), data_dir=tmp_path)

    def told():
        return model_options.training_images_warnings(options, [([b"other"], "lfw")])

    opened, *_ = open_training_images(load_tiny(tmp_path, *own), tmp_path)
    RunFolder(run).check_data({"data.train": describe_source(opened)})
    assert told() == []
    faces = tmp_path / "faces/glasses"
    if is_known:
        # Of another time only.
        os.utime(next(faces.rglob("*.jpg")))
        assert told() == []
    (next(faces.iterdir()) / "00.jpg").write_bytes(encoded(9))
    (line,) = told()
    assert "it isn't known whether" in line
    assert "data.train had other images than now when the run began" in line


def training_on(folder: Path, images: Sequence[Image.Image]) -> SimpleNamespace:
    """The data of a run that is trained on images, two of each person."""
    for number, image in enumerate(images):
        person = folder / f"p{number // 2}"
        person.mkdir(parents=True, exist_ok=True)
        image.save(person / f"{number}.png")
    return SimpleNamespace(training_images=SourceImages(FolderSource(folder), range(len(images))))


def test_training_on_unaligned_photos_is_warned_of(tmp_path):
    """Of a network for faces; the images of a classifier may be anything."""
    aligned = [Image.fromarray(face) for face in render_faces(range(8), [0] * 8, 112)]
    photos = []
    for face in aligned:
        photo = Image.new("RGB", (400, 300), "grey")
        photo.paste(face, (30, 90))
        photos.append(photo)
    of_photos = training_on(tmp_path / "photos", photos)
    of_faces = training_on(tmp_path / "faces", aligned)
    of_rooms = training_on(
        tmp_path / "rooms", [Image.new("RGB", (200, 200), (number, 9, 9)) for number in range(8)]
    )
    found = unaligned_warning("arcface", of_photos)
    assert found.startswith(
        "the training set looks unaligned: alignment would move eyes, nose and "
    )
    assert found.endswith("; align the photos with tfface align before training")
    assert unaligned_warning("softmax", of_photos) is None
    assert unaligned_warning("arcface", of_faces) is None
    assert unaligned_warning("arcface", of_rooms) is None


def test_training_on_squeezed_faces_is_warned_of(tmp_path):
    square = training_on(tmp_path / "square", [Image.new("RGB", (112, 112))] * 7)
    assert squeezed_warning("arcface", square, (112, 96)) == (
        "the training set: its images have 112x112 pixels, and data.image_size is 112x96: faces "
        "are squeezed; align the photos to the model's size (tfface align --image-size 112x96)"
    )
    narrow = training_on(tmp_path / "narrow", [Image.new("RGB", (96, 112))] * 7)
    assert "have 112x96 pixels, and data.image_size is 64x64: faces are stretched" in (
        squeezed_warning(None, narrow, (64, 64))
    )
    assert squeezed_warning("softmax", square, (112, 96)) is None
    assert squeezed_warning("arcface", square, (64, 64)) is None
    assert squeezed_warning("arcface", narrow, (112, 96)) is None
