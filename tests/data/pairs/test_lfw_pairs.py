"""LFW's lists of pairs."""

from pathlib import Path

import numpy as np
import pytest

from tfface.data.pairs import load_pair_set
from tfface.errors import InputError

VIEW_2 = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nBob\t1\t2\nAnn\t2\tBob\t2\n"
VIEW_1 = "2\nAnn\t1\t2\nBob\t1\t2\nAnn\t1\tBob\t1\nAnn\t2\tBob\t2\n"


@pytest.fixture
def folder(tmp_path):
    for name, suffix in (("Ann", ".jpg"), ("Bob", ".png")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in (1, 2):
            file = tmp_path / "images" / name / f"{name}_{number:04d}{suffix}"
            file.write_bytes(f"{name}{number}".encode())
    return tmp_path


def images_of(pair_set):
    return [
        (pair_set.images[a], pair_set.images[b])
        for a, b in zip(pair_set.first, pair_set.second, strict=True)
    ]


def test_view_2_keeps_the_order_of_its_folds(folder):
    (folder / "pairs.txt").write_text(VIEW_2)
    pair_set = load_pair_set(folder / "pairs.txt")
    assert images_of(pair_set) == [
        (b"Ann1", b"Ann2"),
        (b"Ann1", b"Bob1"),
        (b"Bob1", b"Bob2"),
        (b"Ann2", b"Bob2"),
    ]
    assert pair_set.is_genuine.tolist() == [True, False, True, False]
    assert pair_set.num_folds == 2
    assert len(pair_set.images) == 4
    assert pair_set.name == "pairs"


def test_identities_are_the_names(folder):
    for name, text in (("pairs.txt", VIEW_2), ("pairsDevTest.txt", VIEW_1)):
        (folder / name).write_text(text)
        pair_set = load_pair_set(folder / name)
        people = [Path(file).parent.name for file in pair_set.image_names]
        assert len(set(zip(people, pair_set.identities.tolist(), strict=True))) == 2
        same = pair_set.identities[pair_set.first] == pair_set.identities[pair_set.second]
        assert np.array_equal(same, pair_set.is_genuine)
    # Where names and answers contradict each other, nobody knows who is who.
    (folder / "pairs.txt").write_text(VIEW_2.replace("Ann\t2\tBob\t2", "Ann\t2\tAnn\t1"))
    assert load_pair_set(folder / "pairs.txt").identities is None


def test_view_1_interleaves_the_kinds(folder):
    (folder / "pairsDevTest.txt").write_text(VIEW_1 + "\n\n")
    pair_set = load_pair_set(folder / "pairsDevTest.txt")
    assert images_of(pair_set) == [
        (b"Ann1", b"Ann2"),
        (b"Ann1", b"Bob1"),
        (b"Bob1", b"Bob2"),
        (b"Ann2", b"Bob2"),
    ]
    assert pair_set.is_genuine.tolist() == [True, False, True, False]
    assert pair_set.num_folds == 10


def test_images_elsewhere(folder):
    (folder / "lists").mkdir()
    (folder / "lists" / "pairs.txt").write_text(VIEW_2)
    with pytest.raises(InputError, match=r"no folder of images at .*images; set it with --image"):
        load_pair_set(folder / "lists" / "pairs.txt")
    pair_set = load_pair_set(folder / "lists" / "pairs.txt", images_dir=folder / "images")
    assert len(pair_set.images) == 4


def test_missing_images_are_counted_and_the_first_is_named(folder):
    (folder / "pairs.txt").write_text(VIEW_2)
    for name in ("Ann/Ann_0002.jpg", "Bob/Bob_0001.png"):
        (folder / "images" / name).unlink()
    with pytest.raises(InputError, match=r"2 of 4 images are missing .* Ann/Ann_0002\.jpg"):
        load_pair_set(folder / "pairs.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a number of folds and of pairs"),
        ("Ann 1 2\n", "line 1: expected a number of folds and of pairs.*got 'Ann 1 2'"),
        ("0\n", "line 1: expected a number of folds"),
        (
            "1 2\n" + VIEW_2[4:],
            r"line 3: expected 'NAME 1 4' \(a genuine pair\); got 'Ann 1 Bob 1'",
        ),
        ("3 300\nAnn 1 2\n", "1 pairs, but line 1 says 1800"),
        (VIEW_2.replace("Ann\t2\tBob\t2", "Ann\t2\t1"), "line 5: expected 'NAME 1 OTHER 4'"),
        (VIEW_2.replace("Bob\t1\t2", "Bob\tx\t2"), "line 4: expected the numbers of two images"),
    ],
)
def test_wrong_lists(folder, text, message):
    (folder / "pairs.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder / "pairs.txt")


def test_not_text(folder):
    (folder / "pairs.txt").write_bytes(b"10\t300\n\xff\x00")
    with pytest.raises(InputError, match=r"pairs\.txt: can't be read"):
        load_pair_set(folder / "pairs.txt")
    with pytest.raises(InputError, match=r"nothing\.txt: no such file"):
        load_pair_set(folder / "nothing.txt")


def test_view_1_folds_hold_both_kinds(folder):
    (folder / "pairs.txt").write_text("25\n" + "Ann 1 2\n" * 25 + "Ann 1 Bob 2\n" * 25)
    is_genuine = load_pair_set(folder / "pairs.txt").is_genuine
    for fold in np.array_split(is_genuine, 10):
        assert 2 <= np.count_nonzero(fold) <= 3


@pytest.mark.parametrize("name", ["..", "../images/Ann", "/etc", "Ann/.."])
def test_names_that_lead_elsewhere_are_refused(folder, name):
    (folder / "pairs.txt").write_text(VIEW_2.replace("Bob", name))
    with pytest.raises(InputError, match=rf"pairs\.txt, line 3: '{name}' is not a name"):
        load_pair_set(folder / "pairs.txt")


def test_numbers_without_end_are_refused(folder):
    (folder / "pairs.txt").write_text(VIEW_2.replace("Ann\t1\t2", "Ann\t1\t" + "2" * 5000))
    with pytest.raises(InputError, match=r"line 2: expected the numbers of two images; got '1'"):
        load_pair_set(folder / "pairs.txt")
    (folder / "pairs.txt").write_text("9" * 5000)
    with pytest.raises(InputError, match="line 1: expected a number of folds and of pairs"):
        load_pair_set(folder / "pairs.txt")


COMPOSED, DECOMPOSED = "Jos\u00e9 X", "Jose\u0301 X"


@pytest.mark.parametrize("listed", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("on_disk", [COMPOSED, DECOMPOSED])
def test_lists_as_people_keep_them(tmp_path, listed, on_disk):
    """A byte order mark, blank lines, suffixes in upper case, names with blanks and accents."""
    for name, suffix in ((on_disk, ".JPG"), ("Bob", ".JFIF")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in (1, 2):
            file = tmp_path / "images" / name / f"{name}_{number:04d}{suffix}"
            file.write_bytes(f"{name[0]}{number}".encode())
    text = VIEW_2.replace("Ann", listed).replace("\nBob", "\n\n \nBob")
    (tmp_path / "PAIRS.TXT").write_text("\ufeff" + text, encoding="utf-8")
    pair_set = load_pair_set(tmp_path / "PAIRS.TXT")
    assert images_of(pair_set) == [(b"J1", b"J2"), (b"J1", b"B1"), (b"B1", b"B2"), (b"J2", b"B2")]
    assert len(set(pair_set.identities.tolist())) == 2
    (tmp_path / "PAIRS.TXT").write_text(text.replace("Bob\t1\t2", "Bob\tx\t2"))
    with pytest.raises(InputError, match="line 6: expected the numbers of two images; got 'x'"):
        load_pair_set(tmp_path / "PAIRS.TXT")


def test_repeated_pairs_are_counted(folder, capsys):
    (folder / "pairs.txt").write_text(VIEW_2)
    load_pair_set(folder / "pairs.txt")
    assert not capsys.readouterr().err
    # Bob 2 and 1 again, the other way round; both marked impostors as well; and one with itself.
    text = "4\nAnn\t1\t2\nBob\t1\t2\nBob\t2\t1\nAnn\t1\t1\n"
    text += "Ann\t1\tBob\t1\nBob\t1\tBob\t2\nAnn\t2\tBob\t2\nAnn\t1\tBob\t2\n"
    (folder / "pairs.txt").write_text(text)
    assert len(load_pair_set(folder / "pairs.txt").first) == 8
    assert capsys.readouterr().err == (
        f"warning: {folder / 'pairs.txt'}: of its 8 pairs 2 repeat another pair, 1 are labeled "
        "both genuine and impostor, 1 pair an image with itself (or a byte-identical copy); all "
        "are evaluated as listed\n"
    )
