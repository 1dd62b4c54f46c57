"""The names that images get in a folder with one sub-folder per identity."""

import numpy as np

from tests.data.small_faces import encoded, write_folder
from tfface.data.derived.class_folders import class_folders, image_stems
from tfface.data.records.manifest import Identity
from tfface.data.sources.folder import FolderSource


class Named:
    """Of a source, what the names depend on."""

    def __init__(self, identities, filenames, labels):
        self.identities = [Identity(name, "made") for name in identities]
        self.labels = np.array(labels)
        self.filename = filenames.__getitem__
        self.num_images = len(filenames)


def test_a_folder_keeps_its_names(tmp_path):
    root = write_folder(tmp_path / "faces", {"ann": 2, "bob": 1})
    (root / "bob" / "old").mkdir()
    (root / "bob" / "old" / "x.y.png").write_bytes(encoded(1, format="PNG"))
    stems = image_stems(FolderSource(root))
    assert stems == ["ann/0", "ann/1", "bob/0", "bob/old/x.y"]


def test_names_never_clash():
    source = Named(["a", "b"], ["a/1.jpg", "a/1.png", "x/a/1.jpg", "1.jpg", "a/1_2.jpg"], [0] * 5)
    stems = image_stems(source)
    assert stems == ["a/1", "a/1_2", "a/1_3", "a/1_4", "a/1_2_2"]


def test_names_stay_in_their_folder():
    source = Named(["../up", ".x", "a/b"], ["../../1.jpg", "/etc/2.jpg", "a/b/.3.jpg"], [0, 1, 2])
    assert image_stems(source) == ["_" + "_up/1", "_x/2", "a_b/_3"]


def test_people_of_one_name_stay_apart():
    people = [Identity("ann", "x"), Identity("bob", "x"), Identity("ann", "y")]
    assert class_folders(people) == ["x_ann", "bob", "y_ann"]
    people = [Identity("a/b", "x"), Identity("a_b", "x"), Identity("a:b", "x")]
    assert class_folders(people)[:2] == ["a_b", "a_b_2"]
    people = [Identity("ann", "x"), Identity("ann", "y"), Identity("x_ann", "z")]
    assert class_folders(people) == ["x_ann", "y_ann", "x_ann_2"]
    assert class_folders([Identity("ann", "x")] * 3) == ["x_ann", "x_ann_2", "x_ann_3"]


def test_records_that_say_little_of_where_they_came_from():
    source = Named(["0"], ["", "0", "0/1.jpg"], [0] * 3)
    assert image_stems(source) == ["0/00000000", "0/0", "0/1"]
