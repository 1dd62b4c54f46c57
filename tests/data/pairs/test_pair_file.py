"""Making verification sets of labeled faces, and writing them in another format."""

import csv

import numpy as np
import pytest

from tests.data.pairs.bcolz_files import write_bcolz
from tests.data.posed_faces import write_posed_faces
from tests.data.small_faces import encoded, pixels, write_folder
from tfface.data.pairs import load_pair_set, pair_file
from tfface.data.pairs.pair_file import PairOptions, make_pair_file, make_pair_set
from tfface.data.records.conversion import convert
from tfface.errors import InputError

COUNTS = {f"p{number:02d}": 4 for number in range(20)}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("faces") / "faces", COUNTS)


@pytest.fixture(scope="module")
def posed(tmp_path_factory):
    return write_posed_faces(tmp_path_factory.mktemp("posed") / "posed", 20)


def shown(pair_set):
    return [
        (pair_set.images[a], pair_set.images[b], bool(genuine))
        for a, b, genuine in zip(pair_set.first, pair_set.second, pair_set.is_genuine, strict=True)
    ]


def test_a_folder_becomes_a_bin(faces, tmp_path):
    made = make_pair_file(str(faces), tmp_path / "out.bin")
    # A fold is two people of four images: 12 genuine pairs, 16 of impostors.
    assert (made.num_pairs, made.num_genuine, made.num_folds) == (240, 120, 10)
    assert (made.num_images, made.num_identities) == (80, 20)
    pair_set = load_pair_set(tmp_path / "out.bin")
    owner = {file.read_bytes(): file.parent.name for file in faces.glob("*/*.jpg")}
    for fold in np.array_split(np.arange(240), 10):
        pairs = [shown(pair_set)[i] for i in fold]
        assert all((owner[a] == owner[b]) == genuine for a, b, genuine in pairs)
        assert len({owner[image] for pair in pairs for image in pair[:2]}) == 2


def test_csv_and_bin_hold_the_same_pairs(faces, tmp_path):
    options = PairOptions(num_pairs=60, seed=3)
    make_pair_file(str(faces), tmp_path / "a.bin", options=options)
    make_pair_file(str(faces), tmp_path / "b.csv", options=options)
    made = make_pair_file(str(faces), tmp_path / "c.csv", with_images=False, options=options)
    pairs = shown(load_pair_set(tmp_path / "a.bin"))
    assert shown(load_pair_set(tmp_path / "b.csv")) == pairs
    assert made.images_dir == faces
    assert shown(load_pair_set(tmp_path / "c.csv", images_dir=faces)) == pairs
    assert not (tmp_path / "c_images").exists()
    with (tmp_path / "c.csv").open() as file:
        assert next(csv.DictReader(file))["first"] in {
            f"{p}/{n}.jpg" for p in COUNTS for n in "0123"
        }


def test_a_converted_dataset(faces, tmp_path):
    convert([str(faces)], tmp_path / "dataset")
    made = make_pair_file(str(tmp_path / "dataset"), tmp_path / "out.bin")
    assert (made.num_pairs, made.num_identities) == (240, 20)
    with pytest.raises(InputError, match="dataset: its images are not separate files that can be"):
        make_pair_file(str(tmp_path / "dataset"), tmp_path / "out.csv", with_images=False)


def test_pairs_are_6000_at_most(tmp_path, monkeypatch):
    labels = np.repeat(np.arange(1000), 5)

    class Source:
        name = "many"
        labels = np.repeat(np.arange(1000), 5)

        def filename(self, index):
            return str(index)

    pair_set, num_identities = make_pair_set(Source(), PairOptions(num_folds=7))
    assert len(pair_set.first) == 5992  # a multiple of 14
    assert num_identities == len(np.unique(labels))


def test_attributes_choose_the_sides(posed, tmp_path):
    options = PairOptions(first=["pose=C7"], second=["pose=C1,C13", "light=L30"], group_by="pose")
    made = make_pair_file(str(posed), tmp_path / "a.csv", format="csv", options=options)
    # Of two people in a fold: each C7 image with the two others in light L30.
    assert (made.num_pairs, made.num_genuine) == (2 * 10 * 8, 80)
    with (tmp_path / "a.csv").open() as file:
        for row in csv.DictReader(file):
            first, second = row["first_name"], row["second_name"]
            assert "C7-" in first
            assert "C7-" not in second
            assert second.endswith("-L30.jpg")
            assert (first[:3] == second[:3]) == (row["is_genuine"] == "1")
            assert row["group"] == ("C1-C7" if "C1-" in second else "C13-C7")
    assert set(load_pair_set(tmp_path / "a.csv").groups) == {"C1-C7", "C13-C7"}


def test_a_side_without_condition_takes_all(posed, tmp_path):
    options = PairOptions(first=["light=L1"], group_by="light", num_pairs=100)
    make_pair_file(str(posed), tmp_path / "a.csv", format="csv", options=options)
    assert set(load_pair_set(tmp_path / "a.csv").groups) == {"L1", "L1-L30"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": ["age=3"]}, "posed: no attribute 'age'; there are: pose, light"),
        ({"second": ["pose=C1,C9"]}, "posed: no image has pose 'C9'; there are: C1, C7, C13"),
        ({"first": ["pose"]}, "'pose': expected NAME=VALUE or NAME=VALUE,VALUE"),
        ({"first": ["pose=C1,"]}, "'pose=C1,': expected NAME=VALUE"),
        ({"first": ["pose=C1", "pose=C7"]}, "pose is given twice; several values are pose=C1,C7"),
        ({"group_by": "age"}, "no attribute 'age'"),
        ({"num_folds": 1}, "1 folds: accuracy needs at least 2"),
        ({"num_folds": 11}, "20 people are too few for 11 folds: .*; 10 folds are possible"),
        ({"num_pairs": 50}, "50 pairs: expected a multiple of 20"),
        ({"num_pairs": 6000}, "need 300 genuine pairs in each, .*: 600 pairs are possible"),
    ],
)
def test_bad_options(posed, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        make_pair_file(str(posed), tmp_path / "a.csv", format="csv", options=PairOptions(**options))
    assert not list(tmp_path.iterdir())


def test_folder_without_attributes(faces, tmp_path):
    with pytest.raises(InputError, match="faces: no attribute 'pose'; there are: none"):
        make_pair_file(str(faces), tmp_path / "a.bin", options=PairOptions(first=["pose=C1"]))


def write_lfw(root):
    write_folder(root / "images", {})
    for number in range(12):
        folder = root / "images" / f"P{number}"
        folder.mkdir(parents=True)
        for image in (1, 2):
            (folder / f"P{number}_{image:04d}.jpg").write_bytes(encoded(2 * number + image))
    lines = ["10\t1"]
    for person in range(10):
        lines += [f"P{person}\t1\t2", f"P{person}\t1\tP{person + 2}\t2"]
    (root / "pairs.txt").write_text("\n".join(lines))
    return root / "pairs.txt"


def test_sets_are_written_as_they_are(tmp_path):
    pairs = write_lfw(tmp_path / "lfw")
    made = make_pair_file(str(pairs), tmp_path / "lfw.bin")
    assert (made.num_pairs, made.num_genuine, made.num_images) == (20, 10, 22)
    assert made.num_identities is None
    make_pair_file(str(tmp_path / "lfw.bin"), tmp_path / "lfw.csv")
    make_pair_file(f"other={tmp_path / 'lfw.csv'}", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "lfw.bin").read_bytes()
    original = load_pair_set(pairs)
    for written in ("lfw.bin", "lfw.csv"):
        assert shown(load_pair_set(tmp_path / written)) == shown(original)


def test_images_of_a_list_elsewhere(tmp_path):
    pairs = write_lfw(tmp_path / "lfw")
    moved = pairs.rename(tmp_path / "pairs.txt")
    with pytest.raises(InputError, match="no folder of images at"):
        make_pair_file(str(moved), tmp_path / "lfw.bin")
    make_pair_file(str(moved), tmp_path / "lfw.bin", images_dir=tmp_path / "lfw" / "images")


def test_a_bcolz_folder(tmp_path):
    faces = np.stack([pixels(seed) for seed in range(40)])
    folder = write_bcolz(tmp_path / "tiny", faces, [True, False] * 10)
    made = make_pair_file(str(folder), tmp_path / "tiny.bin")
    assert (made.num_pairs, made.num_images) == (20, 40)
    assert shown(load_pair_set(tmp_path / "tiny.bin")) == shown(load_pair_set(folder))


def test_groups_that_have_no_place_are_said(posed, tmp_path):
    options = PairOptions(group_by="pose", num_pairs=40)
    make_pair_file(str(posed), tmp_path / "a.csv", format="csv", options=options)
    assert not make_pair_file(str(tmp_path / "a.csv"), tmp_path / "b.csv").groups_left_out
    assert make_pair_file(str(tmp_path / "a.csv"), tmp_path / "b.bin").groups_left_out
    with pytest.raises(InputError, match=r"a \.bin can't have groups; write a \.csv"):
        make_pair_file(str(posed), tmp_path / "c.bin", format="csv", options=options)


@pytest.mark.parametrize(
    ("dataset", "output", "arguments", "message"),
    [
        ("lfw/pairs.txt", "a.npz", {}, "a.npz: a verification set is written as .bin or .csv"),
        ("lfw/pairs.txt", "a.bin", {"with_images": False}, "a .bin always contains its images"),
        ("lfw/pairs.txt", "a.csv", {"with_images": False}, "only images of a labeled folder can"),
        ("lfw/pairs.txt", "a.bin", {"options": PairOptions()}, "whose pairs are kept"),
        (
            "lfw/images",
            "a.bin",
            {"images_dir": "x"},
            "not a list of pairs, so --image-root does not",
        ),
        ("lfw/images", "a.bin", {"options": PairOptions(num_folds=5)}, "always has 10 folds"),
        ("lfw/images", "a.bin", {"format": "odd"}, "format 'odd' is not known: auto, "),
        ("lfw/images", "lfw/pairs.txt/a.bin", {}, "can't be written"),
        ("gone", "a.bin", {}, "gone: no such file or folder"),
        ("gone.bin", "a.bin", {}, "gone.bin: no such file"),
        ("gone.csv", "a.bin", {}, "gone.csv: no such file"),
        ("list.csv", "a.bin", {}, r"list\.csv: line 2: a\.jpg: can't be read"),
    ],
)
def test_bad_arguments(tmp_path, dataset, output, arguments, message):
    write_lfw(tmp_path / "lfw")
    # A list of images, not of pairs.
    (tmp_path / "list.csv").write_text("path,identity\na.jpg,a\n")
    with pytest.raises(InputError, match=message):
        make_pair_file(str(tmp_path / dataset), tmp_path / output, **arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lfw", "list.csv"]


def test_all_undecodable_images_are_named(tmp_path):
    faces = write_folder(tmp_path / "faces", {f"p{number}": 2 for number in range(40)})
    for number in range(25):
        (faces / f"p{number}/0.jpg").write_bytes(encoded(number)[:-200])
    (faces / "p0/0.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"^p0/0\.jpg: the file is empty \(0 bytes\)") as raised:
        make_pair_file(str(faces), tmp_path / "out.bin")
    lines = str(raised.value).splitlines()
    assert len(lines) == 21
    assert lines[1] == "p1/0.jpg: the image data are damaged or truncated"
    assert lines[-1] == "and 5 more images"
    assert not (tmp_path / "out.bin").exists()


def test_an_image_that_can_not_be_read_is_named(faces, tmp_path):
    pairs = write_lfw(tmp_path / "lfw")
    pair_set = load_pair_set(pairs)
    (tmp_path / "lfw/images/P3/P3_0001.jpg").unlink()
    with pytest.raises(InputError, match=r"P3_0001\.jpg: can't be read: No such file"):
        pair_file._check_images(pair_set)
