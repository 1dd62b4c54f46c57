"""Processes that train together: which of them the message names when they end."""

import sys

import pytest

from tfface.cli import local_processes
from tfface.errors import InputError

HOW = "the same command with --resume goes on"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Returns a function that makes a tool; it gets the Python lines that its processes run."""

    def make(lines: str) -> None:
        script = tmp_path / "tool.py"
        script.write_text(f"import os, sys\nnumber = int(sys.argv[-1])\n{lines}\n")
        monkeypatch.setattr(sys, "argv", [str(script)])

    # By then all of them have ended.
    monkeypatch.setattr(local_processes, "_POLL_SECONDS", 1.0)
    return make


def test_all_end_well(tool):
    tool("")
    local_processes.run(3, [], HOW)


def test_the_killed_one_is_named_not_those_that_lost_it(tool):
    tool("os.kill(os.getpid(), 9) if number == 1 else sys.exit(2)")
    with pytest.raises(InputError) as raised:
        local_processes.run(3, [], HOW)
    assert str(raised.value) == (
        "process 1 of 3 was lost: it was killed by signal 9; the others were ended. The same "
        "command with --resume goes on"
    )


def test_what_process_0_has_said_is_not_said_again(tool):
    tool("sys.exit(2)")
    with pytest.raises(SystemExit) as raised:
        local_processes.run(3, [], HOW)
    assert raised.value.code == 2


def test_what_another_one_said_is_passed_on(tool, capfd):
    tool("sys.exit('no disk' if number == 2 else 0)")
    with pytest.raises(InputError, match="process 2 of 3 was lost: it ended with exit code 1"):
        local_processes.run(3, [], HOW)
    assert "no disk" in capfd.readouterr().err
