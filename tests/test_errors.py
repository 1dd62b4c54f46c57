"""Messages quote files, and a terminal must not obey those."""

import ast
import io
from pathlib import Path

import pytest

from tfface.errors import InputError, say

CLI = Path(__file__).resolve().parent.parent / "tfface" / "cli"
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
