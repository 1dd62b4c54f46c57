"""Functions that run in subprocesses."""

import os

import pytest

from tfface.profiling.subprocess_runs import (
    WorkerProcess,
    peak_memory_bytes,
    reset_peak_memory,
    run_in_subprocess,
)


def test_peak_memory():
    reset_peak_memory()
    before = peak_memory_bytes()
    held = bytearray(64 << 20)
    assert len(held) == 64 << 20
    assert peak_memory_bytes() - before > 60 << 20


def test_run_in_subprocess(capfd):
    assert run_in_subprocess(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        run_in_subprocess(int, "x")
    assert capfd.readouterr().err == ""


def build(by: int):
    """Returns a function that adds to an environment variable, and a number."""

    def run() -> None:
        os.environ["TFFACE_SUM"] = str(int(os.environ["TFFACE_SUM"]) + by)

    return run, by * 10


def test_a_worker_process_keeps_its_function_and_environment(monkeypatch):
    monkeypatch.delenv("TFFACE_SUM", raising=False)
    with WorkerProcess({"TFFACE_SUM": "5"}) as process:
        assert process.prepare(build, 2) == 20
        process.run()
        process.run()
        assert process.call(os.getenv, "TFFACE_SUM") == "9"
    assert "TFFACE_SUM" not in os.environ
