"""tools/check_score.py prints one line."""

import subprocess
import sys
import time
from pathlib import Path

import check_score
import pytest

from tests.evaluation.colour_run import write_image, write_run
from tfface.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_score.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("competition")
    write_run(folder / "run")
    for seed, (label, colour) in enumerate(
        (("blue", "blue"), ("green", "green"), ("red", "red"), ("red", "green"))
    ):
        write_image(folder / "data" / label / f"{seed}.png", colour, seed)
    lines = ["path,label", "blue/0.png,blue", "green/1.png,red", "red/2.png,red", "red/3.png,blue"]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("run", "top-1: 0.7500 (3 of 4 images)\n"),
        ("predictions.csv", "top-1: 0.5000 (2 of 4 images)\n"),
    ],
)
def test_one_line(folder, capsys, what, line):
    check_score.main([str(folder / what), "--data", str(folder / "data")])
    assert capsys.readouterr().out == line


def test_help_is_quick_and_shows_an_example():
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, str(TOOL), "--help"], capture_output=True, text=True, check=False
    )
    assert time.perf_counter() - start < 3  # a busy machine is given time
    assert result.returncode == 0
    assert "top-1: 0.8533 (512 of 600 images)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predictions.csv", "--classes", "names.txt"], "--classes belongs to a model"),
        (["none.csv"], r"none\.csv: can't be read: No such file"),
        (["none"], "none: no such model"),
    ],
)
def test_bad_arguments(folder, arguments, message, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        check_score.main([*arguments, "--data", "data"])
