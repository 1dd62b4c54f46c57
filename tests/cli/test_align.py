"""tools/align_faces.py as its users call it."""

import tarfile
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.running import call_tool, run_tool
from tfface.cli import align
from tfface.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "align_faces.py"
run = partial(run_tool, TOOL)


def test_real_photos(test_data, tmp_path):
    source = tmp_path / "photos"
    with tarfile.open(test_data / "data/deepface_pairs.tar") as tar:
        for name in ("img5.jpg", "img43.jpg", "couple.jpg"):
            tar.extract(f"deepface_pairs/{name}", source, filter="data")
    Image.new("RGB", (200, 200), "grey").save(source / "grey.png")
    (source / "broken.jpg").write_bytes(b"no image")
    output = tmp_path / "faces"
    done = run(source, output, "--image-size", "112x96")
    lines = [
        f"aligned 3 faces of 5 photos; 2 without a face (1 of them can't be read), see "
        f"{output / 'report.csv'}",
        str(output),
    ]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == lines
    for name in ("img5.jpg", "img43.jpg", "couple.jpg"):
        assert Image.open(output / "deepface_pairs" / name).size == (96, 112)

    again = call_tool(align.main, source, output, "--image-size", "112x96")
    assert again.stdout.splitlines() == [f"already {lines[0]}", lines[1]]
    other = call_tool(align.main, source, output)
    assert other.returncode == 2
    assert "other options (size 112x96, not 112x112): choose another output" in other.stderr


def test_no_face_at_all_is_no_success(tmp_path):
    """The next command would have no faces to work on."""
    pytest.importorskip("mtcnn")
    output = tmp_path / "faces"
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "photos" / "grey.png")
    for word in ("aligned", "already aligned"):
        done = call_tool(align.main, tmp_path / "photos", output)
        assert done.returncode == 2
        assert done.stdout.startswith(f"{word} 0 faces of 1 photos; 1 without a face")
        assert done.stderr == (
            f"error: {tmp_path / 'photos'}: no face was aligned; {output / 'report.csv'} says of "
            "each photo why\n"
        )


@pytest.mark.parametrize(
    ("photos", "is_warned_of"),
    [
        (("friends/ann/1.png", "friends/ben/1.png"), True),
        (("friends/ann/1.png", "friends/ben/1.png", "loose.png"), False),
        (("ann/1.png", "ben/1.png"), False),
        (("ann/2019/1.png", "ann/2.png"), False),
        (("ann/2019/1.png",), False),
    ],
)
def test_people_one_level_deeper_are_warned_of(tmp_path, photos, is_warned_of):
    pytest.importorskip("mtcnn")
    source = tmp_path / "my photos"
    for photo in photos:
        (source / photo).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), "grey").save(source / photo)
    done = call_tool(align.main, source, tmp_path / "out")
    assert done.stdout.startswith(f"aligned 0 faces of {len(photos)} photos")
    warning, *error = done.stderr.splitlines()
    assert warning.startswith("warning: ") == bool(error) == is_warned_of
    if is_warned_of:
        assert warning == (
            f"warning: {source}: contains one folder, friends, with folders in it, so all images "
            "would belong to one person. The path is probably one level too high: give "
            f"{source / 'friends'}"
        )


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    result = call_tool(align.main, tmp_path / "gone", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr == f"error: {tmp_path / 'gone'}: no such file or folder\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--image-size=112x", "must be a number of pixels from 1 to 8192, or HEIGHTxWIDTH"),
        ("--image-size=1x2x3", "must be a number of pixels from 1 to 8192, or HEIGHTxWIDTH"),
        ("--workers=0", "must be a whole number from 1 to 1024, got '0'"),
        ("--min-size=-1", "must be a whole number of 0 or more, got '-1'"),
        ("--output-format=gif", "must be jpeg or png, got 'gif'"),
        ("--min-confidence=high", "must be a number, got 'high'"),
    ],
)
def test_options_are_checked(option, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        align.main(["photos", "out", option])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image-size", "4"], "height must be a whole number from 16 to 1024, got 4"),
        (
            ["--output-format", "png", "--quality", "90"],
            "--quality is for JPEG, and the format is png",
        ),
        (["--min-confidence", "0.1"], r"min_confidence must be from 0\.5 to 1, got 0\.1"),
    ],
)
def test_options_out_of_range(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        align.main([str(tmp_path), str(tmp_path / "out"), *options])
