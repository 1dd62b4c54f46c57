"""tools/check_score.py prints one line."""

from pathlib import Path

import check_score
import pytest

from tests.evaluation.colour_run import write_image, write_run
from tests.tools.running import run_tool
from tfface.errors import InputError


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


def test_as_a_process(folder):
    done = run_tool(Path(check_score.__file__), folder / "none.csv", "--data", folder / "data")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {folder / 'none.csv'}: can't be read: No such file or directory"
    ]


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
