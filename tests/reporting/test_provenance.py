"""Provenance of a row of results."""

import datetime
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tfface.reporting import provenance as module
from tfface.reporting.provenance import command_line, commit, machine, provenance

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A git checkout with two files: code.py and results/a.csv."""
    (tmp_path / "results").mkdir()
    for name in ("code.py", "results/a.csv"):
        (tmp_path / name).write_text("1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    git(tmp_path, *author, "commit", "--quiet", "--message", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit(checkout):
    head = git(checkout, "rev-parse", "--short", "HEAD")
    assert commit(checkout) == head
    (checkout / "new.txt").write_text("not tracked")
    (checkout / "results/a.csv").write_text("a new row")
    assert commit(checkout) == head
    (checkout / "code.py").write_text("2\n")
    assert commit(checkout) == f"{head}-dirty"


def test_no_commit_outside_a_checkout(checkout, tmp_path_factory, monkeypatch):
    # A package that is installed within a checkout of something else.
    (checkout / "site-packages").mkdir()
    assert commit(checkout / "site-packages") is None
    assert commit(tmp_path_factory.mktemp("elsewhere")) is None
    monkeypatch.setenv("PATH", "")
    assert commit(checkout) is None


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["tools/train.py", "recipes/a.yaml"], "python tools/train.py recipes/a.yaml"),
        (
            [f"{ROOT}/tools/train.py", f"{ROOT}/recipes/a.yaml"],
            "python tools/train.py recipes/a.yaml",
        ),
        (["-m", "tests.faults.kills", "--kills", "9"], "python -m tests.faults.kills --kills 9"),
        (["x", "--data-dir", "/mnt/disk/data"], "python x --data-dir .../data"),
        (["x", "lfw=/mnt/lfw/pairs.txt"], "python x lfw=.../pairs.txt"),
        (["x", "/mnt/my photos/a.csv"], "python x .../a.csv"),
        (
            ["x", "--set", "data.train={source: csv, path: /mnt/a.csv}"],
            "python x --set 'data.train={source: csv, path: .../a.csv}'",
        ),
        (["x", "s3://bucket/a", "a/b", "1/2"], "python x s3://bucket/a a/b 1/2"),
    ],
)
def test_command_line(words, typed):
    assert command_line(["/usr/bin/python3.11", *words]) == typed
    # Nothing is lost that a shell would need.
    assert len(shlex.split(typed)) == 1 + len(words)


def test_paths_below_the_working_directory_become_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["python", "x", f"{tmp_path}/out/r.csv", f"a={tmp_path}/b"]
    assert command_line(command) == "python x out/r.csv a=b"


def test_machine(monkeypatch):
    assert " processors" in machine()
    model = "processor : 0\nmodel name\t: A CPU @ 2.20GHz\nprocessor : 1\nmodel name\t: A CPU\n"
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: model)
    assert machine().endswith(" processors, A CPU @ 2.20GHz")
    flags = "flags\t\t: fpu avx512_bf16 amx_tile amx_bf16\n"
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: model + flags)
    assert machine().endswith(" processors, A CPU @ 2.20GHz, AVX512_BF16, AMX")


def test_all_values(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python3", "tools/benchmark.py", "step"])
    monkeypatch.setattr(module, "version_of", {"keras": "3.15.1"}.get)
    found = provenance()
    assert tuple(found) == module.PROVENANCE
    assert datetime.date.fromisoformat(found["date"])
    assert (found["tensorflow"], found["keras"]) == (None, "3.15.1")
    assert found["command"] == "python tools/benchmark.py step"
