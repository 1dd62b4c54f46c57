"""Messages quote files, and a terminal must not obey those."""

import ast
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfface.errors import LOGGER, InputError, note, say, warn

ROOT = Path(__file__).resolve().parent.parent
CLI = ROOT / "tfface" / "cli"
# These print no more than numbers, and what the user has said.
OF_NUMBERS = ("benchmark", "benchmark_outputs", "command", "local_processes")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\rb\x07", "a?b?"),
        ("a\u202eb\u2028c", "a?b?c"),
        ("a\ud800", "a?"),
        ("two\nlines\tand é 日本", "two\nlines and é 日本"),
        ("a file's name of bytes, \udcff", "a file's name of bytes, \udcff"),
    ],
)
def test_what_a_terminal_obeys_is_left_out(given, said):
    assert str(InputError(given)) == said


def test_what_is_said_is_harmless():
    stream = io.StringIO()
    say("a\x1b[31mb\nc\rd é", file=stream)
    assert stream.getvalue() == "a?[31mb\nc?d é\n"


@pytest.mark.parametrize(
    "file",
    [path for path in sorted(CLI.glob("*.py")) if path.stem not in OF_NUMBERS],
    ids=lambda path: path.stem,
)
def test_commands_say_and_do_not_print(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if getattr(call.func, "id", None) == "print"]


class TestLogger:
    """Messages go through the logger `tfface`, which a program may configure."""

    def test_notes_are_on_stdout_and_warnings_on_stderr(self, capsys):
        note("run: 100%\x1b[2J")
        warn("gone")
        assert capsys.readouterr() == ("run: 100%?[2J\n", "warning: gone\n")

    def test_a_level_silences(self, capsys):
        try:
            LOGGER.setLevel(logging.WARNING)
            note("run")
            warn("gone")
            LOGGER.setLevel(logging.ERROR)
            warn("gone, too")
        finally:
            LOGGER.setLevel(logging.INFO)
        assert capsys.readouterr() == ("", "warning: gone\n")

    def test_handlers_redirect(self, tmp_path, capsys, monkeypatch):
        handler = logging.FileHandler(tmp_path / "log")
        monkeypatch.setattr(LOGGER, "handlers", [handler])
        note("run: 50%")
        warn("gone")
        handler.close()
        assert (tmp_path / "log").read_text() == "run: 50%\ngone\n"
        assert capsys.readouterr() == ("", "")

    def test_the_library_prints_nothing_past_it(self):
        """Commands print their answers; the library below tells by the logger."""
        rooms = ("alignment", "api", "data", "evaluation", "gallery", "heads", "images", "training")
        for room in rooms:
            for path in (ROOT / "tfface" / room).rglob("*.py"):
                nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
                assert "print" not in {node.id for node in nodes if isinstance(node, ast.Name)}
                assert "say" not in {node.name for node in nodes if isinstance(node, ast.alias)}


@pytest.mark.slow
def test_the_python_api_holds_back_the_notes_of_tensorflow(tmp_path):
    code = "import tfface; print(tfface.load_embedder('pixels'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("Embedder('pixels', 32x32 pixels)\n", "")
