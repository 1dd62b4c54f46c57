"""tools/check_score.py prints one line."""

import shutil
from pathlib import Path

import pytest

from tests.cli.running import run_tool
from tests.evaluation.color_run import write_image, write_run
from tests.training.recipes import load_tiny
from tfface import recipe as recipes
from tfface.cli import check_score
from tfface.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("competition")
    write_run(folder / "run")
    for seed, (label, color) in enumerate(
        (("blue", "blue"), ("green", "green"), ("red", "red"), ("red", "green"))
    ):
        write_image(folder / "data" / label / f"{seed}.png", color, seed)
    lines = ["path,label", "blue/0.png,blue", "green/1.png,red", "red/2.png,red", "red/3.png,blue"]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (
            "run",
            "top-1: 0.7500 (3 of 4 images); balanced accuracy 0.8333, largest class 0.5000\n",
        ),
        (
            "predictions.csv",
            "top-1: 0.5000 (2 of 4 images); balanced accuracy 0.5000, largest class 0.5000\n",
        ),
    ],
)
def test_one_line(folder, capsys, what, line):
    check_score.main([str(folder / what), "--data", str(folder / "data")])
    assert capsys.readouterr().out == line


def test_images_that_the_run_was_trained_on_are_told(folder, tmp_path, capsys):
    for place, color in {"train/cold": "blue", "train/warm": "red", "test/warm": "red"}.items():
        for seed in range(4):
            # Those of the test are others.
            write_image(tmp_path / place / f"{seed}.png", color, seed + 10 * (place[1] == "e"))
    run = write_run(tmp_path / "run", ["cold", "warm"], head="sigmoid")
    recipe = load_tiny(
        tmp_path,
        "data.train={source: folder, path: train}",
        "data.validation={fraction: 0.25, by: image}",
    )
    (run / "recipe.yaml").write_text(recipes.dump(recipe))

    def warned(data, data_dir=tmp_path) -> str:
        check_score.main([str(run), "--data", str(data), "--data-dir", str(data_dir)])
        return capsys.readouterr().err

    assert warned(tmp_path / "test") == ""
    # Under other names, and without those that were held out.
    (tmp_path / "train").rename(tmp_path / "again")
    shutil.copytree(tmp_path / "again", tmp_path / "train")
    for file in (tmp_path / "again").rglob("*.png"):
        file.rename(file.with_stem(f"copy of {file.stem}"))
    assert warned(tmp_path / "again") == (
        f"warning: again: {run} was trained on 6 of these 8 images: the figures say how well it "
        "knows these by heart, not how good it is on others\n"
    )
    assert warned(tmp_path / "again", tmp_path / "elsewhere").startswith(
        f"warning: again: it isn't known whether {run} was trained on these images: "
    )


@pytest.mark.slow
def test_as_a_process(folder):
    done = run_tool(
        ROOT / "tools" / "check_score.py", folder / "none.csv", "--data", folder / "data"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {folder / 'none.csv'}: no such model or list of predictions"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predictions.csv", "--classes", "names.txt"], "--classes belongs to a model"),
        (["none.csv"], r"none\.csv: no such model or list of predictions"),
        (["none"], "none: no such model or list of predictions"),
    ],
)
def test_bad_arguments(folder, arguments, message, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        check_score.main([*arguments, "--data", "data"])
