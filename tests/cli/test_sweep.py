"""The comparing tool, from the command line to the page."""

import csv
import json
import sys
from pathlib import Path

import pytest

from tests.training.recipes import TINY
from tests.training.test_sweep import TRAINER
from tfface.cli import sweep as tool
from tfface.errors import InputError


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_recipe_is_trained_by_the_training_tool(recipe, tmp_path, capsys):
    output = tmp_path / "out"
    one_epoch = "training.stages=[{name: all, epochs: 1, optimizer: adam}]"
    tool.main([str(recipe), "--set", one_epoch, "--output", str(output)])
    figures = json.loads((output / "comparison.json").read_text(encoding="utf-8"))
    [variant] = figures["variants"]
    assert variant["name"] == "tiny"
    assert 0 <= variant["figure"]["mean"] <= 1
    assert "training accuracy" not in capsys.readouterr().out
    assert "data: 30 images of 6 identities" in Path(variant["runs"][0]["log"]).read_text()
    for name in ("comparison.png", "report.html", "runs/tiny--seed-5/model.keras"):
        assert (output / name).is_file()


def test_a_failure_is_told_and_the_others_are_compared(recipe, tmp_path, capsys, monkeypatch):
    stand_in = tmp_path / "train.py"
    # Without the tool's --data-dir D.
    stand_in.write_text("import sys\ndel sys.argv[1:3]\n" + TRAINER)
    monkeypatch.setattr(tool, "_TRAIN", (sys.executable, stand_in))
    arguments = [str(recipe), "--sweep", "data.batch_size=3,7", "--output", str(tmp_path / "out")]
    results = ["--results", str(tmp_path / "r.csv"), "--label", "mine", "--seeds", "2"]
    with pytest.raises(InputError, match=r"^2 of 4 runs failed; the same command tries them again"):
        tool.main(arguments + results)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("3, seed 5 failed: the data are gone (log: ") for line in lines)
    assert lines[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    with (tmp_path / "r.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["comparison"], row["variant"]) for row in rows] == [("mine", "3"), ("mine", "7")]
    assert (rows[1]["metric_mean"], rows[1]["num_failed_runs"]) == ("0.0755", "0")
    assert float(rows[1]["metric_std"]) == pytest.approx(0.0007, abs=5e-5)
    with pytest.raises(InputError, match=r"^2 of 4 runs failed"):
        tool.main(arguments + results)


@pytest.mark.parametrize("name", ["comparison.json", "report.html", "comparison.png"])
def test_files_of_others_are_not_replaced(recipe, tmp_path, name):
    file = tmp_path / "out" / name
    file.parent.mkdir()
    file.write_text('{\n  "title": "mine",\n  "metric": "meters",\n  "places": []\n}\n')
    with pytest.raises(InputError, match=rf"{name}: is there already, and is not what this tool"):
        tool.main([str(recipe), "--output", str(file.parent)])
    assert "meters" in file.read_text()


def test_mistakes_are_found_before_anything_runs(recipe, tmp_path):
    with pytest.raises(InputError, match=r"variant 'adamq': .*unknown optimizer 'adamq'"):
        tool.main(
            [
                str(recipe),
                *("--sweep", "training.stages.0.optimizer.name=adam,adamq"),
                *("--output", str(tmp_path / "out")),
            ]
        )
    assert not (tmp_path / "out").exists()
