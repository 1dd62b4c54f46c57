"""tools/make_pairs.py as its users call it."""

import json
import pickle
from functools import partial
from pathlib import Path

import pytest

from tests.cli.running import run_tool
from tests.data.small_faces import write_folder
from tfface.cli import evaluate_verification as verification
from tfface.cli import pairs
from tfface.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_pairs.py"
run = partial(run_tool, TOOL)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    counts = {f"p{number:02d}": 3 for number in range(20)}
    return write_folder(tmp_path_factory.mktemp("faces") / "faces", counts)


def test_says_what_it_made(faces, tmp_path, capsys):
    output = tmp_path / "out.bin"
    pairs.main([str(faces), "--output", str(output)])
    assert capsys.readouterr().out.splitlines() == [
        "pairs: 120 in 10 folds, 60 genuine",
        "images: 60 of 20 identities",
        str(output),
    ]


@pytest.mark.parametrize("name", ["lfw.bin", "pairs.csv"])
def test_files_of_others_are_not_replaced(faces, tmp_path, capsys, name):
    output = tmp_path / name
    # As InsightFace's own lfw.bin begins, and a list that somebody wrote.
    others = {"lfw.bin": pickle.dumps(([b"x"], [True]), 4), "pairs.csv": b"first,second\na,b\n"}
    output.write_bytes(others[name])
    arguments = [str(faces), "--output", str(output), "--num-pairs", "20"]
    with pytest.raises(InputError, match=rf"{name}: is there already, and is not what this tool"):
        pairs.main(arguments)
    assert output.read_bytes() == others[name]
    pairs.main([*arguments, "--overwrite"])
    made = output.read_bytes()
    assert made != others[name]
    # Its own it replaces.
    pairs.main([*arguments, "--seed", "5"])
    assert output.read_bytes() != made


def test_images_of_others_are_not_replaced(faces, tmp_path, capsys):
    arguments = [str(faces), "--output", str(tmp_path / "a.csv"), "--num-pairs", "20"]
    pairs.main(arguments)
    pairs.main(arguments)
    (tmp_path / "a_images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(
        InputError, match=r"a_images: would be replaced, and holds .* \(mine\.jpg\)"
    ):
        pairs.main([*arguments, "--overwrite"])
    assert (tmp_path / "a_images" / "mine.jpg").read_bytes() == b"mine"
    (tmp_path / "a_images" / "mine.jpg").unlink()
    pairs.main(arguments)
    # Beside a list of somebody else, images may be called as ours are.
    (tmp_path / "a.csv").write_text("first,second\na,b\n")
    with pytest.raises(InputError, match="a_images: is in the way of the images"):
        pairs.main([*arguments, "--overwrite"])
    assert len(list((tmp_path / "a_images").iterdir())) == 35


def test_the_input_is_not_written_over(faces, tmp_path, capsys):
    pairs.main([str(faces), "--output", str(tmp_path / "a.csv"), "--num-pairs", "20"])
    pairs.main([str(faces), "--output", str(tmp_path / "a.bin"), "--num-pairs", "20"])

    def content():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    (tmp_path / "link.csv").symlink_to("a.csv")
    before = content()
    a = str(tmp_path / "a.csv")
    for given in (
        [a, "--output", a],
        [a, "--output", str(tmp_path / "link.csv")],
        [str(tmp_path / "a.bin"), "--output", str(tmp_path / "a.bin")],
        [str(tmp_path / "link.csv"), "--image-root", f"{tmp_path}/a_images", "--output", a],
    ):
        with pytest.raises(
            InputError, match=r"would be written, and the input \S+ is or lies there"
        ):
            pairs.main([*given, "--overwrite"])
        assert content() == before


def test_the_same_figures_in_every_format(faces, tmp_path, capsys):
    def figures(pairs, *options):
        json_file = tmp_path / "figures.json"
        arguments = ["pixels", "--pairs", f"x={pairs}", "--json", str(json_file), *options]
        verification.main(arguments)
        of_set = json.loads(json_file.read_text())["sets"]["x"]
        # A .bin doesn't say who is in an image, so intervals are not the same.
        assert of_set.pop("interval_by") == ("pair" if pairs.suffix == ".bin" else "identity")
        for place in (of_set["accuracy"], *of_set["tar_at_far"]):
            del place["interval"]
        del of_set["eer_interval"], of_set["auc_interval"]
        return of_set

    options = ["--num-pairs", "80", "--folds", "10", "--seed", "4"]
    for output, *more in (["a.bin"], ["b.csv"], ["c.csv", "--no-images"]):
        pairs.main([str(faces), "--output", str(tmp_path / output), *options, *more])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"its images are read with --image-root {faces}",
        str(tmp_path / "c.csv"),
    ]
    pairs.main([str(tmp_path / "b.csv"), "--output", str(tmp_path / "d.bin")])
    expected = figures(tmp_path / "a.bin")
    assert expected["num_pairs"] == 80
    assert figures(tmp_path / "b.csv") == expected
    assert figures(tmp_path / "c.csv", "--image-root", str(faces)) == expected
    assert figures(tmp_path / "d.bin") == expected


@pytest.mark.slow
def test_ends_with_2_and_one_line(faces, tmp_path):
    result = run(faces, "--output", tmp_path / "a.bin", "--first", "pose=C7")
    assert result.returncode == 2
    assert result.stdout == ""
    message = "error: faces: no attribute 'pose'; there are: none"
    assert result.stderr.splitlines() == [message]


def test_options_of_making_are_refused_for_a_set(faces, tmp_path):
    pairs.main([str(faces), "--output", str(tmp_path / "a.bin")])
    with pytest.raises(InputError, match="is a verification set, whose pairs are kept"):
        pairs.main([str(tmp_path / "a.bin"), "--output", str(tmp_path / "b.csv"), "--seed", "0"])


@pytest.mark.parametrize("option", ["--num-pairs", "--seed"])
@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_numbers_are_checked(option, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        pairs.main(["faces", "--output", "out.bin", f"{option}={value}"])
    assert f"must be a whole number of {int(option != '--seed')} or more" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "x", "1", "1001", "1000000000", "99999999999999999999"])
def test_folds_are_bounded(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        pairs.main(["faces", "--output", "out.bin", f"--folds={value}"])
    assert "must be a whole number from 2 to 1000, got" in capsys.readouterr().err
