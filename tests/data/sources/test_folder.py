"""What counts as an identity and an image, and what is refused."""

import os

import pytest

from tests.data.small_faces import encoded, write_folder
from tfface.data.records import attribute_values
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


def test_images_without_an_identity(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "a.PNG").write_bytes(b"")
    with pytest.raises(InputError, match=r"lie directly in it \(for example a\.PNG; 2 in all\)"):
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


def test_images_of_another_format(tmp_path):
    write_folder(tmp_path, {"ann": 1})
    (tmp_path / "ann/2.webp").write_bytes(b"")
    with pytest.raises(InputError, match=r"ann/2\.webp: webp images can't be read: convert it"):
        FolderSource(tmp_path)


def test_no_identities(tmp_path):
    with pytest.raises(InputError, match="has no sub-folders; one folder per identity"):
        FolderSource(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        FolderSource(tmp_path / "nowhere")


def test_a_changed_image_changes_the_fingerprint(tmp_path):
    write_folder(tmp_path, {"ann": 2})
    before = FolderSource(tmp_path).fingerprint
    assert FolderSource(tmp_path).fingerprint == before
    os.utime(tmp_path / "ann/0.jpg", ns=(1, 1))
    assert FolderSource(tmp_path).fingerprint != before
