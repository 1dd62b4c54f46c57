"""A search over a whole dataset: who is found, what is written, what is said."""

import csv

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from tfface.data.pairs import PairSet
from tfface.data.records.conversion import convert
from tfface.data.records.identity_list import read_identity_list
from tfface.data.records.inspection import inspect_dataset
from tfface.data.records.manifest import Identity
from tfface.errors import InputError
from tfface.gallery.duplicate_identities import check_search, find_duplicate_identities
from tfface.gallery.duplicate_report import _spaced, write_duplicate_identities


def face(person: int, picture: int) -> bytes:
    """A picture whose colors are the person's, with noise that is the picture's."""
    color = np.random.default_rng(person).integers(40, 216, (4, 4, 3))
    noise = np.random.default_rng(1000 * person + picture).integers(-20, 21, (24, 24, 3))
    pixels = np.kron(color, np.ones((6, 6, 1))) + noise
    return tf.io.encode_png(pixels.astype(np.uint8)).numpy()


class Blocks:
    """An embedder that sees the colors."""

    name = "blocks"
    image_size = (24, 24)
    keeps_aspect = False
    batch_size = 16

    def __init__(self):
        self.num_images = 0

    def embed(self, images):
        self.num_images += len(images)
        return images[:, 3::6, 3::6].reshape(len(images), -1).astype(np.float32) - 128


# Source -> person -> pictures. Persons 3 and 4 are in both, person 7 is in the verification set.
PEOPLE = {
    "a": {0: 3, 1: 2, 2: 4, 3: 5, 4: 2, 7: 3, **dict.fromkeys(range(20, 34), 1)},
    "b": {3: 2, 4: 4, 5: 3, 7: 1, 8: 12},
}


@pytest.fixture(scope="module")
def inspection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    for source, people in PEOPLE.items():
        for person, count in people.items():
            (folder / source / f"{source}{person}").mkdir(parents=True)
            for number in range(count):
                file = folder / source / f"{source}{person}" / f"{number}.png"
                file.write_bytes(face(person, number + 50 * (source == "b")))
    convert([str(folder / "a"), str(folder / "b")], folder / "data")
    return inspect_dataset(folder / "data")


def pair_set(*people: int, name: str = "lfw") -> PairSet:
    images = [face(person, 90 + picture) for person in people for picture in (0, 1)]
    names = [f"images/{person}/{picture}.png" for person in people for picture in (0, 1)]
    zeros = np.zeros(10, int)
    return PairSet(name, images, names, zeros, zeros, zeros.astype(bool))


OPTIONS = {
    "images_per_identity": 3,
    "threshold": 0.8,
    "against_threshold": 0.8,
    "within_source": False,
    "seed": 0,
}


def search(inspection, pair_sets=(), said=None, embedder=None, **changes):
    said = [] if said is None else said
    options = {**OPTIONS, **changes}
    return find_duplicate_identities(
        inspection, embedder or Blocks(), pair_sets, log=said.append, **options
    )


def names(inspection, labels) -> list[str]:
    return [inspection.dataset.identities[label].name for label in labels]


def test_one_person_in_two_sources(inspection):
    found = search(inspection)
    pairs = zip(
        names(inspection, found.pairs.first), names(inspection, found.pairs.second), strict=True
    )
    assert set(pairs) == {("a3", "b3"), ("a4", "b4"), ("a7", "b7")}
    # Of each pair the one with fewer images goes.
    assert names(inspection, found.excluded) == ["a4", "b3", "b7"]


def test_somebody_of_a_verification_set(inspection):
    found = search(inspection, [pair_set(7, 60), pair_set(61, name="other")])
    assert sorted(names(inspection, found.overlaps["lfw"].labels)) == ["a7", "b7"]
    assert {int(image) // 2 for image in found.overlaps["lfw"].images} == {0}
    assert len(found.overlaps["other"].labels) == 0
    assert names(inspection, found.excluded) == ["a4", "a7", "b3", "b7"]
    assert found.to_dict() == {
        "in_verification_sets": {"lfw": 2, "other": 0},
        "pairs": 3,
        "excluded_identities": 4,
        "excluded_images": 2 + 3 + 2 + 1,
    }
    assert found.as_text().split("\n") == [
        "lfw: 2 identities appear in this verification set",
        "other: 0 identities appear in this verification set",
        "3 pairs of duplicate identities",
        "to exclude: 4 identities with 8 images",
    ]


def test_each_image_is_embedded_once_and_no_more_than_asked_for(inspection):
    embedder, said = Blocks(), []
    search(inspection, [pair_set(7)], said, embedder)
    # Two batches of 16 tell how long it takes.
    chosen = sum(min(3, count) for people in PEOPLE.values() for count in people.values())
    assert embedder.num_images == 2 * 16 + chosen + 2
    assert said[0] == (
        f"embedding {chosen} images of 25 identities (at most 3 of each) and 2 of verification "
        "sets: about 1 s"
    )


def test_thresholds_are_as_high_as_the_model_needs(inspection):
    said = []
    found = search(inspection, [pair_set(7)], said, threshold=None, against_threshold=None)
    assert said[1].startswith("lfw: threshold for identities that appear in it: 0.")
    assert said[1].endswith("% of the identities of 'a' match another of them)")
    # People of one source are more alike than 0.3 to this embedder.
    level = float(said[2].split(": ")[1].split()[0])
    assert 0.3 < level < 1
    assert {"a3", "a4", "a7"} == set(names(inspection, found.pairs.first))


def test_a_threshold_that_is_too_low_is_warned_of(inspection):
    said = []
    found = search(inspection, [], said, threshold=0.01)
    assert said[1].endswith("most matches will be false: use a higher threshold")
    assert len(found.pairs.first) > 10


def test_within_a_source(inspection):
    everybody = search(inspection, within_source=True, threshold=0.3)
    sources = [inspection.dataset.identities[label].source for label in everybody.pairs.first]
    others = [inspection.dataset.identities[label].source for label in everybody.pairs.second]
    assert any(one == other for one, other in zip(sources, others, strict=True))


def test_what_is_written(inspection, tmp_path):
    found = search(inspection, [pair_set(7)])
    paths = write_duplicate_identities(found, tmp_path / "out")
    assert [path.name for path in paths] == [
        *("same_people.csv", "exclude.csv", "same_people.png", "same_people_lfw.png")
    ]
    with paths[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["name"], row["source"]) for row in rows[:2]} == {("a7", "a"), ("b7", "b")}
    for row in rows[:2]:
        assert (row["other_name"], row["verification_set"]) == ("", "lfw")
        assert row["verification_image"].startswith("images/7/")
    assert {(row["name"], row["other_name"], row["other_source"]) for row in rows[2:]} == {
        *(("a3", "b3", "b"), ("a4", "b4", "b"), ("a7", "b7", "b"))
    }
    assert all(0.8 <= float(row["similarity"]) <= 1 for row in rows)
    with paths[1].open(newline="") as file:
        reasons = {row["name"]: row["reason"] for row in csv.DictReader(file)}
    assert list(reasons) == ["a4", "a7", "b3", "b7"]
    assert reasons["a4"].startswith("same person as b4 of b (similarity 0.9")
    assert reasons["a7"].startswith("same person as images/7/")
    assert " of the verification set lfw (similarity 0.9" in reasons["b7"]
    excluded = read_identity_list(paths[1], inspection.dataset.identities)
    assert np.flatnonzero(excluded).tolist() == list(found.excluded)
    for path in paths[2:]:
        assert matplotlib.image.imread(path).std() > 0.01


def test_whoever_is_like_a_person_of_a_set_is_left_out_for_that(inspection, tmp_path):
    # b7's single picture is like a7, but not like the set at such a threshold.
    found = search(inspection, [pair_set(7)])
    lfw = found.overlaps["lfw"]
    [level] = lfw.similarity[[names(inspection, lfw.labels).index("a7")]]
    [other] = lfw.similarity[[names(inspection, lfw.labels).index("b7")]]
    found = search(inspection, [pair_set(7)], against_threshold=float(level + other) / 2)
    assert len(found.overlaps["lfw"].labels) == 1
    write_duplicate_identities(found, tmp_path)
    text = (tmp_path / "exclude.csv").read_text()
    assert ", which is in the verification set lfw (similarity " in text
    assert names(inspection, found.excluded) == ["a4", "a7", "b3", "b7"]


def test_nothing_found(inspection, tmp_path):
    (tmp_path / "same_people.png").write_text("of an earlier search")
    found = search(inspection, [pair_set(60)], threshold=1.0, against_threshold=1.0)
    assert [path.name for path in write_duplicate_identities(found, tmp_path)] == [
        *("same_people.csv", "exclude.csv")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exclude.csv", "same_people.csv"]
    assert not read_identity_list(tmp_path / "exclude.csv", inspection.dataset.identities).any()


def test_what_would_be_of_no_use():
    one, two = [Identity("ann", "a")], [Identity("ann", "a"), Identity("ann", "b")]
    check_search(two, [], within_source=False)
    check_search(one, [], within_source=True)
    check_search(one, [pair_set(1)], within_source=False)
    with pytest.raises(
        InputError, match=r"are of one source \(a\), so there is nothing to compare"
    ):
        check_search(one, [], within_source=False)
    with pytest.raises(InputError, match="--overlap-with: two sets are called 'lfw'"):
        check_search(two, [pair_set(1), pair_set(2)], within_source=False)


@pytest.mark.parametrize("number", [0, 1, 24, 25, 1000])
def test_pairs_on_a_sheet_are_spaced(number):
    similarity = np.linspace(1, 0.3, number).astype(np.float32) ** 3
    places = _spaced(similarity)
    assert len(places) == min(number, 24) or 12 <= len(places) <= 24
    assert (np.diff(places) > 0).all()
    if number:
        assert places[0] == 0
        assert places[-1] == number - 1
