"""Every benchmark answers `--help` with an example, and bad input with exit code 2."""

from pathlib import Path

import pytest
from _common import work_folder

from tests.cli.running import run_tool
from tests.cli.test_help import Helps, ask_for_help
from tfface.errors import InputError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
README = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
SCRIPTS = sorted(path for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text())
BAD_OPTIONS = {
    "checkpoint": "recipe.yaml --steps 0",
    "conversion": "--scale 2",
    "gpu_step": "--rounds 0",
    "memory": "",
    "scaling": "--flops-per-second none",
    "search": "--dimension 1",
    "verification": "--num-pairs 0",
}


@pytest.fixture(scope="module")
def helps() -> Helps:
    return ask_for_help(BENCHMARKS, [(script.stem, "") for script in SCRIPTS])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help(helps, script):
    code, printed, slow = helps[script.stem, ""]
    assert code == 0
    assert slow == []
    assert printed.startswith("usage: ")
    assert f"python benchmarks/{script.name}" in printed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_bad_options(script):
    done = run_tool(script, *BAD_OPTIONS[script.stem].split())
    assert done.returncode == 2
    error, where = done.stderr.splitlines()[-2:]
    assert error.startswith("error: ")
    assert where == f"see: {script.name} --help"


def test_bad_input_is_one_line(tmp_path):
    done = run_tool(BENCHMARKS / "scaling.py", "--results", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"error: {tmp_path}: is a folder; give a file\n")


def test_work_folder(tmp_path):
    with work_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "file").touch()
    assert not list(tmp_path.iterdir())
    with (
        pytest.raises(InputError, match=r"--work-dir .*/gone: No such file or directory"),
        work_folder(tmp_path / "gone"),
    ):
        pass


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_readme_lists_it(script):
    assert f"| [{script.name}]({script.name}) |" in README
    assert f"`python benchmarks/{script.name}" in README
