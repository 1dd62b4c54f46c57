"""What counts as an identity and an image, and what is refused."""

import os
import re

import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tfface.data.records.example import attribute_values
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError


def test_names_and_depths(tmp_path):
    for file in (
        *("10/a.jpg", "9/b.JPG", "José María/deep/er/1.png", "José María/0.bmp", "z z/.hidden.jpg"),
        *("z z/c.jpeg", "z z/notes.txt", ".cache/d.jpg", "README.md", "z z/.git/e.jpg"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    source = FolderSource(tmp_path)
    assert [identity.name for identity in source.identities] == ["10", "9", "José María", "z z"]
    assert {identity.source for identity in source.identities} == {tmp_path.name}
    assert source.labels.tolist() == [0, 1, 2, 2, 3]
    assert [source.filename(i) for i in range(5)] == [
        *("10/a.jpg", "9/b.JPG", "José María/0.bmp", "José María/deep/er/1.png", "z z/c.jpeg")
    ]


def test_sub_folders_are_an_attribute(tmp_path):
    for file in ("me/0.jpg", "others/bob/1.jpg", "others/ann/deep/2.jpg", "others/ann/3.jpg"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(encoded(1))
    source = FolderSource(tmp_path)
    assert source.attribute_names == ("subfolder",)
    assert source.attribute("subfolder").tolist() == ["", "ann", "ann", "bob"]
    assert attribute_values(source.read(3)) == {"subfolder": "bob"}
    (tmp_path / "flat/me").mkdir(parents=True)
    (tmp_path / "flat/me/0.jpg").write_bytes(encoded(1))
    assert FolderSource(tmp_path / "flat").attribute_names == ()


def test_names_that_are_not_unicode(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_folder(tmp_path, {name: 1})
    source = FolderSource(tmp_path)
    assert source.identities[0].name == name
    (_, read), *_ = source.encoded([0]).as_numpy_iterator()
    assert read == source.read(0).encoded == encoded(0)


def test_links_are_followed(tmp_path):
    write_folder(tmp_path / "real", {"ann": 2})
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/bob").symlink_to(tmp_path / "real/ann")
    source = FolderSource(tmp_path / "faces", name="linked")
    assert source.identities == [("bob", "linked")]
    assert source.num_images == 2
    (tmp_path / "real/ann/loop").symlink_to(tmp_path / "real/ann")
    with pytest.raises(InputError, match="bob/loop: a link to a folder that it lies in"):
        FolderSource(tmp_path / "faces")


def test_a_link_that_leads_nowhere(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "ann/x.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match=r"ann/x\.jpg: a link that leads nowhere"):
        FolderSource(tmp_path)


@pytest.mark.parametrize("link", ["zoe", "ann/more"])
def test_a_folder_that_is_a_link_that_leads_nowhere(tmp_path, link):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / link).symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=rf"{link}: a link that leads nowhere"):
        FolderSource(tmp_path)


def test_a_link_to_itself(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "ann/loop").symlink_to("loop")
    with pytest.raises(InputError, match="ann/loop: can't be read: Too many levels of symbolic"):
        FolderSource(tmp_path)


def test_a_pipe_is_no_image(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    os.mkfifo(tmp_path / "ann/pipe.jpg")
    with pytest.raises(InputError, match=r"ann/pipe\.jpg: no regular file"):
        FolderSource(tmp_path)


def test_images_without_an_identity(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "a.PNG").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"contains images directly \(for example a\.PNG; 2 in all\)"
    ):
        FolderSource(tmp_path)


def test_a_contact_sheet_is_no_image_of_anybody(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "contact_sheet.png").write_bytes(encoded(0, format="PNG"))
    assert FolderSource(tmp_path).num_images == 1
    (tmp_path / "ann/contact_sheet.png").write_bytes(encoded(0, format="PNG"))
    assert FolderSource(tmp_path).num_images == 1


def test_an_identity_without_images(tmp_path):
    write_folder(tmp_path, {"ann": 1, "bob": 0})
    with pytest.raises(InputError, match="bob: an identity without any image"):
        FolderSource(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpe", "a.jfif", "a.JFIF", "a.webp", "a.jpg_large", "a.jpg?w=200", "a.jpg ", "a"),
        *("Dr. X at home. Left", "a.JPG.1", "a.tmp"),
    ],
)
def test_an_image_is_one_whatever_its_name(tmp_path, name):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "ann" / name).write_bytes(encoded(1))
    source = FolderSource(tmp_path)
    assert sorted(source.filename(i) for i in range(source.num_images)) == sorted(
        ["ann/0.jpg", f"ann/{name}"]
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("2.CR2", b"", "cr2 images can't be read: convert it to PNG or JPEG, or remove it"),
        ("2.jxl", b"", "jxl images can't be read: convert it"),
        ("2.heic", b"", "HEIC images can't be read: install pillow-heif"),
        ("2", b"\0\0\0\x18ftypheic", "HEIC images can't be read: install pillow-heif"),
        ("2.part", b"8BPS\0\1", "Photoshop images can't be read: convert it"),
    ],
)
def test_images_that_are_not_read(tmp_path, name, content, message):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "ann" / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"ann/{name}: {message}")):
        FolderSource(tmp_path)


def test_files_that_are_no_images_are_counted(tmp_path, capsys):
    write_folder(tmp_path, {"ann": 1, "bob": 1})
    assert FolderSource(tmp_path).num_images == 2
    assert not capsys.readouterr().err
    for name in ("ann/a.mat", "ann/b.mat", "bob/notes", "bob/deep/c.mat", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    os.mkfifo(tmp_path / "ann/pipe")
    assert FolderSource(tmp_path).num_images == 2
    assert capsys.readouterr().err == (
        f"warning: {tmp_path}: 5 files in people's folders are not images and are ignored: "
        "3 .mat, 2 no ending (for example ann/a.mat)\n"
    )


def test_folders_and_files_of_systems_are_nobody(tmp_path, capsys):
    write_folder(tmp_path, {"ann": 1, "@eaDir": 2, "$RECYCLE.BIN": 1, "ann/@eaDir": 1})
    (tmp_path / "ann/Thumbs.db").write_bytes(b"thumbs")
    (tmp_path / "__MACOSX").mkdir()
    source = FolderSource(tmp_path)
    assert [identity.name for identity in source.identities] == ["ann"]
    assert source.num_images == 1
    assert not capsys.readouterr().err


COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"


def test_one_person_by_any_spelling_of_the_name(tmp_path):
    write_folder(tmp_path, {COMPOSED: 2, DECOMPOSED: 1, "ann": 1, "ann ": 2})
    source = FolderSource(tmp_path)
    assert source.identities == [(COMPOSED, tmp_path.name), ("ann", tmp_path.name)]
    assert np.bincount(source.labels).tolist() == [3, 3]
    images = [image for _, image in source.encoded(np.arange(6)).as_numpy_iterator()]
    assert len(set(images)) == 6


@pytest.mark.parametrize("name", ["  ", "ann\nbob", "a\x1b[31mb"])
def test_names_that_are_none(tmp_path, name):
    write_folder(tmp_path, {"ann": 1, name: 1})
    with pytest.raises(InputError, match=r"is no name: it (is empty|holds control characters)"):
        FolderSource(tmp_path)


def test_names_that_differ_in_case_alone(tmp_path, capsys):
    write_folder(tmp_path, {"Ann": 1, "ann": 1, "bob": 1})
    assert FolderSource(tmp_path).num_identities == 3
    assert capsys.readouterr().err == (
        f"warning: {tmp_path}: names that differ in upper and lower case alone count as several "
        "people: Ann and ann\n"
    )


@pytest.mark.parametrize(
    ("folders", "meant"),
    [
        ({"photos/ann": 1, "photos/bob": 1, "faces/ann": 1, "faces/bob": 1}, "faces"),
        ({"seg_train/seg_train/sea": 1, "seg_train/seg_train/ice": 1}, "seg_train/seg_train"),
        ({"seg_train/sea": 1, "seg_train/ice": 1}, "seg_train"),
        ({"train/ann": 1, "train/bob": 1, "valid/ann": 1, "test/bob": 1}, "train"),
        ({"lfw/ann": 1, "lfw/bob": 1}, "lfw"),
        ({"lfw-train/x/ann": 1, "lfw-train/x/bob": 1, "lfw-test/x/al": 1}, "lfw-train/x"),
        # Doubled, given at every height.
        ({"lfw/lfw/ann": 1, "lfw/lfw/bob": 1}, "lfw/lfw"),
        ({"x/lfw/ann": 1, "x/lfw/bob": 1}, "x/lfw"),
        ({"lfw/lfw/ann": 1}, "lfw/lfw"),
        # With images of nobody beside the people, or without people in a part.
        ({"train": 1, "train/ann": 1, "train/bob": 1, "test/ann": 1}, "train"),
        ({"train": 2, "train/ann": 1, "train/bob": 1, "train/al": 1}, "train"),
        ({"train/ann": 1, "train/bob": 1, "test": 3}, "train"),
        ({"fold1/ann": 1, "fold1/bob": 1, "fold2/ann": 1, "fold2/al": 1}, "fold1"),
        ({"split_0/ann": 1, "split_0/bob": 1, "split_1/al": 1, "split_1/eve": 1}, "split_0"),
    ],
)
def test_one_level_too_high(tmp_path, folders, meant):
    write_folder(tmp_path, folders)
    message = f"is probably one level too high: give .*{re.escape(str(tmp_path / meant))}$"
    with pytest.raises(InputError, match=message):
        FolderSource(tmp_path)
    for stray in (tmp_path / meant).glob("*.jpg"):
        stray.unlink()
    assert FolderSource(tmp_path / meant).num_identities == len(list((tmp_path / meant).iterdir()))


def test_a_doubled_folder_by_its_own_name(tmp_path):
    write_folder(tmp_path / "lfw", {"lfw/ann": 1})
    with pytest.raises(InputError, match=rf"give {re.escape(str(tmp_path / 'lfw/lfw'))}$"):
        FolderSource(tmp_path / "lfw")
    assert FolderSource(tmp_path / "lfw/lfw").num_identities == 1


@pytest.mark.parametrize("file", [".alignment.jsonl", ".made.jsonl", "dataset.json"])
def test_a_folder_that_a_tool_wrote_is_no_person(tmp_path, file):
    write_folder(tmp_path, {"ann": 1, "aligned people/ann": 1})
    (tmp_path / "aligned people/contact_sheet.png").write_bytes(encoded(0, format="PNG"))
    assert FolderSource(tmp_path).num_identities == 2
    (tmp_path / "aligned people" / file).write_bytes(b"")
    with pytest.raises(
        InputError, match=r"contains folders of people, not images of one person: .*aligned people$"
    ):
        FolderSource(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        # People, or years, below classes and people; people who are called like parts.
        {"happy/ann": 1, "happy/bob": 1, "sad/ann": 1},
        {"ann/2020": 1, "ann/2021": 1, "bob/2020": 1},
        {"Photos Test": 1, "Train": 1},
        {"train/ann": 1, "ann": 1},
        {"ann/2020": 1},
        {"ann/ann": 1},
        {"test": 2, "train": 2, "test/2020": 1},
        {"fold": 1, "ann/2020": 1},
        {"test": 1, "test/a": 1, "test/b": 1, "ann": 1},
        # Classes, of people.
        {"staff/ann": 1, "staff/bob": 1, "guests/eve": 1},
    ],
)
def test_sub_folders_of_people_stay_what_they_are(tmp_path, folders):
    write_folder(tmp_path, folders)
    assert FolderSource(tmp_path).num_images == sum(folders.values())


def test_no_identities(tmp_path):
    with pytest.raises(InputError, match="is empty; one folder per identity"):
        FolderSource(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        FolderSource(tmp_path / "nowhere")


def test_a_changed_image_changes_the_fingerprint(tmp_path):
    write_folder(tmp_path, {"ann": 2})
    before = FolderSource(tmp_path).fingerprint
    assert FolderSource(tmp_path).fingerprint == before
    os.utime(tmp_path / "ann/0.jpg", ns=(1, 1))
    assert FolderSource(tmp_path).fingerprint != before
