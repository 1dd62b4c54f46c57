"""tools/gallery.py as its users call it."""

import json
import os
import re
from pathlib import Path

import keras
import pytest
from PIL import Image

from tests.cli.running import run_tool
from tests.evaluation.people import face, write_people
from tfface.cli import gallery
from tfface.errors import InputError
from tfface.synthetic import render_faces

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, capsys):
    write_people(tmp_path / "staff", {n: range(3) for n in range(6)})
    built = tmp_path / "galleries" / "staff"
    assert said(capsys, "build", "pixels", tmp_path / "staff", "--gallery", built) == [
        "added 18 images",
        "in the gallery: 18 images of 6 people",
        str(built),
    ]
    return built


def said(capsys, *arguments) -> list[str]:
    """What a command prints; the tiny pictures of most tests are aligned faces by decree."""
    words = [str(argument) for argument in arguments]
    if words[0] in ("build", "add", "query") and "--find" not in words:
        words.append("--aligned")
    gallery.main([word for word in words if word != "--find"])
    return capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_as_a_process(tmp_path):
    done = run_tool(ROOT / "tools" / "gallery.py", "list", "--gallery", tmp_path / "gone")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path / 'gone'}")
    assert len(done.stderr.splitlines()) == 1


def test_query(folder, tmp_path, capsys):
    pictures = tmp_path / "door"
    pictures.mkdir()
    for number in (1, 4):
        (pictures / f"{number}.png").write_bytes(face(number, 99))
    (tmp_path / "stranger.png").write_bytes(face(50, 0))
    arguments = ["query", "pixels", pictures, tmp_path / "stranger.png", "--gallery", folder]
    lines = said(
        capsys, *arguments, "--threshold", 0.9, "--top", 2, "--json", tmp_path / "a" / "q.json"
    )
    assert lines[0].split() == ["image", "identity", "most", "similar", "cosine"]
    rows = [line.split() for line in lines[1:-2]]
    assert [row[0] for row in rows if len(row) == 4] == [
        *(str(pictures / "1.png"), str(pictures / "4.png"), str(tmp_path / "stranger.png")),
    ]
    assert [row[1] for row in rows if len(row) == 4] == ["person01", "person04", "unknown"]
    assert len(rows) == 6
    assert lines[-2:] == ["threshold: given by the caller", f"results: {tmp_path / 'a' / 'q.json'}"]
    written = json.loads((tmp_path / "a" / "q.json").read_text())
    assert written["threshold"] == 0.9
    assert [query["name"] for query in written["queries"]] == ["person01", "person04", None]
    assert len(written["queries"][0]["candidates"]) == 2

    # Its own it replaces, and no other, however alike.
    said(capsys, *arguments, "--json", tmp_path / "a" / "q.json")
    (tmp_path / "mine.json").write_text('{\n  "threshold": 1,\n  "queries": ["SELECT"]\n}\n')
    with pytest.raises(InputError, match=r"mine\.json: is there already, and is not what this too"):
        said(capsys, *arguments, "--json", tmp_path / "mine.json")
    assert "SELECT" in (tmp_path / "mine.json").read_text()
    said(capsys, *arguments, "--json", tmp_path / "mine.json", "--overwrite")
    assert "SELECT" not in (tmp_path / "mine.json").read_text()

    lines = said(capsys, *arguments)
    assert lines[-2].startswith("Without --threshold, unknown faces")
    assert lines[-1].startswith("threshold: none is kept with the gallery: choose one by")
    assert len(lines) == 6


def test_add_and_remove_one_person(folder, tmp_path, capsys):
    (tmp_path / "anna.png").write_bytes(face(60, 0))
    add = ["add", "pixels", tmp_path / "anna.png", "--name", "Anna", "--gallery", folder]
    assert said(capsys, *add) == [
        "added 1 image",
        "in the gallery: 19 images of 7 people",
        str(folder),
    ]
    assert said(capsys, *add)[:2] == ["added 0 images", "left out 1 image, in the gallery already"]
    assert said(capsys, *[word if word != "Anna" else "Bob" for word in add])[1] == (
        "left out 1 image, in the gallery under another name: for example "
        f"{tmp_path / 'anna.png'} of Bob is {tmp_path / 'anna.png'} of Anna"
    )
    assert said(capsys, "list", "--gallery", folder)[1].split() == ["Anna", "1"]
    assert said(capsys, "remove", "Anna", "person01", "--gallery", folder) == [
        "removed 4 images of Anna, person01",
        "in the gallery: 15 images of 5 people",
        str(folder),
    ]
    assert len(os.listdir(folder)) == 3


def test_what_a_pattern_of_the_shell_names_besides_photos_is_passed_over(folder, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for number in range(10):
        (tmp_path / "photos" / f"{number}.png").write_bytes(face(60 + number, 0))
    (tmp_path / "photos" / "notes.txt").write_text("photos of the summer", encoding="utf-8")
    given = sorted((tmp_path / "photos").iterdir())
    warning = f"passed over what is no photo: {tmp_path / 'photos' / 'notes.txt'}\n"
    calibrate = ["calibrate", *given, "--gallery", folder, "--aligned", "--fpir", "0.1"]
    gallery.main([str(word) for word in calibrate])
    done = capsys.readouterr()
    assert warning in done.err
    assert done.out.startswith("threshold ")
    add = ["add", "pixels", *given, "--name", "Anna", "--gallery", folder, "--aligned"]
    gallery.main([str(word) for word in add])
    done = capsys.readouterr()
    assert warning in done.err
    assert done.out.startswith("added 10 images\n")
    with pytest.raises(InputError, match=r"notes\.txt: not an image"):
        said(capsys, *add[:2], given[-1], *add[-5:])


def test_add_a_source(folder, tmp_path, capsys):
    more = write_people(tmp_path / "more", {9: range(2), 0: range(2, 4)})
    lines = said(capsys, "add", "pixels", more, "--gallery", folder)
    assert lines[:3] == [
        "added 3 images",
        "left out 1 image, in the gallery already",
        "in the gallery: 21 images of 7 people",
    ]


def test_names_that_are_no_text(tmp_path, capsys):
    people = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    write_people(people, {1: range(2)})
    (people / "person01").rename(people / os.fsdecode(b"\xfe"))
    said(capsys, "build", "pixels", people, "--gallery", tmp_path / "g")
    assert said(capsys, "list", "--gallery", tmp_path / "g")[1].split() == [r"\udcfe", "2"]
    query = ["query", "pixels", people, "--gallery", tmp_path / "g", "--json", tmp_path / "q.json"]
    assert r"/\udcff/\udcfe/0.png" in said(capsys, *query)[1]
    assert json.loads((tmp_path / "q.json").read_text())["queries"][0]["name"] == r"\udcfe"
    assert said(capsys, "remove", r"\udcfe", "--gallery", tmp_path / "g")[0].startswith("removed 2")


@pytest.fixture
def drawn(tmp_path):
    """A network that embeds 64 pixels, and drawn faces: aligned ones, and photos with them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    # The detector finds the faces of these.
    for person, picture in enumerate(render_faces(range(3), [0] * 3, 112)):
        folder = tmp_path / "aligned" / f"person{person}"
        folder.mkdir(parents=True)
        aligned = Image.fromarray(picture)
        aligned.save(folder / "0.png")
        photo = Image.new("RGB", (400, 300), "grey")
        photo.paste(aligned, (30, 90))
        photo.save(photos / f"{person}.png")
    image = keras.Input((64, 64, 3))
    pooled = keras.layers.AveragePooling2D(16)(image)
    keras.Model(image, keras.layers.Flatten()(pooled)).save(tmp_path / "m.keras")
    return tmp_path


def test_faces_of_photos_are_found_and_aligned(drawn, capsys):
    model, built = drawn / "m.keras", drawn / "g"
    aligned = said(capsys, "build", model, drawn / "aligned", "--gallery", built, "--find")
    assert aligned[0] == "added 3 images"
    photo = drawn / "photos" / "1.png"
    lines = said(capsys, "query", model, photo, "--gallery", built, "--find")
    assert lines[1].split()[:2] == [str(photo), "person1"]
    added = said(capsys, "add", model, photo, "--name", "Ann", "--gallery", built, "--find")
    assert added[0] == "added 1 image"
    Image.new("RGB", (300, 200), "grey").save(drawn / "photos" / "empty.png")
    lines = said(capsys, "query", model, drawn / "photos", "--gallery", built, "--find")
    assert any(line.startswith(f"{drawn / 'photos' / 'empty.png'}: no usable") for line in lines)
    assert [line.split()[1] for line in lines[1:4]] == ["person0", "Ann", "person2"]


def test_photos_that_are_said_to_be_aligned_are_warned_of(drawn, capsys):
    model, built = drawn / "m.keras", drawn / "g"
    said(capsys, "build", model, drawn / "aligned", "--gallery", built)
    photo = drawn / "square.png"
    with Image.open(drawn / "photos" / "2.png") as opened:
        opened.crop((0, 0, 300, 300)).save(photo)
    answers = drawn / "a.json"
    query = ["query", str(model), str(photo), "--gallery", str(built), "--json", str(answers)]
    gallery.main([*query, "--aligned"])
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith(f"warning: {photo} looks unaligned: ")
    # Also where nobody looks at the warnings.
    line = f"{photo}: can't be trusted, as it looks unaligned: drop --aligned"
    assert line in printed.out.splitlines()
    assert json.loads(answers.read_text())["queries"][0]["unaligned"] is True
    gallery.main(query)
    assert "unaligned" not in capsys.readouterr().out
    assert "unaligned" not in json.loads(answers.read_text())["queries"][0]


def test_the_old_option_for_aligned_faces(folder, tmp_path, capsys):
    arguments = ["query", "pixels", str(tmp_path / "staff"), "--gallery", str(folder)]
    gallery.main([*arguments, "--no-check"])
    assert "warning: --no-check is now --aligned" in capsys.readouterr().err


def test_a_gallery_keeps_its_threshold(folder, tmp_path, capsys):
    built = tmp_path / "strict"
    staff = tmp_path / "staff"
    said(capsys, "build", "pixels", staff, "--gallery", built, "--threshold", "0.9")
    lines = said(capsys, "query", "pixels", staff, "--gallery", built)
    assert lines[-1] == "threshold: kept with the gallery"


def test_names_that_differ_by_case_alone_are_warned_of(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(face(60, 0))
    add = ["add", "pixels", str(tmp_path / "a.png"), "--name", "PERSON01", "--gallery", str(folder)]
    gallery.main([*add, "--aligned"])
    assert capsys.readouterr().err == (
        f"warning: {folder}: 'PERSON01' and 'person01' are two people there, and differ by upper "
        "and lower case alone\n"
    )


def test_output_is_another_word_for_the_gallery_that_is_built(tmp_path, capsys):
    staff = write_people(tmp_path / "staff", {1: range(2)})
    lines = said(capsys, "build", "pixels", staff, "--output", tmp_path / "g", "--index", "hnsw")
    assert lines[1] == "in the gallery: 2 images of 1 person"
    assert json.loads((tmp_path / "g" / "gallery.json").read_text())["index"] == "hnsw"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "pixels", "STAFF", "--gallery", "G"], "contains a gallery already"),
        (["build", "pixels", "none", "--gallery", "new"], "none: no such file or folder"),
        (["add", "pixels", "STAFF", "--gallery", "none"], "none: no gallery"),
        (
            ["add", "pixels", "STAFF", "STAFF", "--gallery", "G"],
            "several SOURCEs: give one, as",
        ),
        (["add", "pixels", "a.jpg", "--gallery", "G"], "a.jpg: an image: say with --name whose"),
        (["build", "pixels", "a.webp", "--gallery", "new"], "a.webp: an image: say with --name"),
        (["build", "pixels", "PHOTO", "--gallery", "new"], "photo: an image: say with --name"),
        (["add", "pixels", "a.jpg", "--name", "A", "--gallery", "G"], "a.jpg: no such photo"),
        (["add", "pixels", "STAFF", "--no-flip", "--gallery", "G"], "was built by a model"),
        (
            ["add", "pixels", "STAFF", "--name", "", "--gallery", "G"],
            "--name: '' is no name: it is",
        ),
        (
            ["build", "pixels", "STAFF", "--name", "a\x07", "--gallery", "new"],
            r"--name: 'a\?' is no",
        ),
        (["remove", "Eve", "--gallery", "G"], "nobody is called 'Eve'"),
        (["query", "pixels", "STAFF", "--gallery", "STAFF"], "no gallery: expected a folder"),
        (["query", "none", "STAFF", "--gallery", "G"], "none: no such model"),
        (["query", "pixels", "STAFF", "--no-flip", "--gallery", "G"], "was built by a model"),
        (["query", "pixels", "STAFF", "--gallery", "G", "--json", "STAFF"], "is a folder"),
        (["list", "--gallery", "STAFF"], "no gallery: expected a folder"),
    ],
)
def test_bad_arguments(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    places = {"STAFF": str(tmp_path / "staff"), "G": str(folder), "PHOTO": str(tmp_path / "photo")}
    (tmp_path / "photo").write_bytes(face(1, 1))
    with pytest.raises(InputError, match=message) as caught:
        said(None, *[places.get(argument, argument) for argument in arguments])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_bad_threshold(capsys):
    with pytest.raises(SystemExit, match="2"):
        gallery.main(["query", "pixels", "x.jpg", "--gallery", "g", "--threshold", "1.5"])
    assert "must be a cosine from -1 to 1" in capsys.readouterr().err


def test_calibrate(folder, tmp_path, capsys):
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    for number in range(50, 60):
        (strangers / f"{number}.png").write_bytes(face(number, 0))
    calibrate = ["calibrate", strangers, "--gallery", folder, "--aligned"]
    lines = said(capsys, *calibrate, "--fpir", "0.1")
    assert re.fullmatch(
        r"threshold 0\.\d{4}: a face whose cosine is below it gets no name", lines[0]
    )
    assert lines[1].split() == ["most", "similar", "strangers", "to", "cosine"]
    similar = [line.split() for line in lines[2:5]]
    assert all(row[0].startswith(str(strangers)) for row in similar)
    assert [row[2] for row in similar] == sorted((row[2] for row in similar), reverse=True)
    assert lines[5:] == [str(folder)]
    threshold = lines[0].split()[1].rstrip(":")
    again = said(capsys, *calibrate, "--fpir", "0.1")
    assert again[0].startswith(f"threshold {threshold} (before: {threshold}): ")
    lines = said(capsys, "query", "pixels", strangers, "--gallery", folder)
    assert lines[-1] == "threshold: kept with the gallery: names 1 of 10 strangers"
    assert [line.split()[1] for line in lines[1:11]].count("unknown") == 9
    with pytest.raises(InputError, match="10 strangers are too few"):
        said(capsys, *calibrate)
    with pytest.raises(SystemExit, match="2"):
        said(capsys, *calibrate, "--fpir", "1")
    assert "must be between 0 and 1" in capsys.readouterr().err


def test_people_who_are_added_after_the_calibration(folder, tmp_path, capsys):
    (tmp_path / "strangers").mkdir()
    for number in range(50, 60):
        (tmp_path / "strangers" / f"{number}.png").write_bytes(face(number, 0))
    calibrate = ["calibrate", tmp_path / "strangers", "--gallery", folder, "--aligned"]
    said(capsys, *calibrate, "--fpir", "0.1")
    (tmp_path / "anna.png").write_bytes(face(61, 0))
    add = ["add", "pixels", tmp_path / "anna.png", "--name", "Anna", "--gallery", folder]
    note = "calibrated before 1 person was added: calibrate again"
    assert said(capsys, *add)[2] == f"threshold: {note}"
    lines = said(capsys, "query", "pixels", tmp_path / "anna.png", "--gallery", folder)
    assert lines[-1].endswith(f"strangers; {note}")
    assert note not in said(capsys, *calibrate, "--fpir", "0.1")
