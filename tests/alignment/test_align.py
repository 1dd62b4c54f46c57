"""Folders of photos become folders of faces: names, report, contact sheet, going on."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.alignment.dots import (
    DotDetector,
    ScriptedDetector,
    draw_photo,
    face_at,
    find_dots,
)
from tfface.alignment.align import Options, align, plan_alignment
from tfface.alignment.report import FIELDS
from tfface.alignment.template import template_points
from tfface.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def write_photos(root: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo, _ = draw_photo(center=(150 + 7 * (number % 10), 140), scale=1 + number % 4 / 4)
        photo.save(path)
    return root


def run(source, output, detector=None, num_workers=2, **options):
    plan = plan_alignment(source, output, Options(**options))
    return align(plan, detector or DotDetector(), num_workers)


def report(output: Path) -> list[dict[str, str]]:
    with (output / "report.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as f:
        reader = csv.DictReader(f)
        assert tuple(reader.fieldnames) == FIELDS
        return list(reader)


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def faces(output: Path) -> list[str]:
    found = [str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()]
    return sorted(set(found) - {"report.csv", "contact_sheet.png", ".alignment.jsonl"})


@pytest.mark.parametrize(
    ("options", "suffix", "size"),
    [
        ({}, "jpg", (112, 112)),
        ({"height": 112, "width": 96, "format": "png"}, "png", (112, 96)),
    ],
)
def test_faces_mirror_the_folders_and_are_aligned(tmp_path, options, suffix, size):
    source = write_photos(tmp_path / "in", ["flat.jpg", "ann/1.png", "bob/deep/er/x.y.bmp"])
    (source / "notes.txt").touch()
    (source / "empty").mkdir()
    done = run(source, tmp_path / "out", **options)
    assert (done.num_photos, done.num_faces, done.num_without) == (3, 3, 0)
    names = [f"ann/1.{suffix}", f"bob/deep/er/x.y.{suffix}", f"flat.{suffix}"]
    assert faces(tmp_path / "out") == names
    for name in names:
        face = Image.open(tmp_path / "out" / name)
        assert face.format == ("JPEG" if suffix == "jpg" else "PNG")
        assert face.size == size[::-1]
        np.testing.assert_allclose(find_dots(face.convert("RGB")), template_points(*size), atol=0.8)
    assert Image.open(tmp_path / "out/contact_sheet.png").height > 112


def test_one_photo(tmp_path):
    write_photos(tmp_path, ["me.jpg", "other.jpg"])
    done = run(tmp_path / "me.jpg", tmp_path / "out")
    assert done.num_photos == 1
    assert faces(tmp_path / "out") == ["me.jpg"]
    assert report(tmp_path / "out")[0]["photo"] == "me.jpg"


def test_the_report(tmp_path):
    source = write_photos(tmp_path / "in", ["a.png"])
    _, landmarks = draw_photo(center=(150, 140), scale=1)
    Image.new("RGB", (50, 50)).save(source / "b.png")
    (source / "c.jpg").write_bytes(b"")
    done = run(source, tmp_path / "out")
    assert (done.num_photos, done.num_faces, done.num_without, done.num_unreadable) == (3, 1, 2, 1)
    face, none, unreadable = report(tmp_path / "out")
    assert (face["photo"], face["output"], face["face"]) == ("a.png", "a.jpg", "1")
    assert (face["confidence"], face["num_faces"], face["turned"]) == ("1.0", "1", "0")
    assert face["reason"] == ""
    found = [
        [float(face[f"{name}_{axis}"]) for axis in "xy"]
        for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    ]
    np.testing.assert_allclose(found, landmarks, atol=0.2)
    x, y, width, height = (float(face[name]) for name in ("x", "y", "width", "height"))
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
    np.testing.assert_allclose((x + width / 2, y + height / 2), middle, atol=0.2)
    assert (none["photo"], none["reason"], none["num_faces"]) == ("b.png", "no face found", "0")
    assert {none[name] for name in ("output", "face", "x", "nose_x", "confidence")} == {""}
    assert (unreadable["photo"], unreadable["reason"]) == (
        "c.jpg",
        "can't be read: the file is empty (0 bytes)",
    )


GROUP = [
    face_at(200, 150, 50),  # aside
    face_at(80, 60, 120, 0.97),  # the most important
    face_at(10, 10, 20),  # too small
    face_at(110, 100, 70, 0.89),  # not sure
    face_at(-45, 120, 80),  # cut off
]


def group(tmp_path, **options):
    source = tmp_path / "in"
    source.mkdir()
    Image.new("RGB", (300, 220), "white").save(source / "group.jpg")
    run(source, tmp_path / "out", ScriptedDetector([GROUP, []]), **options)
    return [(row["face"], row["output"], row["reason"]) for row in report(tmp_path / "out")]


def test_the_most_important_face_is_chosen(tmp_path):
    assert group(tmp_path) == [
        ("1", "group.jpg", ""),
        ("2", "", "another face is larger or nearer to the center"),
        ("3", "", "face cut off by the photo's edge"),
        ("4", "", "face smaller than 32 pixels"),
    ]
    assert faces(tmp_path / "out") == ["group.jpg"]
    assert {row["num_faces"] for row in report(tmp_path / "out")} == {"4"}
    assert report(tmp_path / "out")[0]["x"] == "80.0"


def test_all_faces(tmp_path):
    outputs = ["group_1.jpg", "group_2.jpg", "group_3.jpg", ""]
    assert [row[1] for row in group(tmp_path, all_faces=True, min_size=20)] == outputs
    assert faces(tmp_path / "out") == [name for name in outputs if name]


def test_when_the_most_important_face_is_not_sure_the_next_is_taken(tmp_path):
    rows = group(tmp_path, min_confidence=0.98, min_size=45)
    assert rows[0] == ("1", "group.jpg", "")
    assert report(tmp_path / "out")[0]["x"] == "200.0"


def test_a_face_that_is_not_sure_is_told_of(tmp_path):
    Image.new("RGB", (300, 220)).save(tmp_path / "a.jpg")
    run(tmp_path / "a.jpg", tmp_path / "out", ScriptedDetector([[GROUP[3]]]))
    [row] = report(tmp_path / "out")
    assert (row["face"], row["num_faces"], row["x"]) == ("", "0", "110.0")
    assert (row["confidence"], row["reason"]) == ("0.89", "confidence below 0.9")


def test_exif_and_turned_photos(tmp_path):
    photo, landmarks = draw_photo()
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    photo.rotate(90, expand=True).save(tmp_path / "in/phone.png", exif=exif)
    photo.rotate(-90, expand=True).save(tmp_path / "in/scan.png")
    run(tmp_path / "in", tmp_path / "out", format="png")
    phone, scan = report(tmp_path / "out")
    assert (phone["turned"], scan["turned"]) == ("0", "90")
    assert float(phone["nose_x"]) == pytest.approx(landmarks[2, 0], abs=0.2)
    for name in ("phone.png", "scan.png"):
        dots = find_dots(Image.open(tmp_path / "out" / name))
        np.testing.assert_allclose(dots, template_points(112, 112), atol=0.5)


def test_two_photos_of_one_name(tmp_path):
    source = write_photos(tmp_path / "in", ["a/x.jpg", "a/x.png", "x.png"])
    with pytest.raises(
        InputError, match=r"^a/x.jpg and a/x.png would become one file, a/x.jpg: ren"
    ):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"would become one file, a/x_1\.jpg"):
        run(source, tmp_path / "out", all_faces=True)


def test_many_clashes_are_counted(tmp_path):
    for name in (f"{number}.{suffix}" for number in range(8) for suffix in ("jpg", "png")):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="and 3 more such names"):
        run(tmp_path, tmp_path.with_suffix(".out"))


def test_formats_that_cannot_be_read_do_not_clash(tmp_path):
    source = write_photos(tmp_path / "in", ["x.jpg"])
    (source / "x.heic").touch()
    assert run(source, tmp_path / "out").num_unreadable == 1


def test_a_face_in_place_of_the_contact_sheet(tmp_path):
    source = write_photos(tmp_path / "in", ["contact_sheet.jpg"])
    assert run(source, tmp_path / "out").num_faces == 1
    with pytest.raises(InputError, match=r"png: images called contact_sheet\.png, or in a folder"):
        run(source, tmp_path / "png", format="png")


def test_done_is_done(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg", "b.jpg"])
    run(source, tmp_path / "out")
    before = content(tmp_path / "out")
    plan = plan_alignment(source, tmp_path / "out", Options())
    assert plan.is_finished
    assert align(plan).num_faces == 2  # no detector is needed
    assert content(tmp_path / "out") == before


def test_new_photos_are_added(tmp_path):
    source = write_photos(tmp_path / "in", ["b.jpg"])
    run(source, tmp_path / "out")
    write_photos(source, ["a.jpg"])
    assert run(source, tmp_path / "out").num_faces == 2
    assert [row["photo"] for row in report(tmp_path / "out")] == ["a.jpg", "b.jpg"]


def test_faces_that_were_removed_by_hand_stay_removed(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    run(source, tmp_path / "out")
    (tmp_path / "out/a.jpg").unlink()
    write_photos(source, ["b.jpg"])
    run(source, tmp_path / "out")
    assert faces(tmp_path / "out") == ["b.jpg"]


@pytest.mark.parametrize("rows", [7, [], [3], [{}], [{"reason": "", "output": 5}]])
def test_a_damaged_line_of_the_log_is_made_again(tmp_path, rows):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    run(source, tmp_path / "out")
    log = tmp_path / "out" / ".alignment.jsonl"
    options, line = log.read_text().splitlines()
    log.write_text(options + "\n" + json.dumps(json.loads(line) | {"rows": rows}) + "\n")
    assert run(source, tmp_path / "out").num_faces == 1


def test_an_emptied_folder_is_filled_again(tmp_path):
    source = write_photos(tmp_path / "in", ["ann/a.jpg", "bob/b.jpg"])
    run(source, tmp_path / "out")
    before = content(tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("."):
            path.unlink()
    assert run(source, tmp_path / "out").num_faces == 2
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("name", ["report.csv", "contact_sheet.png"])
def test_files_of_the_user_are_not_replaced_by_reports(tmp_path, name):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    run(source, tmp_path / "out")
    (tmp_path / "out" / "report.csv").unlink()
    (tmp_path / "out" / name).write_text("mine")
    write_photos(source, ["b.jpg"])
    with pytest.raises(InputError, match=rf"{name}: is there already, and is not what this tool"):
        run(source, tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["report.csv", "contact_sheet.png"])
def test_a_person_called_like_a_report(tmp_path, name):
    source = write_photos(tmp_path / "in", [f"{name}/a.jpg"])
    with pytest.raises(InputError, match=rf"out: images called {name}, or in a folder of that"):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out" / name).exists()


def test_faces_do_not_replace_files_of_the_user(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    run(source, tmp_path / "out")
    write_photos(source, ["b.jpg"])
    (tmp_path / "out/b.jpg").write_text("mine")
    with pytest.raises(InputError, match=r"b\.jpg: is there already, and is not what this tool"):
        run(source, tmp_path / "out")
    assert (tmp_path / "out/b.jpg").read_text() == "mine"


def test_photos_that_changed_or_went(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg", "b.jpg"])
    run(source, tmp_path / "out")
    os.utime(source / "b.jpg", (1, 1))
    message = r"holds faces of 1 photos that .*in no longer has, or that have changed \(.* b.jpg\)"
    with pytest.raises(InputError, match=message):
        run(source, tmp_path / "out")


def test_photos_without_a_face_can_be_mended_or_removed(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    for name in ("b.jpg", "c.jpg"):
        (source / name).write_bytes(b"broken")
    assert run(source, tmp_path / "out").num_unreadable == 2
    write_photos(source, ["b.jpg"])
    (source / "c.jpg").unlink()
    assert run(source, tmp_path / "out").num_without == 0
    assert faces(tmp_path / "out") == ["a.jpg", "b.jpg"]
    assert [row["photo"] for row in report(tmp_path / "out")] == ["a.jpg", "b.jpg"]
    (source / "d.jpg").write_bytes(b"broken")
    run(source, tmp_path / "out")
    (source / "d.jpg").unlink()
    assert not plan_alignment(source, tmp_path / "out", Options()).is_finished
    run(source, tmp_path / "out")
    assert len(report(tmp_path / "out")) == 2


def test_other_options(tmp_path):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    run(source, tmp_path / "out")
    with pytest.raises(
        InputError, match=r"other options \(size 112x112, not 112x96, quality 95, not 90"
    ):
        run(source, tmp_path / "out", width=96, quality=90)


@pytest.mark.parametrize("output", ["", "faces", "a/b"])
def test_an_output_in_the_source(tmp_path, output):
    source = write_photos(tmp_path / "in", ["a.jpg"])
    with pytest.raises(InputError, match="where its faces would be taken for photos"):
        run(source, source / output)


def test_no_photos(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").touch()
    with pytest.raises(InputError, match="no photos in it, nor in its sub-folders"):
        run(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InputError, match="gone: no such file or folder"):
        run(tmp_path / "gone", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 8}, "height must be a whole number from 16 to 1024, got 8"),
        ({"width": 5000}, "width must be a whole number from 16 to 1024, got 5000"),
        ({"quality": 0}, "quality must be a whole number from 1 to 100, got 0"),
        ({"min_confidence": 1.5}, "min_confidence must be from 0.5 to 1, got 1.5"),
        ({"min_confidence": float("nan")}, "min_confidence must be from 0.5 to 1, got nan"),
        ({"detection_size": 10}, "detection_size must be a whole number from 64 to 8192, got 10"),
        ({"format": "gif"}, "format must be jpeg or png, got 'gif'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        Options(**options)


@pytest.mark.parametrize("limit", [100, 10**9])
def test_large_photos_wait_for_each_other(tmp_path, monkeypatch, limit):
    monkeypatch.setattr("tfface.alignment.align._LARGE_PIXELS", limit)
    source = write_photos(tmp_path / "in", [f"{n}.jpg" for n in range(6)])
    assert run(source, tmp_path / "out", num_workers=4).num_faces == 6


def test_the_contact_sheet_of_many_photos_is_a_sample(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "tfface.alignment.report.draw_contact_sheet",
        lambda path, pictures, captions, **settings: drawn.update(
            pictures=pictures, captions=captions, **settings
        ),
    )
    monkeypatch.setattr("tfface.alignment.report._MOST_FACES", 3)
    monkeypatch.setattr("tfface.alignment.report._MOST_WITHOUT", 2)
    source = write_photos(tmp_path / "in", [f"{n}.jpg" for n in range(5)])
    for name in "abcd":
        (source / f"{name}.jpg").write_bytes(b"")
    run(source, tmp_path / "out")
    assert drawn["title"] == (
        "3 of 5 aligned faces; 2 of 4 photos without one, framed in red (a random sample, seed 0)"
    )
    assert len(drawn["pictures"]) == len(drawn["captions"]) == 5
    assert drawn["captions"][3].endswith("\ncan't be read: the file is empty (0 bytes)")


@pytest.mark.faults
def test_killed_and_resumed(tmp_path):
    source = write_photos(tmp_path / "in", [f"p{n % 7}/{n}.jpg" for n in range(60)])
    (source / "p0/broken.jpg").write_bytes(b"no")
    run(source, tmp_path / "whole")

    output = tmp_path / "out"
    code = "import sys; from tests.alignment import dots; dots.align_slowly(*sys.argv[1:])"
    for least in (5, 20):
        process = subprocess.Popen([sys.executable, "-c", code, source, output], cwd=ROOT)
        while process.poll() is None and len(list(output.glob("*/*.jpg"))) < least:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (output / "report.csv").exists()
    # As a kill in the middle of writing leaves them.
    with (output / ".alignment.jsonl").open("a") as log:
        log.write('{"photo": "p1/8.j')
    (output / "p1/.tfface-0a_b1c2d.partial.jpg").write_bytes(b"half")
    noted = (output / ".alignment.jsonl").read_bytes().count(b"\n") - 1
    assert 0 < noted < 61

    plan = plan_alignment(source, output, Options())
    assert len(plan.log.done) == noted
    assert align(plan, DotDetector(), 2).num_faces == 60
    assert content(output) == content(tmp_path / "whole")


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    source = write_photos(tmp_path / "in", ["a.jpg", "b.jpg"])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"a.jpg: can't be written: No space left on device"):
        run(source, tmp_path / "out")
    monkeypatch.undo()
    assert run(source, tmp_path / "out").num_faces == 2


def test_names_as_long_as_a_name_can_be(tmp_path):
    """Of two that begin alike, each gets a file of its own; and a dot is no ending."""
    names = ["x" * 250 + f"{n}.jpg" for n in range(2)] + ["Dr. X at home"]
    source = write_photos(tmp_path / "in", ["a.png"])
    for name in names:
        (source / name).write_bytes((source / "a.png").read_bytes())
    assert run(source, tmp_path / "out", all_faces=True).num_faces == 4
    found = faces(tmp_path / "out")
    assert len(set(found)) == 4
    assert {"a_1.jpg", "Dr. X at home_1.jpg"} < set(found)
    assert run(source, tmp_path / "one").num_faces == 4
