"""Running a tool: in this process, or as its users do in one of its own."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tfface.cli import command
from tfface.progress import said


def call_tool(main: Callable[[list[str]], None], *arguments: object) -> subprocess.CompletedProcess:
    """Calls a tool's `main` as its process would, and keeps its output and exit code.

    Importing TensorFlow takes a process longer than most tools take for a test's input. Each tool
    has one test that runs it by `run_tool` instead.
    """
    words = [str(argument) for argument in arguments]
    # A process would only begin, and have nothing to say of its progress for a minute.
    said()
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        try:
            command.run(lambda: main(words))
            code = 0
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(words, code, stdout.getvalue(), stderr.getvalue())


def run_tool(tool: Path, *arguments: object, **options) -> subprocess.CompletedProcess:
    """Runs a tool in a process of its own to its end, and keeps its output.

    Args:
        tool: its file.
        options: of `subprocess.run`.
    """
    return subprocess.run(
        [sys.executable, str(tool), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
