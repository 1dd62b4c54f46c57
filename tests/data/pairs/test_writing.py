"""Written sets read back as they were."""

import csv
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.data.pairs import PairSet, load_pair_set, writing
from tfface.errors import InputError

IMAGES = [b"\xff\xd8 a", b"\x89PNG b", b"BM ccc\0\0\0\0", b"other d"]


def make(images=IMAGES, first=(0, 1, 0), second=(1, 2, 3), is_genuine=(1, 0, 0), **others):
    return PairSet(
        name="made",
        images=list(images),
        image_names=[f"people/{number}.jpg" for number in range(len(images))],
        first=np.array(first),
        second=np.array(second),
        is_genuine=np.array(is_genuine, bool),
        **others,
    )


@st.composite
def pair_sets(draw, **others):
    images = draw(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=8, unique=True))
    place = st.integers(0, len(images) - 1)
    pairs = draw(st.lists(st.tuples(place, place, st.booleans()), min_size=1, max_size=40))
    first, second, _ = zip(*pairs, strict=True)
    # Two images are always or never of one person.
    answers: dict[frozenset[int], bool] = {}
    is_genuine = [answers.setdefault(frozenset((a, b)), genuine) for a, b, genuine in pairs]
    return make(images, first, second, is_genuine, **others)


def people_of(pair_set):
    """Says of each image who is in it so that the answers are right; None where that can't be."""
    people = np.arange(len(pair_set.images))
    for a, b, genuine in zip(pair_set.first, pair_set.second, pair_set.is_genuine, strict=True):
        if genuine:
            people[people == people[a]] = people[b]
    same = people[pair_set.first] == people[pair_set.second]
    return 10 * people if np.array_equal(same, pair_set.is_genuine) else None


def shown(pair_set):
    """What pairs are, in order, whatever number each image has."""
    return [
        (pair_set.images[a], pair_set.images[b], bool(genuine))
        for a, b, genuine in zip(pair_set.first, pair_set.second, pair_set.is_genuine, strict=True)
    ]


in_one_folder = examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(pair_set=pair_sets())
def test_bin_reads_back(pair_set, tmp_path):
    path = tmp_path / "made.bin"
    writing.write_bin(pair_set, path)
    read = load_pair_set(path)
    assert shown(read) == shown(pair_set)
    assert read.num_folds == 10

    # As InsightFace reads it.
    with path.open("rb") as file:
        bins, issame_list = pickle.load(file, encoding="bytes")
    assert type(bins) is type(issame_list) is list
    assert all(type(image) is bytes for image in bins)
    assert all(type(same) is bool for same in issame_list)
    pairs = zip(bins[0::2], bins[1::2], issame_list, strict=True)
    assert list(pairs) == shown(pair_set)


@in_one_folder
@given(
    pair_set=pair_sets(),
    num_folds=st.integers(1, 12),
    grouped=st.booleans(),
    with_identities=st.booleans(),
)
def test_csv_reads_back(pair_set, num_folds, grouped, with_identities, tmp_path):
    num_folds = min(num_folds, len(pair_set.first))
    groups = [f'g "{number % 3}", ' for number in range(len(pair_set.first))] if grouped else None
    identities = people_of(pair_set) if with_identities else None
    others = {"num_folds": num_folds, "groups": groups, "identities": identities}
    pair_set = PairSet(**(vars(pair_set) | others))
    writing.write_csv(pair_set, tmp_path / "made.csv")
    read = load_pair_set(tmp_path / "made.csv")
    assert shown(read) == shown(pair_set)
    assert read.num_folds == num_folds
    assert read.groups == groups
    if identities is None:
        assert read.identities is None
    else:
        for images in ("first", "second"):
            # Numbered anew, but in the same way everywhere.
            people = identities[getattr(pair_set, images)]
            told = read.identities[getattr(read, images)]
            assert len(set(zip(people.tolist(), told.tolist(), strict=True))) == len(set(people))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.csv", "made_images"]
    assert len(list((tmp_path / "made_images").iterdir())) == len(pair_set.images)


# All that a name can hold but the separators of paths and lines of lists.
names = st.text(
    st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda name: name not in (".", ".."))


@in_one_folder
@given(files=st.lists(names, min_size=2, max_size=2, unique=True))
def test_list_alone_reads_back(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate(files):
        (folder / name).write_bytes(IMAGES[number])
    pair_set = make(IMAGES[:2], [0, 1], [1, 0], [True, True], num_folds=2)
    path = tmp_path_factory.mktemp("list") / "made.csv"
    writing.write_csv_list(pair_set, files, path)
    assert shown(load_pair_set(path, images_dir=folder)) == shown(pair_set)
    assert [file.name for file in path.parent.iterdir()] == ["made.csv"]


def test_an_image_is_in_a_bin_once(tmp_path):
    pair_set = make([b"x" * 1000, b"y" * 1000], [0] * 50, [1] * 50, [True] * 50)
    writing.write_bin(pair_set, tmp_path / "made.bin")
    assert (tmp_path / "made.bin").stat().st_size < 3000


def test_bin_has_ten_folds(tmp_path):
    with pytest.raises(
        InputError, match=r"always has 10 folds, and these pairs have 5: write a .c"
    ):
        writing.write_bin(make(num_folds=5), tmp_path / "made.bin")
    assert not list(tmp_path.iterdir())


def test_csv_says_what_images_were_called(tmp_path):
    writing.write_csv(make(num_folds=3, groups=["a", "b", "c"]), tmp_path / "made.csv")
    with (tmp_path / "made.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "first": "000001.png",
        "second": "000002.bmp",
        "is_genuine": "0",
        "fold": "1",
        "group": "b",
        "first_name": "people/1.jpg",
        "second_name": "people/2.jpg",
    }
    assert sorted(path.name for path in (tmp_path / "made_images").iterdir()) == [
        *("000000.jpg", "000001.png", "000002.bmp", "000003.img")
    ]


def test_csv_written_again(tmp_path):
    path = tmp_path / "made.csv"
    writing.write_csv(make(num_folds=3), path)
    # What a killed command leaves behind.
    (tmp_path / ".made_images-0a_b1c2d.partial").mkdir()
    (tmp_path / ".made_images-0a_b1c2d.partial" / "000000.jpg").write_bytes(b"")
    again = make(IMAGES[2:], [0, 0], [1, 1], [True, True], num_folds=2)
    writing.write_csv(again, path)
    assert shown(load_pair_set(path)) == shown(again)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["made.csv", "made_images"]
    assert len(list((tmp_path / "made_images").iterdir())) == 2


def test_csv_over_what_it_is_made_from(tmp_path):
    path = tmp_path / "made.csv"
    writing.write_csv(make(num_folds=3), path)
    before = load_pair_set(path)
    pairs = shown(before)
    writing.write_csv(before, path)
    assert shown(load_pair_set(path)) == pairs


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "made_images").mkdir()
    (tmp_path / "made_images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="made_images: is in the way of the images: remove it"):
        writing.write_csv(make(num_folds=3), tmp_path / "made.csv")
    assert (tmp_path / "made_images" / "mine.jpg").read_bytes() == b"mine"


class _Unreadable(list):
    def __getitem__(self, index):
        if index == 2:
            raise InputError("people/2.jpg: can't be read")
        return super().__getitem__(index)


@pytest.mark.parametrize("name", ["made.bin", "made.csv"])
def test_nothing_half_written_is_left(tmp_path, name):
    write = writing.write_bin if name.endswith("bin") else writing.write_csv
    broken = make(num_folds=10)
    broken = PairSet(**(vars(broken) | {"images": _Unreadable(IMAGES)}))
    with pytest.raises(InputError, match=r"people/2\.jpg: can't be read"):
        write(broken, tmp_path / name)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't be written"):
        write(make(), tmp_path / "file" / name)
