"""The training tool: its lines and exit codes."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import call_tool
from tests.training.recipes import TINY, newest_checkpoint
from tfface.cli import train as tool
from tfface.errors import InputError
from tfface.training.checkpoint_state import read_progress

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "train.py", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def lines_of_error(recipe: Path, *arguments: str) -> list[str]:
    with pytest.raises(InputError, match=r"\S") as caught:
        tool.main([str(recipe), "--run-dir", str(recipe.parent / "run"), *arguments])
    return str(caught.value).split("\n")


def test_a_run_from_the_command_line(recipe, tmp_path):
    """Default folders, the last line, and silence on stderr when it is no terminal."""
    done = run(recipe, "--set", "training.stages.1.epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "runs/tiny"
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()
    assert "steps/s" not in done.stderr


def test_bad_input_is_one_line_and_exit_code_2(recipe):
    done = call_tool(tool.main, recipe, "--set", "training.stages.0.epochs=0")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {recipe}: training.stages.0.epochs: 0 is not allowed; must be greater than or "
        "equal to 1"
    ]


def test_a_mistake_is_found_without_tensorflow(recipe):
    code = (
        "import sys; from tfface.cli import train\n"
        "try: train.main(sys.argv[1:])\n"
        "except ValueError as error: print(error)\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    given = [recipe, "--set", "model.head={name: arcface, margin: wide}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, given)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        f'{recipe}: model.head.margin: "wide" is not allowed; must be a valid number',
        "[]",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("backbone:", "backbon:", "model.backbon: unknown key; did you mean 'backbone'?"),
        ("seed: 5", "seed: five", 'training.seed: "five" is not allowed; must be a valid integer'),
        ("0.2, by", "7, by", "data.validation.fraction: 7 is not allowed; must be less than 1"),
        ("seed: 5", "seed: 5\n  seed: 6", "training.seed: given twice"),
        ("plain_cnn", "plan_cnn", "unknown backbone 'plan_cnn'; did you mean 'plain_cnn'?"),
        (
            "image_size: 32",
            "image_size: 8",
            "8 is not allowed; must be greater than or equal to 32",
        ),
        ("epochs: 1", "epochs: 0", "training.stages.0.epochs: 0 is not allowed"),
        ("data:", "data: [", "not valid YAML"),
        (
            "{source: synthetic, num_identities: 6, images_per_identity: 5, size: 32}",
            "{source: folder, path: nowhere}",
            "nowhere: no such folder",
        ),
    ],
)
def test_wrong_recipes(recipe, old, new, expected):
    recipe.write_text(TINY.replace(old, new, 1), encoding="utf-8")
    assert any(expected in line for line in lines_of_error(recipe))


def test_run_folder_that_can_not_be_written(recipe):
    (recipe.parent / "file").write_text("in the way", encoding="utf-8")
    lines = lines_of_error(recipe, "--run-dir", str(recipe.parent / "file" / "run"))
    assert "can't be made" in lines[0]


def restore_signals() -> None:
    """Else a shell's background job ignores SIGINT, and what nohup started SIGHUP."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.faults),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.faults),
    ],
)
def test_ends_by_a_signal_with_a_checkpoint(recipe, number, exit_code):
    """While it trains: the signal's exit code and, last of all, the command that goes on."""
    arguments = [
        recipe,
        "--run-dir",
        recipe.parent / "run",
        "--set",
        "training.stages.1.epochs=5000",
    ]
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "train.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_signals,
    )
    for line in process.stdout:
        if "all 2/5000" in line:
            break
    process.send_signal(number)
    said, error = process.communicate(timeout=60)
    assert process.returncode == exit_code, error
    *_, why, how = said.splitlines()
    assert why == f"{number.name}: the run has ended before its time; to go on with it:"
    assert how.startswith("python ")
    assert how.endswith(" --resume")
    assert not list(recipe.parent.rglob("*.partial*"))
    before = read_progress(newest_checkpoint(recipe.parent / "run"))
    assert before.total_steps > 6
    again = [sys.executable, *shlex.split(how)[1:]]
    process = subprocess.Popen(again, stdout=subprocess.PIPE, text=True)
    resumed = next(line for line in process.stdout if line.startswith("resuming"))
    process.kill()
    process.communicate()
    assert resumed.startswith("resuming after ")
    assert str(before.step or before.total_epochs) in resumed


def test_no_recipe(tmp_path):
    assert "no such recipe file" in lines_of_error(tmp_path / "none.yaml")[0]


def test_an_image_that_can_not_be_decoded_is_named(recipe, tmp_path):
    from PIL import Image

    for person in ("ann", "bob"):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (32, 32), (number, 9, 9)).save(
                tmp_path / "faces" / person / f"{number}.png"
            )
    (tmp_path / "faces" / "bob" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    for cache in ("none", "memory"):
        lines = lines_of_error(
            recipe,
            "--data-dir",
            str(tmp_path),
            "--set",
            "data.train={source: folder, path: faces}",
            "--set",
            f"data.cache={cache}",
            "--set",
            "data.validation=none",
        )
        assert "bob/2.png" in lines[0]
