"""Galleries and queries are made of sources, and matched by names."""

import numpy as np
import pytest

from tests.data.small_faces import write_folder
from tests.evaluation.people import read_people, write_people
from tfface.data.records.conversion import convert
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.evaluation.labeled_faces import (
    count_shared_images,
    faces_of_person,
    hold_out_identities,
    labeled_faces,
    split_gallery_and_queries,
    true_labels,
)
from tfface.metrics.identification import UNKNOWN


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Ten people with 4 images each, one with 2 and one with 1."""
    counts = {person: range(4) for person in range(10)} | {10: range(2), 11: range(1)}
    return read_people(write_people(tmp_path_factory.mktemp("people"), counts))


def test_of_a_source(people):
    assert len(people) == 43
    assert people.names[people.labels[0]] == "person00"
    assert people.image_names[5] == "person01/1.png"
    chosen = people.take(np.array([5, 0])).take(np.array([1]))
    assert list(chosen.image_names) == ["person00/0.png"]
    assert chosen.images[0] == people.images[0]
    assert chosen.images.digest(0) == people.images.digest(0) != people.images.digest(1)
    assert chosen.identities().tolist() == [0]


def test_split_leaves_others_as_queries(people):
    gallery, queries = split_gallery_and_queries(people, 2, seed=3)
    assert np.bincount(gallery.labels).tolist() == [2] * 11 + [1]
    assert np.bincount(queries.labels).tolist() == [2] * 10
    assert not set(gallery.image_names) & set(queries.image_names)
    again, _ = split_gallery_and_queries(people, 2, seed=3)
    assert list(again.image_names) == list(gallery.image_names)
    other, _ = split_gallery_and_queries(people, 2, seed=4)
    assert list(other.image_names) != list(gallery.image_names)


def test_split_with_strangers(people):
    gallery, queries = split_gallery_and_queries(people, 1, seed=0, unknown=0.5)
    known = set(gallery.labels.tolist())
    assert len(known) == 6
    right = true_labels(gallery, queries, UNKNOWN)
    strangers = queries.labels[right == UNKNOWN]
    assert set(strangers.tolist()) == set(range(12)) - known
    # All their images are queries.
    assert len(strangers) == sum(np.bincount(people.labels)[list(set(strangers.tolist()))])
    np.testing.assert_array_equal(right[right != UNKNOWN], queries.labels[right != UNKNOWN])


def test_hold_out_draws_among_some(people):
    stay = hold_out_identities(people, 0.5, seed=0, among=np.array([1, 2, 3, 4]))
    gone = set(people.labels[~stay].tolist())
    assert len(gone) == 2
    assert gone < {1, 2, 3, 4}


def test_people_are_matched_by_name_whatever_their_labels(tmp_path, people):
    other = read_people(write_people(tmp_path, {3: range(7, 9), 99: range(2), 1: range(2)}))
    right = true_labels(people, other, UNKNOWN)
    assert [people.names[label] for label in right if label != UNKNOWN] == ["person01"] * 2 + [
        "person03"
    ] * 2
    assert np.count_nonzero(right == UNKNOWN) == 2
    # Person 1's images are those of the gallery.
    assert count_shared_images(people, other) == 2
    # Somebody whose images were all taken away is a stranger.
    less = people.take(np.flatnonzero(people.labels != 3))
    assert np.count_nonzero(true_labels(less, other, UNKNOWN) == UNKNOWN) == 4


def test_people_of_one_name_in_two_sources_are_two(tmp_path):
    for name in ("a", "b"):
        write_folder(tmp_path / name, {"0": 2, "1": 2})
    convert([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "both", num_shards=1)
    faces = labeled_faces(open_source(str(tmp_path / "both")).source)
    assert faces.names == ["a/0", "a/1", "b/0", "b/1"]


def test_one_name_in_two_spellings_is_one_person(tmp_path):
    write_folder(tmp_path / "a", {"Jose\u0301": 2, "José": 1, "zed ": 1})
    faces = labeled_faces(FolderSource(tmp_path / "a"))
    assert faces.names == ["José", "zed"]
    assert sorted(faces.labels.tolist()) == [0, 0, 0, 1]
    assert {faces.image_names[i].split("/")[0] for i in np.flatnonzero(faces.labels == 0)} == {
        "Jose\u0301",
        "José",
    }


def test_names_with_control_characters_are_refused(tmp_path):
    write_folder(tmp_path, {"a\x1b[2Jb": 1})
    with pytest.raises(InputError, match=r"'a\?\[2Jb' is no name: it holds control characters"):
        labeled_faces(FolderSource(tmp_path))


def test_faces_of_one():
    faces = faces_of_person("ann", [b"1", b"2"], ["1.jpg", "2.jpg"])
    assert faces.names == ["ann"]
    assert faces.labels.tolist() == [0, 0]
    assert faces.take(np.array([1])).image_names[0] == "2.jpg"


def test_bad_shares(people):
    with pytest.raises(InputError, match="no identity has more than 4 images"):
        split_gallery_and_queries(people, 4, seed=0)
    with pytest.raises(InputError, match=r"0\.01 of 12 identities are 0: choose a fraction"):
        split_gallery_and_queries(people, 1, seed=0, unknown=0.01)
    with pytest.raises(InputError, match=r"0\.99 of 12 identities are 12: choose a fraction"):
        split_gallery_and_queries(people, 1, seed=0, unknown=0.99)
    small = people.take(np.flatnonzero((people.labels == 11) | (people.labels == 0)))
    seeds = range(20)
    with pytest.raises(InputError, match="no identity that stays in the gallery has more than 1"):
        [split_gallery_and_queries(small, 1, seed=seed, unknown=0.5) for seed in seeds]
