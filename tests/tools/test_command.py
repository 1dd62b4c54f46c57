"""What all tools share: a stderr with nothing but their own lines, and how they end."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

import command
from tfface.errors import InputError

TOOLS = Path(command.__file__).parent


def run(code: str) -> subprocess.CompletedProcess:
    """Runs code in a process of its own, which has not imported TensorFlow yet."""
    code = f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import command, os\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_tensorflow_says_nothing():
    done = run(
        "command.import_tensorflow_quietly()\n"
        "import tensorflow as tf; list(tf.data.Dataset.range(3).map(lambda x: x + 1))"
    )
    assert done.returncode == 0
    assert done.stdout == done.stderr == ""


def test_what_is_no_note_is_passed_on(tmp_path):
    fake = tmp_path / "tensorflow.py"
    fake.write_text(
        "import os, warnings\n"
        "os.write(2, b'I0000 a note\\nE0000 x.cc] failed call to cuInit: none\\n')\n"
        "os.write(2, b'W0000 no room for the GPU libraries\\n')\n"
        "warnings.warn('a warning')\n"
        "class config:\n    list_physical_devices = staticmethod(lambda: 1 / 0)\n"
    )
    done = run(f"sys.path.insert(0, {str(tmp_path)!r}); command.import_tensorflow_quietly()")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "W0000 no room for the GPU libraries"
    assert "UserWarning: a warning" in lines[1]
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "I0000" not in done.stderr
    assert "cuInit" not in done.stderr


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("nonsense", "KERAS_BACKEND=nonsense: must be one of tensorflow, jax, torch"),
        ("jax", "KERAS_BACKEND=jax: jax is not installed here"),
    ],
)
def test_an_unusable_backend(monkeypatch, backend, message):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=message):
        command.import_tensorflow_quietly()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("command.InputError('no such file')", 2, "error: no such file\n"),
        ("KeyboardInterrupt", 130, "interrupted\n"),
        ("KeyboardInterrupt('interrupted; go on')", 130, "interrupted; go on\n"),
        ("BrokenPipeError", 141, ""),
    ],
)
def test_how_a_tool_ends(error, code, said):
    done = run(f"def main():\n    raise {error}\ncommand.run(main)")
    assert (done.returncode, done.stderr) == (code, said)


def test_options_with_numbers():
    assert command.image_size("112") == (112, 112)
    assert command.image_size("112x96") == (112, 96)
    assert command.quality("100") == 100
    assert command.natural("0") == 0
    for function, text, message in (
        (command.image_size, "0", r"from 1 to 8192, or HEIGHTxWIDTH as in 112x96; got '0'"),
        (command.image_size, "1x2x3", "HEIGHTxWIDTH"),
        (command.image_size, "x", "HEIGHTxWIDTH"),
        (command.quality, "101", "from 1 to 100, got '101'"),
        (command.positive, "0", "of 1 or more, got '0'"),
        (command.natural, "-1", "of 0 or more, got '-1'"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=message):
            function(text)
