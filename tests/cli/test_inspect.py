"""tools/inspect_dataset.py as its users call it."""

import csv
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import call_tool, run_tool
from tests.data.broken_datasets import edit_identities, flip, make_dataset, shard
from tests.training.recipes import TINY
from tfface.cli import inspect, train
from tfface.data.records.conversion import convert
from tfface.errors import InputError
from tfface.synthetic import render_faces

TOOL = Path(__file__).resolve().parents[2] / "tools" / "inspect_dataset.py"
run = partial(run_tool, TOOL)


def wrong(folder: Path, *arguments: str) -> list[str]:
    with pytest.raises(InputError, match=r"\S") as caught:
        inspect.main([str(folder), *arguments])
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sound_dataset(tmp_path):
    folder = make_dataset(tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    result = run(folder)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("20 images of 4 identities, ")
    assert lines[-2] == "all files are as dataset.json and identities.csv say"
    output = tmp_path / "data-inspection"
    assert lines[-1] == str(output)
    assert sorted(path.name for path in output.iterdir()) == [
        *("contact_sheet.png", "duplicates.csv", "images_per_identity.png", "report.json")
    ]
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_all_that_is_wrong_is_told(tmp_path, capsys):
    folder = make_dataset(tmp_path)
    flip(shard(folder, 0), 100)
    shard(folder, 1).unlink()
    edit_identities(folder, "bob,faces,9", "bob,faces,8")
    lines = wrong(folder, "--output", str(tmp_path / "out"))
    assert lines[0].endswith(" things are wrong:")
    assert len(lines) == int(lines[0].split()[0]) + 1
    for expected in (
        "dataset.json: 20 images of 4 identities, but its shards hold 20 and identities.csv lists",
        "data-00001-of-00003.tfrecord: missing",
        "data-00000-of-00003.tfrecord: record 0 (at byte 0): its checksum is wrong",
        "data-00000-of-00003.tfrecord: its SHA-256 is ",
        "identities.csv: bob of faces (label 1) has 8 images, but the files hold ",
    ):
        assert sum(line.startswith(expected) for line in lines) == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["problems"]) == len(lines) - 1
    # What is left is counted all the same.
    assert report["num_images"] == 12
    assert capsys.readouterr().out.startswith("12 images of 4 identities, ")


def test_ends_with_2_when_something_is_wrong(tmp_path):
    folder = make_dataset(tmp_path)
    flip(shard(folder, 2), 60)
    result = call_tool(inspect.main, folder)
    assert result.returncode == 2
    assert result.stderr.startswith("error: 3 things are wrong:\n")
    assert "Traceback" not in result.stderr
    result = call_tool(inspect.main, tmp_path / "faces")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "not a converted dataset" in result.stderr


def test_very_many_problems_are_in_the_report(tmp_path):
    folder = make_dataset(tmp_path, {f"p{i:03d}": 1 for i in range(120)}, num_shards=1)
    shard(folder, 0).unlink()
    lines = wrong(folder, "--output", str(tmp_path / "out"))
    assert lines[0] == "121 things are wrong:"
    assert len(lines) == 102
    assert lines[-1] == f"and 21 more: all are listed in {tmp_path / 'out/report.json'}"
    assert len(json.loads((tmp_path / "out/report.json").read_text())["problems"]) == 121


def test_nobody_is_looked_for_in_a_damaged_dataset(tmp_path, capsys):
    folder = make_dataset(tmp_path)
    flip(shard(folder, 2), 60)
    assert wrong(folder, "--model", "pixels", "--within-source")[-1] == ("people were not compared")
    assert "embedding" not in capsys.readouterr().out


def test_equal_images(tmp_path, capsys):
    folder = make_dataset(tmp_path)
    faces = tmp_path / "faces"
    (faces / "ann/copy.jpg").write_bytes((faces / "ann/0.jpg").read_bytes())
    (faces / "bob/of ann.jpg").write_bytes((faces / "ann/1.jpg").read_bytes())
    convert([str(faces)], tmp_path / "again")
    inspect.main([str(tmp_path / "again")])
    lines = capsys.readouterr().out.splitlines()
    assert "duplicate images within an identity: 1 copies (1 identities)" in lines
    assert "duplicate images across identities: 1 pairs (2 identities)" in lines
    assert "  ann/1.jpg (ann of faces) = bob/of ann.jpg (bob of faces)" in lines
    rows = read_csv(tmp_path / "again-inspection" / "duplicates.csv")
    assert [row["kind"] for row in rows] == ["across", "within"]
    for _ in range(2):
        inspect.main([str(folder)])
        assert "duplicate images across identities: 0 pairs" in capsys.readouterr().out


def draw(folder: Path, people: dict[str, int], size: int, quality: int) -> None:
    """Writes three pictures of each drawn person, the same ones for whatever size and quality."""
    numbers = np.repeat(list(people.values()), 3)
    faces = render_faces(numbers, np.tile(np.arange(3), len(people)), 64)
    for place, face in enumerate(faces):
        file = folder / list(people)[place // 3] / f"{place % 3}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).resize((size, size)).save(file, "JPEG", quality=quality)


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """Two sources; the same photos of people 2 and 3 are in both, of another size in the second."""
    folder = tmp_path_factory.mktemp("merged")
    draw(folder / "first", {f"p{i}": i for i in range(8)}, 64, 95)
    draw(folder / "second", {"q2": 2, "q3": 3, "q20": 20, "q21": 21}, 48, 60)
    # So that it is the first source's that goes.
    (folder / "first/p3/2.jpg").unlink()
    convert([str(folder / "first"), str(folder / "second")], folder / "data")
    return folder


def test_the_same_people_in_two_sources_and_training_without_them(merged, tmp_path, capsys):
    output = tmp_path / "out"
    options = ["--model", "pixels", "--threshold", "0.95", "--output", str(output)]
    inspect.main([str(merged / "data"), *options])
    lines = capsys.readouterr().out.splitlines()
    assert "2 pairs of duplicate identities" in lines
    assert "to exclude: 2 identities with 5 images" in lines
    assert lines[-1] == str(output)
    assert f"  {output / 'exclude.csv'}" in lines
    rows = read_csv(output / "same_people.csv")
    assert {(row["name"], row["other_name"]) for row in rows} == {("p2", "q2"), ("p3", "q3")}
    excluded = read_csv(output / "exclude.csv")
    assert {(row["name"], row["source"]) for row in excluded} == {
        *(("q2", "second"), ("p3", "first"))
    }
    assert json.loads((output / "report.json").read_text())["same_people"] == {
        "in_verification_sets": {},
        "pairs": 2,
        "excluded_identities": 2,
        "excluded_images": 5,
    }
    assert (output / "same_people.png").is_file()

    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    train.main(
        [
            *(str(recipe), "--run-dir", str(tmp_path / "run"), "--data-dir", str(merged)),
            *("--set", "data.train={source: tfrecord, path: data}"),
            *("--set", f"data.exclude={output / 'exclude.csv'}"),
            *("--set", "data.validation=none", "--set", "training.stages.1.epochs=1"),
        ]
    )
    assert (
        f"data: 30 images of 10 identities (5 images of 2 identities excluded by "
        f"{output / 'exclude.csv'}), all to train"
    ) in capsys.readouterr().out
    trained_on = [row["name"] for row in read_csv(tmp_path / "run" / "identities.csv")]
    assert trained_on == [*("p0", "p1", "p2", "p4", "p5", "p6", "p7"), *("q20", "q21", "q3")]


def test_people_of_a_verification_set(merged, tmp_path, capsys):
    images = tmp_path / "lfw" / "images"
    draw(images, {"P5": 5, "P30": 30}, 56, 80)
    for file in images.rglob("*.jpg"):
        file.rename(file.with_name(f"{file.parent.name}_{int(file.stem) + 1:04d}.jpg"))
    pairs = tmp_path / "lfw" / "pairs.txt"
    pairs.write_text("5\n" + "P5 1 2\n" * 5 + "P5 3 P30 2\n" * 5)
    inspect.main(
        [
            *(str(merged / "data"), "--output", str(tmp_path / "out"), "--model", "pixels"),
            *(
                "--overlap-with",
                f"lfw={pairs}",
                "--overlap-threshold",
                "0.95",
                "--threshold",
                "0.95",
            ),
            # One image of each, so that it is the very picture that the set has.
            *("--images-per-identity", "1"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert "lfw: 1 identities appear in this verification set" in lines
    [row] = [r for r in read_csv(tmp_path / "out/exclude.csv") if "verification" in r["reason"]]
    assert (row["name"], row["source"]) == ("p5", "first")
    assert "images/P5/P5_000" in row["reason"]
    assert (tmp_path / "out" / "same_people_lfw.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing", "--within-source"], "nothing: no such model"),
        (["--model", "pixels", "--overlap-with", "no.bin"], r"no\.bin: no such file"),
        (["--model", "pixels"], r"of one source \(faces\), so there is nothing to compare"),
        (["--output", "FILE/out"], "can't be written"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_read(tmp_path, capsys, arguments, message):
    folder = make_dataset(tmp_path)
    (tmp_path / "file").touch()
    arguments = [argument.replace("FILE", str(tmp_path / "file")) for argument in arguments]
    with pytest.raises(InputError, match=message):
        inspect.main([str(folder), *arguments])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overlap-with", "lfw.bin"], "--overlap-with and --within-source need a --model"),
        (["--threshold", "0"], "must be above 0 and at most 1, got '0'"),
        (["--overlap-threshold", "high"], "must be above 0 and at most 1, got 'high'"),
        (["--sheet", "10"], "must be identities x images of each, as in 10x8, got '10'"),
        (["--images-per-identity", "0"], "must be a whole number of 1 or more, got '0'"),
        (["--seed", "-1"], "must be a whole number of 0 or more, got '-1'"),
    ],
)
def test_wrong_options(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        inspect.main(["data", *arguments])
    assert message in capsys.readouterr().err


def test_a_sheet_of_another_size(tmp_path):
    folder = make_dataset(tmp_path)
    sizes = []
    for sheet in ("1x2", "4x9"):
        inspect.main([str(folder), "--sheet", sheet])
        content = (tmp_path / "data-inspection/contact_sheet.png").read_bytes()
        sizes.append(Image.open(io.BytesIO(content)).size)
    assert sizes[0] < sizes[1]
