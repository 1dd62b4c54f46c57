"""A gallery on disk: what is put in is found, and no accident damages it."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.evaluation.people import face, read_people, write_people
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import RawPixelEmbedder
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.identification import embed_faces
from tfface.evaluation.labeled_faces import faces_of_person
from tfface.gallery import gallery as galleries
from tfface.gallery.changes import remove_from_gallery
from tfface.gallery.gallery import (
    add_to_gallery,
    build_gallery,
    check_model,
    find_names,
)
from tfface.gallery.storage import KINDS, changing_gallery, new_gallery, read_gallery, write_gallery


@pytest.fixture
def people(tmp_path):
    return read_people(write_people(tmp_path / "people", {n: range(3) for n in range(6)}))


@pytest.fixture
def folder(people, tmp_path):
    build_gallery(RawPixelEmbedder(), people, tmp_path / "gallery")
    return tmp_path / "gallery"


def ask(folder, *numbers, count=1):
    """The names of pictures that aren't in the gallery."""
    faces = faces_of_person("?", [face(n, 99) for n in numbers], [f"{n}.png" for n in numbers])
    return find_names(read_gallery(folder), embed_faces(RawPixelEmbedder(), faces), count=count)


@pytest.mark.parametrize("kind", KINDS)
def test_build_add_remove_query(people, tmp_path, kind):
    folder = tmp_path / "new" / "gallery"
    built = build_gallery(RawPixelEmbedder(), people, folder, kind=kind)
    assert (built.num_changed, built.num_images, built.num_names) == (18, 18, 6)
    assert read_gallery(folder).index.kind == kind
    [[first, second], [other, _]] = ask(folder, 4, 1, count=2)
    assert (first.name, other.name) == ("person04", "person01")
    assert first.image.startswith("person04/")
    assert 1 > first.cosine > second.cosine
    assert second.name != first.name

    more = read_people(write_people(tmp_path / "more", {7: range(2), 4: range(3, 5)}))
    added = add_to_gallery(RawPixelEmbedder(), more, folder)
    assert (added.num_changed, added.num_images, added.num_names) == (4, 22, 7)
    assert ask(folder, 7)[0][0].name == "person07"

    removed = remove_from_gallery(["person07", "person01"], folder)
    assert (removed.num_changed, removed.num_images, removed.num_names) == (5, 17, 5)
    gallery = read_gallery(folder)
    assert {row.name for row in gallery.faces} == {f"person0{n}" for n in (0, 2, 3, 4, 5)}
    assert ask(folder, 7)[0][0].name != "person07"
    assert ask(folder, 4)[0][0].name == "person04"
    # Vectors still belong to their faces.
    stay = people.take(np.flatnonzero(~np.isin(people.labels, [1])))
    np.testing.assert_array_equal(
        gallery.index.embeddings()[:15], embed_faces(RawPixelEmbedder(), stay)
    )
    assert sorted(os.listdir(folder)) == [
        *("faces-000003.csv", "gallery.json", "index-000003.faiss")
    ]


def test_all_that_is_asked_for_is_found(folder):
    [nearest] = ask(folder, 2, count=9)
    assert sorted(candidate.name for candidate in nearest) == [f"person0{n}" for n in range(6)]
    cosines = [candidate.cosine for candidate in nearest]
    assert cosines == sorted(cosines, reverse=True)


def test_answers():
    found = [
        [galleries.Candidate("ann", 0.6, "a.jpg")],
        [galleries.Candidate("bob", 0.4, "b.jpg")],
        [],
    ]
    images = ["1.jpg", "2.jpg", "3.jpg"]
    assert [one["name"] for one in galleries.query_results(images, found, 0.5)] == [
        "ann",
        None,
        None,
    ]
    assert [one["name"] for one in galleries.query_results(images, found, None)] == [
        "ann",
        "bob",
        None,
    ]
    assert galleries.query_results(images, found, 0.6)[0] == {
        "image": "1.jpg",
        "name": "ann",
        "candidates": [{"name": "ann", "cosine": 0.6, "image": "a.jpg"}],
    }


def test_images_that_are_there_already_are_left_out(folder, people, tmp_path):
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    again = add_to_gallery(RawPixelEmbedder(), people, folder)
    assert (again.num_changed, again.num_known, again.conflicts) == (0, 18, [])
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before

    twice = faces_of_person(
        "zed", [face(9, 0), face(9, 0), face(2, 1)], ["a.png", "b.png", "c.png"]
    )
    added = add_to_gallery(RawPixelEmbedder(), twice, folder)
    assert (added.num_changed, added.num_known, added.num_images) == (1, 1, 19)
    assert added.conflicts == [("c.png", "zed", "person02/1.png", "person02")]


def test_one_name_in_two_spellings_is_one_person(folder):
    for name, image in (("Jose\u0301", face(20, 0)), ("José ", face(20, 1))):
        change = add_to_gallery(
            RawPixelEmbedder(), faces_of_person(name, [image], ["1.png"]), folder
        )
    assert change.num_names == 7
    assert {row.name for row in read_gallery(folder).faces} >= {"José"}
    assert remove_from_gallery(["Jose\u0301"], folder).num_changed == 2


def test_names_that_differ_by_case_alone_are_told(folder):
    for number, (name, alike) in enumerate(
        [("Ann", []), ("ANN", [("ANN", "Ann")]), ("Ann", []), ("bob", [])]
    ):
        faces = faces_of_person(name, [face(20, number)], [f"{number}.png"])
        assert add_to_gallery(RawPixelEmbedder(), faces, folder).case_variants == alike


def test_names_that_spreadsheets_would_run_come_back(folder):
    names = ["=1+1", "'=1+1", "-Ann", "@bob", "+49", "'s-Gravenhage"]
    for number, name in enumerate(names):
        faces = faces_of_person(name, [face(20, number)], [f"={number}.png"])
        add_to_gallery(RawPixelEmbedder(), faces, folder)
    assert [row.name for row in read_gallery(folder).faces[18:]] == names
    assert read_gallery(folder).faces[18].image == "=0.png"
    (table,) = folder.glob("faces-*.csv")
    for line in table.read_text().splitlines()[19:]:
        assert line[0] not in "=+-@"


@pytest.mark.parametrize("name", ["", " \t", "a\nb", "a\x1b[2Jb"])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="is no name: it"):
        faces_of_person(name, [face(20, 0)], ["1.png"])


def test_an_emptied_gallery_can_be_filled(folder, people):
    emptied = remove_from_gallery([f"person0{n}" for n in range(6)], folder)
    assert (emptied.num_changed, emptied.num_images) == (18, 0)
    with pytest.raises(InputError, match="the gallery is empty"):
        ask(folder, 1)
    add_to_gallery(RawPixelEmbedder(), people, folder)
    assert ask(folder, 1)[0][0].name == "person01"


def test_other_models_are_refused(folder, people):
    gallery = read_gallery(folder)
    check_model(RawPixelEmbedder(), gallery, folder)
    with pytest.raises(InputError, match=r"was built by a model called 'pixels', too, but .*flip"):
        check_model(RawPixelEmbedder(flip=False), gallery, folder)
    other = RawPixelEmbedder(flip=False)
    other.name = "mobilefacenet"
    with pytest.raises(
        InputError, match="of the model 'pixels', and those of 'mobilefacenet' can't be compared"
    ):
        add_to_gallery(other, people, folder)


@pytest.mark.faults
def test_writers_killed_at_every_line_lose_nothing(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tests.evaluation.kill_writers", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 100


def test_a_writer_that_fails_loses_nothing(folder, people, tmp_path, monkeypatch):
    more = read_people(write_people(tmp_path / "more", {7: range(2)}))
    before = read_gallery(folder).faces

    def full(self, path):
        path.with_name(".tfface-0a_b1c2d.partial.faiss").write_bytes(b"half")
        raise InputError(f"{path}: can't be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(FaceIndex, "write", full)
        with pytest.raises(InputError, match="No space left on device"):
            add_to_gallery(RawPixelEmbedder(), more, folder)
    assert read_gallery(folder).faces == before
    add_to_gallery(RawPixelEmbedder(), more, folder)
    assert len(os.listdir(folder)) == 3


def test_two_writers_at_once(folder, people, tmp_path):
    with changing_gallery(folder):
        with pytest.raises(InputError, match="another process is writing it"):
            remove_from_gallery(["person01"], folder)
        # Readers needn't wait.
        assert ask(folder, 1)[0][0].name == "person01"
    with new_gallery(tmp_path / "other"), pytest.raises(InputError, match="another process"):
        build_gallery(RawPixelEmbedder(), people, tmp_path / "other")


def test_readers_and_a_writer(folder, people):
    """Whoever reads while generations change gets one or the other, never an error."""
    done = threading.Event()

    def change():
        for _ in range(6):
            remove_from_gallery(["person01"], folder)
            add_to_gallery(RawPixelEmbedder(), people, folder)
        done.set()

    writer = threading.Thread(target=change)
    writer.start()
    sizes = set()
    while not done.is_set():
        sizes.add(len(read_gallery(folder).faces))
    writer.join()
    assert sizes <= {15, 18}


def test_where_a_gallery_can_not_be_built(folder, people, tmp_path):
    with pytest.raises(InputError, match="contains a gallery already: add to it"):
        build_gallery(RawPixelEmbedder(), people, folder)
    assert len(read_gallery(folder).faces) == 18
    with pytest.raises(InputError, match="contains other files; give a new folder"):
        build_gallery(RawPixelEmbedder(), people, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; give a folder"):
        build_gallery(RawPixelEmbedder(), people, tmp_path / "file")
    bad = faces_of_person("ann", [b"no image"], ["ann.jpg"])
    with pytest.raises(InputError, match=r"ann\.jpg: not an image"):
        build_gallery(RawPixelEmbedder(), bad, tmp_path / "never")
    assert not (tmp_path / "never").exists()


FOREIGN = ("index-2024010112.faiss", "faces-20240101.csv", ".gallery.json-x.partial")


def test_files_of_others_are_never_deleted(folder, people, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in FOREIGN:
        (other / name).write_text("mine")
    with pytest.raises(InputError, match="contains other files; give a new folder"):
        build_gallery(RawPixelEmbedder(), people, other)
    assert sorted(os.listdir(other)) == sorted(FOREIGN)

    for name in (*FOREIGN, "index-999999.faiss"):
        (folder / name).write_text("mine")
    remove_from_gallery(["person01"], folder)
    add_to_gallery(RawPixelEmbedder(), people, folder)
    assert sorted(os.listdir(folder)) == sorted(
        [*FOREIGN, "index-999999.faiss", "faces-000003.csv", "gallery.json", "index-000003.faiss"]
    )


def test_a_damaged_gallery_keeps_what_a_killed_writer_left(folder):
    left = folder / "index-000002.faiss"
    left.write_text("whole, but not yet in gallery.json")
    (folder / "index-000001.faiss").unlink()
    with pytest.raises(InputError, match=r"index-000001\.faiss: is missing"):
        remove_from_gallery(["person01"], folder)
    assert left.exists()


def test_a_gallery_without_its_manifest_is_not_replaced(folder, people):
    (folder / "gallery.json").unlink()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(
        InputError, match=r"gallery\.json: is missing, so the gallery can't be used"
    ):
        build_gallery(RawPixelEmbedder(), people, folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_build_that_fails_leaves_an_empty_folder(people, tmp_path, monkeypatch):
    def full(folder, manifest):
        raise InputError(f"{folder}: can't be written: No space left on device")

    (tmp_path / "gallery").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("tfface.gallery.storage.write_json", full)
        with pytest.raises(InputError, match="No space left on device"):
            build_gallery(RawPixelEmbedder(), people, tmp_path / "gallery")
    assert os.listdir(tmp_path / "gallery") == []
    build_gallery(RawPixelEmbedder(), people, tmp_path / "gallery")
    assert len(os.listdir(tmp_path / "gallery")) == 3


def test_no_gallery(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="no gallery: expected a folder that tfface gallery"):
            remove_from_gallery(["ann"], folder)
    assert not (tmp_path / "none").exists()


def test_people_who_are_not_there(folder):
    with pytest.raises(InputError, match="nobody is called 'persn01'; did you mean 'person01'"):
        remove_from_gallery(["person02", "persn01"], folder)
    assert len(read_gallery(folder).faces) == 18


def _with(values):
    """A damage: other values in gallery.json."""
    return lambda content: json.dumps({**json.loads(content), **values}).encode()


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("index-000001.faiss", lambda b: b[:-1], "index-000001.faiss: is damaged"),
        ("index-000001.faiss", lambda b: b[:99] + b"?" + b[100:], "faiss: is damaged"),
        ("faces-000001.csv", lambda b: b.replace(b"person01", b"person11"), "csv: is damaged"),
        ("faces-000001.csv", None, "faces-000001.csv: is missing, so the gallery can't"),
        ("gallery.json", lambda b: b[:100], "gallery.json: is damaged"),
        ("gallery.json", lambda b: b"[]", "gallery.json: is damaged"),
        ("gallery.json", lambda b: b"\xff", "gallery.json: is damaged"),
        ("gallery.json", lambda b: b.replace(b'"files": [', b'"files": [1,'), "is damaged"),
        ("gallery.json", lambda b: b.replace(b"index-", b"../index-"), "is damaged"),
        ("gallery.json", lambda b: b.replace(b'"num_images": 18', b'"num_images": 17'), "damaged"),
        ("gallery.json", lambda b: b.replace(b'"flat"', b'"tree"'), "gallery.json: is damaged"),
        *(
            ("gallery.json", _with(values), "gallery.json: is damaged")
            for values in (
                *({"threshold": odd} for odd in (True, "0.5", math.nan, math.inf, [0.5], 1.01)),
                *({"generation": odd} for odd in (2**63 - 1, 10**9 + 1, True, "1", 0, -1, 1.0)),
                *({"load_options": {"model": "pixels", "flip": odd}} for odd in ("yes", 1, None)),
                {"load_options": {"model": "pixels", "image_size": [0, 112]}},
                {"threshold_source": 5},
            )
        ),
        ("gallery.json", lambda b: b.replace(b'"flat"', b'"hnsw"'), "index of another kind"),
        (
            "gallery.json",
            lambda b: b.replace(b'"format": 1', b'"format": 9'),
            "format is 9, and this version of tfface reads 1",
        ),
    ],
)
def test_damage_is_told_in_a_line(folder, people, file, damage, message):
    path = folder / file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    for use in (
        read_gallery,
        lambda folder: remove_from_gallery(["person01"], folder),
        lambda folder: build_gallery(RawPixelEmbedder(), people, folder),
    ):
        with pytest.raises(InputError, match=message) as caught:
            use(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["gallery.json", "index-000001.faiss", "faces-000001.csv"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"?")])
def test_the_advice_for_a_damaged_gallery_helps(folder, people, file, damage):
    damage(folder / file)
    for use in (
        read_gallery,
        lambda folder: add_to_gallery(RawPixelEmbedder(), people, folder),
        lambda folder: remove_from_gallery(["person01"], folder),
        lambda folder: build_gallery(RawPixelEmbedder(), people, folder),
    ):
        with pytest.raises(InputError, match="a copy, or delete it and build the gallery again"):
            use(folder)
    shutil.rmtree(folder)
    assert build_gallery(RawPixelEmbedder(), people, folder).num_images == 18


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1e30])
@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_an_index_with_other_values_than_unit_embeddings(people, tmp_path, kind, value):
    folder = tmp_path / "gallery"
    build_gallery(RawPixelEmbedder(), people, folder, kind=kind)
    embeddings = read_gallery(folder).index.embeddings()
    embeddings[3] = value
    index = folder / "index-000001.faiss"
    FaceIndex.from_embeddings(embeddings, kind).write(index)
    manifest = json.loads((folder / "gallery.json").read_text())
    content = index.read_bytes()
    manifest["files"][0] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "gallery.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"index-000001\.faiss: is damaged"):
        read_gallery(folder)


def test_a_gallery_that_was_changed_too_often_to_be_written(folder):
    with changing_gallery(folder) as gallery:
        last = replace(gallery, generation=10**9)
        with pytest.raises(InputError, match="was changed 1,000,000,000 times: build it again"):
            write_gallery(folder, last)
    assert len(read_gallery(folder).faces) == 18


def test_manifest_says_what_is_there(folder):
    manifest = json.loads((folder / "gallery.json").read_text())
    assert manifest["model"] == "pixels"
    assert manifest["fingerprint"] == RawPixelEmbedder().fingerprint
    assert (manifest["num_images"], manifest["num_names"]) == (18, 6)


def test_a_manifest_that_is_a_pipe(folder):
    (folder / "gallery.json").unlink()
    os.mkfifo(folder / "gallery.json")
    with pytest.raises(InputError, match=r"gallery\.json: can't be read: is no regular file"):
        read_gallery(folder)


def test_a_manifest_that_is_nested_deep(folder):
    (folder / "gallery.json").write_text("[" * 300_000)
    with pytest.raises(InputError, match=r"gallery\.json: is damaged, so the gallery can't be"):
        read_gallery(folder)
