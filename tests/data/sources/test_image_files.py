"""Warnings about files that links make images of two people or of two sources."""

import json
import os
import shutil

import numpy as np
import pytest

from tests.data.recordio_writer import insightface_records, write
from tests.data.small_faces import encoded, write_folder
from tfface.data.records import manifest
from tfface.data.records.conversion import convert
from tfface.data.records.conversion_plan import Pool
from tfface.data.sources.csv_list import CsvSource
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.split import open_split
from tfface.data.sources.union import UnionSource
from tfface.errors import InputError


@pytest.fixture
def people(tmp_path):
    return write_folder(tmp_path / "people", {"ann": 3, "bob": 2, "cleo": 1})


def warnings(notes: list[str]) -> list[str]:
    return [note for note in notes if "warning: " in note]


def test_of_two_people(people):
    assert FolderSource(people).notes == []
    (people / "bob/2.jpg").symlink_to("../ann/0.jpg")
    os.link(people / "ann/1.jpg", people / "bob/3.jpg")
    os.link(people / "ann/1.jpg", people / "cleo/1.jpg")
    assert FolderSource(people).notes == [
        "warning: 2 files are of several people at once, by links: for example ann/0.jpg of ann is "
        "also bob/2.jpg of bob"
    ]


def test_a_person_who_is_a_link(people):
    (people / "zoe").symlink_to("cleo")
    source = FolderSource(people)
    assert warnings(source.notes) == [
        "warning: 1 file is of several people at once, by links: for example cleo/0.jpg of cleo is "
        "also zoe/0.jpg of zoe"
    ]
    part = open_split(of={"source": "folder", "path": str(people)}, shots=1)
    assert part.notes == source.notes


def test_links_of_one_person_are_their_own_affair(people):
    os.link(people / "ann/1.jpg", people / "ann/3.jpg")
    (people / "ann/4.jpg").symlink_to("1.jpg")
    assert FolderSource(people).notes == []


def test_of_lines_of_a_table(people):
    (people / "link.jpg").symlink_to("ann/0.jpg")
    table = people / "table.csv"
    table.write_text("path,identity\nann/0.jpg,ann\nlink.jpg,bob\nbob/0.jpg,bob\n")
    assert warnings(CsvSource(table).notes) == [
        "warning: 1 file is of several people at once, by links: for example ann/0.jpg of ann is "
        "also link.jpg of bob"
    ]


@pytest.fixture
def linked(people, tmp_path):
    """A folder of which two files lie in `people`, too, and one is of somebody else there."""
    other = write_folder(tmp_path / "other", {"ann": 1, "dora": 1})
    os.link(people / "ann/2.jpg", other / "ann/9.jpg")
    (other / "dora/9.jpg").symlink_to(people / "bob/0.jpg")
    return other


SAID = (
    "warning: 2 files are in several sources, by links: for example people/ann/2.jpg is also "
    "other/ann/9.jpg"
)


def test_of_two_members(people, linked, tmp_path):
    path_of_more = write_folder(tmp_path / "more", {"ann": 1})
    of = [{"source": "folder", "path": str(path)} for path in (people, linked)]
    assert warnings(UnionSource(of).notes) == [SAID]
    inner = {"source": "union", "of": [of[0], {"source": "folder", "path": str(path_of_more)}]}
    [said] = warnings(UnionSource([inner, of[1]]).notes)
    assert said == SAID.replace("people/", "people+more/people/")


def test_of_two_sources_of_a_conversion(people, linked, tmp_path):
    assert warnings(Pool([str(people), str(linked)]).notes) == [SAID]
    drawn = "drawn={source: synthetic, num_identities: 2, images_per_identity: 1, size: 32}"
    assert warnings(Pool([str(people), drawn]).notes) == []


def test_record_files_are_known_behind_links(tmp_path):
    write(tmp_path / "a.rec", insightface_records([[encoded(0), encoded(1)]]))
    os.link(tmp_path / "a.rec", tmp_path / "b.rec")
    os.link(tmp_path / "a.idx", tmp_path / "b.idx")
    of = [{"source": "recordio", "path": str(tmp_path / name)} for name in ("a.rec", "b.rec")]
    with pytest.raises(InputError, match="share images: give each image in one source only"):
        UnionSource(of)
    with pytest.raises(InputError, match=r"a\.rec: is or lies in another source, .*b\.rec"):
        Pool([f"a={tmp_path / 'a.rec'}", f"b={tmp_path / 'b.rec'}"])


def test_copies_are_found_where_a_conversion_reads_them(people, tmp_path):
    (people / "bob/copy.jpg").write_bytes((people / "ann/0.jpg").read_bytes())
    (people / "ann/copy.jpg").write_bytes((people / "ann/1.jpg").read_bytes())
    done = convert([str(people)], tmp_path / "out", num_shards=3, size=(8, 8))
    of_others, of_same = warnings(done.notes)
    assert of_others.startswith(
        "warning: 1 image is also there as that of somebody else, byte for byte: for example "
    )
    for name in ("people/bob/copy.jpg of bob", "people/ann/0.jpg of ann", "tfface inspect"):
        assert name in of_others
    assert of_same.startswith("warning: 1 image is also there as that of the same person, byte")
    for name in ("people/ann/copy.jpg of ann", "people/ann/1.jpg of ann"):
        assert name in of_same


def test_copies_are_found_though_a_conversion_was_stopped(people, tmp_path, monkeypatch):
    (people / "bob/copy.jpg").write_bytes((people / "ann/0.jpg").read_bytes())
    whole = convert([str(people)], tmp_path / "whole", num_shards=3, num_workers=1)
    assert len(warnings(whole.notes)) == 1
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            convert([str(people)], tmp_path / "out", num_shards=3, num_workers=1)
    # A note as earlier versions wrote it says nothing of its images.
    shutil.copytree(tmp_path / "out", tmp_path / "old")
    for note in (tmp_path / "old").glob(".data-*.json"):
        content = json.loads(note.read_text())
        assert len(content.pop("digests")) == 32 * content["shard"]["records"]
        note.write_text(json.dumps(content))
    assert convert([str(people)], tmp_path / "out", num_shards=3).notes == whole.notes
    assert convert([str(people)], tmp_path / "old", num_shards=3).notes == []


def test_what_has_no_files_of_its_own_is_no_link():
    drawn = {"source": "synthetic", "num_identities": 2, "images_per_identity": 1, "size": 32}
    union = UnionSource([drawn, drawn | {"seed": 1}])
    assert (union.origins(np.arange(1))[0][0].file_ids(np.arange(1)) == -1).all()
    assert warnings(union.notes) == []
