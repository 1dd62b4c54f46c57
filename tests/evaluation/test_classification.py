"""From images to figures: whose class is whose, who was seen, and what each group got right."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.color_run import write_image, write_run
from tests.reporting.plot_files import is_plot
from tfface.data.sources.csv_list import CsvSource
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError
from tfface.evaluation.classification import (
    NOT_GIVEN,
    evaluate_classification,
    match_classes,
    seen_identities,
)
from tfface.evaluation.classification_plots import plot_classification
from tfface.evaluation.classifier import load_classifier
from tfface.files import write_json

# Class, person, the color that the image has, and its light. The model goes by the color.
IMAGES = [
    ("blue", "ann", "blue", "L2"),
    ("blue", "ann", "blue", "L10"),
    ("blue", "bob", "blue", "L2"),
    ("blue", "new1", "red", "L2"),
    ("blue", "new1", "blue", "L10"),
    ("red", "cleo", "red", "L2"),
    ("red", "ann", "red", ""),
    ("red", "new2", "blue", "L10"),
    ("red", "", "green", "L2"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,identity,person,light"]
    for seed, (label, person, color, light) in enumerate(IMAGES):
        write_image(folder / f"{seed}.png", color, seed)
        lines.append(f"{seed}.png,{label},{person},{light}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return CsvSource(folder / "list.csv")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(write_run(tmp_path_factory.mktemp("run")), batch_size=4)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    for seed, file in enumerate(("blue/ann", "blue/bob", "red/cleo", "red/dora")):
        write_image(folder / file / "0.png", "blue", seed)
    return seen_identities(FolderSource(folder), "subfolder", where="the training images")


def test_without_groups(classifier, source):
    figures = evaluate_classification(classifier, source).to_dict()
    assert figures["num_images"] == 9
    assert figures["accuracy"] == 6 / 9
    assert figures["top5"] is None
    assert figures["per_class"]["green"]["precision"] == 0
    assert figures["per_class"]["green"]["recall"] is None
    assert figures["confusion"] == {
        "blue": {"blue": 4, "red": 1},
        "red": {"blue": 1, "green": 1, "red": 2},
    }
    assert figures["groups"] == {}
    for key in ("group_by", "people", "seen", "unseen", "unknown", "num_people"):
        assert figures[key] is None
    wrong = figures["most_wrong"]
    assert {(one["image"], one["label"], one["predicted"]) for one in wrong} == {
        ("3.png", "blue", "red"),
        ("7.png", "red", "blue"),
        ("8.png", "red", "green"),
    }
    confidences = [one["confidence"] for one in wrong]
    assert confidences == sorted(confidences, reverse=True)


def test_groups_and_people(classifier, source, people):
    classified = evaluate_classification(
        classifier, source, group_by="light", people=_renamed(people)
    )
    figures = classified.to_dict()
    seen, unseen, unknown = (figures[key] for key in ("seen", "unseen", "unknown"))
    # `ann` was seen as blue only; as red she is seen as well.
    assert (seen["accuracy"], seen["num_images"], seen["num_people"]) == (1, 5, 3)
    assert (unseen["accuracy"], unseen["num_images"], unseen["num_people"]) == (1 / 3, 3, 2)
    assert (unknown["accuracy"], unknown["num_images"], unknown["num_people"]) == (0, 1, 0)
    assert figures["num_people"] == 5
    assert figures["people"] == {
        "attribute": "person",
        "seen_in": "the training images",
        "num_in_training": 4,
    }
    assert figures["per_class"]["red"]["seen"] == {"support": 2, "recall": 1}
    assert figures["per_class"]["red"]["unseen"] == {"support": 1, "recall": 0}
    assert figures["per_class"]["green"]["seen"] == {"support": 0, "recall": None}

    groups = figures["groups"]
    assert figures["group_by"] == "light"
    assert list(groups) == [NOT_GIVEN, "L2", "L10"]
    assert sum(group["num_images"] for group in groups.values()) == 9
    assert groups["L2"]["accuracy"] == 3 / 5
    assert groups["L2"]["seen"]["accuracy"] == 1
    assert groups["L2"]["unseen"]["accuracy"] == 0
    assert groups["L10"]["unseen"]["accuracy"] == 1 / 2
    assert groups["L10"]["unknown"] is None


def _renamed(people):
    """The same people, by the attribute that the test data have."""
    return type(people)("person", people.names, people.where)


def test_a_group_is_what_it_would_be_alone(classifier, source):
    group = evaluate_classification(classifier, source, group_by="light").to_dict()["groups"]["L2"]
    rows = np.flatnonzero(source.attribute("light") == "L2")
    alone = evaluate_classification(classifier, _Some(source, rows)).to_dict()
    # Another place in a batch may change the last digits.
    for key in ("ece", "log_loss"):
        assert group.pop(key) == pytest.approx(alone[key], rel=1e-5)
    assert group == {key: alone[key] for key in group}


class _Some:
    """Some images of a source."""

    attribute_names = ()

    def __init__(self, source, rows):
        self.name, self.identities = source.name, source.identities
        self.labels = source.labels[rows]
        self.num_images = len(rows)
        self.read = lambda index: source.read(rows[index])
        self.filename = lambda index: source.filename(rows[index])


def test_pictures(classifier, source, people, tmp_path):
    plain = plot_classification(
        evaluate_classification(classifier, source), source, tmp_path / "plain"
    )
    assert [one.path.name for one in plain] == [
        "confusion.png",
        "reliability.png",
        "most_wrong.png",
    ]
    classified = evaluate_classification(classifier, source, people=_renamed(people))
    drawn = plot_classification(classified, source, tmp_path)
    assert drawn[0].path.name == "groups.png"
    assert all(is_plot(one.path) for one in drawn)
    pictures, captions = drawn[-1].thumbnails
    assert len(pictures) == len(captions) == 3
    assert "\n8.png" in "".join(captions)


def test_no_picture_of_mistakes_where_there_are_none(classifier, tmp_path):
    write_image(tmp_path / "data/blue/0.png", "blue", 0)
    source = FolderSource(tmp_path / "data")
    drawn = plot_classification(evaluate_classification(classifier, source), source, tmp_path)
    assert [one.path.name for one in drawn] == ["confusion.png", "reliability.png"]


def test_classes_are_matched_by_name(classifier, source):
    # The data's own labels are 0 and 1, as it has no green.
    assert match_classes(source, classifier.classes).tolist() == [0] * 5 + [2] * 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["blue", "pink"], r"has classes that the model doesn't know: pink; it knows blue, green"),
        (list("abcdefg"), r"know: a, b, c, d, e and 2 more; it knows"),
    ],
)
def test_classes_that_the_model_does_not_know(classifier, tmp_path, names, message):
    for name in names:
        write_image(tmp_path / "data" / name / "0.png", "blue", 0)
    with pytest.raises(InputError, match=message):
        evaluate_classification(classifier, FolderSource(tmp_path / "data"))


def test_two_classes_of_one_name(classifier, source):
    twice = SimpleNamespace(name="twice", identities=[source.identities[0]] * 2)
    with pytest.raises(InputError, match="twice: two identities are called 'blue'"):
        match_classes(twice, classifier.classes)


def test_attributes_are_looked_for_first(classifier, source, people):
    with pytest.raises(InputError, match="list: no attribute 'hair'; there are: person, light"):
        evaluate_classification(classifier, source, group_by="hair")
    with pytest.raises(InputError, match="list: no attribute 'subfolder'"):
        evaluate_classification(classifier, source, people=people)


def test_nobody_is_known_in_training(source):
    with pytest.raises(InputError, match="train: list: no attribute 'name'; there are: person"):
        seen_identities(source, "name", where="train")
    with pytest.raises(InputError, match="train: the attribute 'person' is empty for all of its"):
        seen_identities(source, "person", np.array([8]), where="train")
    assert seen_identities(source, "person", np.array([8, 5]), where="train").names == {"cleo"}


def test_an_image_that_can_not_be_read(classifier, tmp_path):
    write_image(tmp_path / "data/blue/0.png", "blue", 0)
    (tmp_path / "data/blue/1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"blue/1\.png: not an image that can be read"):
        evaluate_classification(classifier, FolderSource(tmp_path / "data"))


def test_a_model_that_gives_nan(source):
    def scores(images):
        return np.full((len(images), 3), np.nan, np.float32)

    classes = ["blue", "green", "red"]
    broken = SimpleNamespace(classes=classes, scores=scores, image_size=(16, 16), batch_size=4)
    with pytest.raises(InputError, match=r"^0\.png has NaN or infinite probabilities \(4 of 4"):
        evaluate_classification(broken, source)


def test_names_that_are_not_unicode(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    classifier = load_classifier(write_run(tmp_path / "run", ["a", name]))
    write_image(tmp_path / "data" / name / "0.png", "blue", 0)
    source = FolderSource(tmp_path / "data")
    classified = evaluate_classification(classifier, source)
    write_json(tmp_path / "f.json", classified.to_dict())
    assert list(classified.to_dict()["per_class"]) == ["a", "caf\\udce9"]
    plot_classification(classified, source, tmp_path)


def test_images_of_another_size(classifier, tmp_path):
    (tmp_path / "data/red").mkdir(parents=True)
    Image.new("RGB", (50, 30), (200, 0, 0)).save(tmp_path / "data/red/0.png")
    assert (
        evaluate_classification(classifier, FolderSource(tmp_path / "data")).result.summary.accuracy
        == 1
    )
