"""Lists of pairs as CSV: ours, others', and wrong ones."""

from pathlib import Path

import numpy as np
import pytest

from tfface.data.pairs import load_pair_set
from tfface.data.pairs.csv_pairs import holds_pairs
from tfface.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for image in ("ann/1.jpg", "ann/2.jpg", "bob/1.png", "bob/2.png"):
        file = tmp_path / "images" / image
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image.encode())
    return tmp_path


def write(folder, *lines, name="pairs.csv"):
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def images_of(pair_set):
    return [
        (pair_set.images[a].decode(), pair_set.images[b].decode())
        for a, b in zip(pair_set.first, pair_set.second, strict=True)
    ]


HEADER = "first,second,is_genuine"
LINES = ("ann/1.jpg,ann/2.jpg,1", "ann/1.jpg,bob/1.png,0")


def test_pairs_in_order(folder):
    pair_set = load_pair_set(write(folder, HEADER, *LINES))
    assert images_of(pair_set) == [("ann/1.jpg", "ann/2.jpg"), ("ann/1.jpg", "bob/1.png")]
    assert pair_set.is_genuine.tolist() == [True, False]
    assert pair_set.is_genuine.dtype == bool
    assert pair_set.name == "pairs"
    assert pair_set.num_folds == 10
    assert pair_set.groups is None
    assert len(pair_set.images) == 3
    assert pair_set.image_names[2] == str(folder / "images/bob/1.png")


@pytest.mark.parametrize(
    "header",
    [
        "file_x,file_y,Decision",
        "path1,path2,label",
        " First , Second,IS-GENUINE",
        "Image 1,Image 2,Is Same",
        "img1,img2,issame",
        "file1,file2,match",
        "\ufefffirst,second,same",
    ],
)
def test_names_of_columns(folder, header):
    pair_set = load_pair_set(write(folder, header, *LINES))
    assert pair_set.is_genuine.tolist() == [True, False]


@pytest.mark.parametrize(
    "answers", [("1", "0"), ("true", "false"), ("Yes", "No"), (" TRUE ", " no")]
)
def test_answers(folder, answers):
    lines = [line[:-1] + answer for line, answer in zip(LINES, answers, strict=True)]
    assert load_pair_set(write(folder, HEADER, *lines)).is_genuine.tolist() == [True, False]


def test_columns_in_any_order_spaces_quotes_and_empty_lines(folder):
    path = write(
        folder,
        "notes,is_genuine,second,first",
        '"a, ""b""", 1, ann/2.jpg, "ann/1.jpg"',
        "",
        " , 0, bob/1.png, ann/1.jpg",
    )
    assert images_of(load_pair_set(path))[1] == ("ann/1.jpg", "bob/1.png")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert images_of(load_pair_set(path))[0] == ("ann/1.jpg", "ann/2.jpg")


def test_folds_and_groups(folder):
    path = write(
        folder,
        HEADER + ",fold,group",
        "ann/1.jpg,bob/1.png,0,2,far",
        "ann/1.jpg,ann/2.jpg,1,1,near",
        "ann/2.jpg,bob/2.png,0,1,far",
        "bob/1.png,bob/2.png,1,2,near",
    )
    pair_set = load_pair_set(path)
    assert pair_set.num_folds == 2
    assert pair_set.is_genuine.tolist() == [True, False, False, True]
    assert pair_set.groups == ["near", "far", "far", "near"]
    assert images_of(pair_set)[2] == ("ann/1.jpg", "bob/1.png")


IDENTITIES = ",first_identity,Person 2"


def test_identities(folder):
    path = write(
        folder,
        HEADER + IDENTITIES,
        "ann/1.jpg,ann/2.jpg,1,Ann A., Ann A. ",
        "bob/1.png,ann/1.jpg,0,17,Ann A.",
        "bob/1.png,bob/2.png,1,17,17",
    )
    pair_set = load_pair_set(path)
    assert [Path(name).name for name in pair_set.image_names] == [
        *("1.jpg", "2.jpg", "1.png", "2.png")
    ]
    assert pair_set.identities.tolist() == [0, 0, 1, 1]
    assert load_pair_set(write(folder, HEADER, *LINES)).identities is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ann/1.jpg,ann/2.jpg,1,ann,"], "line 2: the identity of ann/2.jpg is empty"),
        (
            ["ann/1.jpg,ann/2.jpg,1,ann,ann", "ann/1.jpg,bob/1.png,0,eve,bob"],
            "line 3: ann/1.jpg has the identity eve, but another one in an earlier line",
        ),
        (["ann/1.jpg,ann/2.jpg,1,ann,eve"], "line 2: the pair is labeled genuine, but has the"),
        (
            ["ann/1.jpg,bob/1.png,0,a,a"],
            "line 2: the pair is labeled an impostor pair, but has the",
        ),
    ],
)
def test_wrong_identities(folder, lines, message):
    with pytest.raises(InputError, match=rf"pairs\.csv, {message}"):
        load_pair_set(write(folder, HEADER + IDENTITIES, *lines))


def test_one_column_of_identities_alone(folder):
    with pytest.raises(InputError, match="line 1: has the column second_identity alone: expected"):
        load_pair_set(write(folder, HEADER + ",identity2", "ann/1.jpg,ann/2.jpg,1,ann"))


def test_folds_of_unequal_size(folder):
    lines = [f"{line},{fold}" for line, fold in zip(LINES * 2, "0001", strict=True)]
    with pytest.raises(InputError, match="its folds have 1 to 3 pairs; sizes may differ by one"):
        load_pair_set(write(folder, HEADER + ",fold", *lines))


def test_kinds_that_follow_each_other_are_spread(folder):
    path = write(folder, HEADER, *[LINES[0]] * 30, *[LINES[1]] * 60)
    for fold in np.array_split(load_pair_set(path).is_genuine, 10):
        assert np.count_nonzero(fold) == 3
    # A list whose folds hold both kinds stays as it is.
    kinds = ([True] * 3 + [False] * 6) * 10
    path = write(folder, HEADER, *(LINES[0] if kind else LINES[1] for kind in kinds))
    assert load_pair_set(path).is_genuine.tolist() == kinds


def test_where_images_are(folder):
    path = write(folder, HEADER, *LINES)
    (folder / "images").rename(folder / "elsewhere")
    with pytest.raises(InputError, match=r"3 of 3 images are missing under .*first is ann/1\.jpg"):
        load_pair_set(path)
    elsewhere = images_of(load_pair_set(path, images_dir=folder / "elsewhere"))
    with pytest.raises(InputError, match=r"no folder of images at .*gone; set it with --image"):
        load_pair_set(path, images_dir=folder / "gone")
    # Beside the list, in `images`, and in the list's own folder, which comes before that.
    for name in ("ann", "bob"):
        (folder / "elsewhere" / name).rename(folder / name)
    assert images_of(load_pair_set(path)) == elsewhere
    (folder / "images").mkdir()
    with pytest.raises(InputError, match="3 of 3 images are missing"):
        load_pair_set(path)
    (folder / "pairs_images").mkdir()
    for name in ("ann", "bob"):
        (folder / name).rename(folder / "pairs_images" / name)
    assert images_of(load_pair_set(path)) == elsewhere


def test_missing_images_are_counted(folder):
    (folder / "images/ann/2.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 3 images are missing .* the first is ann/2\.jpg"):
        load_pair_set(write(folder, HEADER, *LINES))


def test_an_image_that_goes_away(folder):
    pair_set = load_pair_set(write(folder, HEADER, *LINES))
    (folder / "images/ann/2.jpg").unlink()
    with pytest.raises(InputError, match=r"ann/2\.jpg: can't be read: No such file"):
        pair_set.images[1]


@pytest.mark.parametrize("image", ["../secret.jpg", "ann/../../secret.jpg", "/secret.jpg", ".", ""])
def test_images_elsewhere_are_refused(folder, image):
    (folder / "secret.jpg").write_bytes(b"secret")
    path = write(folder, HEADER, LINES[0], f"ann/1.jpg,{image.replace('/s', f'{folder}/s')},0")
    with pytest.raises(InputError, match=r"pairs\.csv, line 3: '.*' is not below the folder"):
        load_pair_set(path)


def test_whole_paths_below_the_folder_are_fine(folder, monkeypatch):
    monkeypatch.chdir(folder)
    path = write(folder, HEADER, LINES[0], f"{folder}/images/ann/1.jpg,bob/../bob/1.png,0")
    assert images_of(load_pair_set(path.name))[1] == ("ann/1.jpg", "bob/1.png")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"line 1: none of its columns \(\) is known as 'first': call one first, file_x"),
        ([HEADER], "lists no pairs"),
        (["first,second"], "'is_genuine': call one is_genuine, .* or match"),
        (["first|second|same", "a|b|1"], "is known as 'first'"),
        (["a,b,c"], r"none of its columns \(a, b, c\) is known as 'first'"),
        (["first,second,same,label"], "line 1: same and label both mean 'is_genuine'"),
        ([HEADER, "ann/1.jpg,ann/2.jpg"], "line 2: 2 values, but the first line names 3"),
        ([HEADER, LINES[0], "", "a,b,maybe"], "line 4: expected 1, true or yes .*; got 'maybe'"),
        ([HEADER, "a,b,"], "line 2: expected 1, true or yes .*; got ''"),
        ([HEADER, "a,b,2"], "line 2: expected 1, true or yes"),
        ([HEADER + ",fold", LINES[0] + ",x"], "line 2: expected the number of a fold; got 'x'"),
        ([HEADER + ",fold", LINES[0] + ","], "line 2: expected the number of a fold; got ''"),
        ([HEADER, '"ann'], "line 2: not CSV: unexpected end of data"),
        ([HEADER, "a\0,b,1"], r"line 2: 'a\?' is not below the folder"),
        ([HEADER, "a" * 200_000 + ",b,1"], "line 2: not CSV: field larger than"),
    ],
)
def test_wrong_lists(folder, lines, message):
    with pytest.raises(InputError, match=message):
        load_pair_set(write(folder, *lines))


@pytest.mark.parametrize("again", ["ann/1.jpg,ann/2.jpg,0", "bob/../ann/2.jpg,ann/1.jpg,no"])
def test_two_images_with_contradicting_labels(folder, again):
    message = r"csv, lines 2 and 5: .* are labeled genuine and impostors: correct or remove one"
    with pytest.raises(InputError, match=message) as caught:
        load_pair_set(write(folder, HEADER, *LINES, "", again, LINES[0]))
    assert "\n" not in str(caught.value)
    # The lines of the list, in whatever order its folds are.
    lines = [f"{LINES[0]},1", f"{LINES[1]},1", f"{again},0", "bob/1.png,bob/2.png,1,0"]
    message = r"lines 2 and 4: .* are labeled genuine and impostors"
    with pytest.raises(InputError, match=message):
        load_pair_set(write(folder, HEADER + ",fold", *lines))


def test_the_same_line_twice_is_no_contradiction(folder, capsys):
    assert len(load_pair_set(write(folder, HEADER, *LINES, *LINES)).first) == 4
    assert "of its 4 pairs 2 repeat another pair; all are" in capsys.readouterr().err


def test_no_file(folder):
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        load_pair_set(folder / "gone.csv")
    (folder / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv: not a verification set; one is"):
        load_pair_set(folder / "folder.csv")


def test_other_lists_are_told_apart(folder):
    assert holds_pairs(write(folder, HEADER))
    assert not holds_pairs(write(folder, "path,identity", "ann/1.jpg,ann"))
    assert not holds_pairs(write(folder, "first,second"))


def test_names_that_are_not_utf8(folder):
    name = b"caf\xe9.jpg".decode(errors="surrogateescape")
    (folder / "images" / name).write_bytes(b"there")
    (folder / "pairs.csv").write_bytes(b"first,second,same\ncaf\xe9.jpg,ann/1.jpg,no\n")
    assert load_pair_set(folder / "pairs.csv").images[0] == b"there"


def test_published_list(test_data, tmp_path):
    import tarfile

    with tarfile.open(test_data / "data" / "deepface_pairs.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    pair_set = load_pair_set(tmp_path / "deepface_pairs" / "master.csv")
    assert len(pair_set.first) == 300
    assert np.count_nonzero(pair_set.is_genuine) == 38
    assert all(np.count_nonzero(fold) >= 3 for fold in np.array_split(pair_set.is_genuine, 10))
