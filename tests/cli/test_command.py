"""What all tools share: a stderr with nothing but their own lines, and how they end."""

import argparse
import ast
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfface import quiet_tensorflow
from tfface.cli import command
from tfface.errors import InputError, warn

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
# All but the hooks of the documentation site, which mkdocs runs.
TOOL_FILES = sorted(set(TOOLS.glob("*.py")) - {TOOLS / "docs_site.py"})


def run(code: str) -> subprocess.CompletedProcess:
    """Runs code in a process of its own, which has not imported TensorFlow yet."""
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from tfface.cli import command\n{code}"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_tensorflow_says_nothing_and_leaves_out_what_only_takes_time():
    done = run(
        "command.import_tensorflow_quietly()\n"
        "import tensorflow as tf; list(tf.data.Dataset.range(3).map(lambda x: x + 1))\n"
        "import gc; assert gc.isenabled()\n"
        "assert not {'IPython', 'jax', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "import matplotlib.pyplot, sklearn, keras; keras.layers.Dense(1)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
        (
            "OSError(36, 'File name too long', 'a' * 5000)",
            2,
            f"error: {'a' * 200}...: File name too long\n",
        ),
    ],
)
def test_how_a_tool_ends(error, code, said):
    done = run(f"def main():\n    raise {error}\ncommand.run(main)")
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_half_written_file(tmp_path, name):
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom tfface.files import replacing\n"
        f"def main():\n    with replacing(Path({str(tmp_path / 'model.onnx')!r})) as temporary:\n"
        "        temporary.write_text('half of it')\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "command.run(main)"
    )
    done = run(code)
    number = getattr(signal, name)
    assert (done.returncode, done.stderr) == (128 + number, f"ended by {name}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("main", ["say('a')", "print('a')", "print('a'); sys.exit(0)"])
def test_an_output_that_can_not_be_written(main):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tfface.cli import command\n"
        f"from tfface.errors import say\ndef main():\n    {main}\ncommand.run(main)"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "error: output: can't be written: No space left on device\n"
    assert done.returncode == 2


def test_a_python_without_the_packages():
    done = run(
        "def main():\n    import packageless.module\n"
        "sys.modules['packageless'] = None\ncommand.run(main)"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: packageless is not installed for {sys.executable}; "
        "install it: pip install packageless\n"
    )


def test_a_python_without_an_extra():
    done = run(
        "def main():\n    import mtcnn.network\nsys.modules['mtcnn'] = None\ncommand.run(main)"
    )
    assert done.stderr.endswith("; install it: pip install 'tfface[align]'\n")


def test_a_checkout_without_the_packages():
    done = run(
        f"sys.path.insert(0, {str(TOOLS)!r}); import checkout\n"
        "def main():\n    import packageless\n"
        "sys.modules['packageless'] = None\ncheckout.run(main)"
    )
    assert done.stderr == (
        f"error: packageless is not installed for {sys.executable}; {environment_advice()}\n"
    )


def test_a_python_without_tensorflow(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^tensorflow is not installed for .*; "):
        command.import_tensorflow_quietly()


def test_a_missing_module_of_our_own_is_no_missing_package():
    done = run("def main():\n    import tfface.gone\ncommand.run(main)")
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'tfface.gone'\n")


@pytest.mark.parametrize("tool", TOOL_FILES, ids=lambda path: path.stem)
def test_an_older_python_is_told_which_is_needed(tool):
    """Before it comes to what it can't understand: annotations such as `list[str] | None`."""
    tree = ast.parse(tool.read_text(encoding="utf-8"), feature_version=(3, 8))
    body = [*tree.body]
    # Up to its own check, this file does without them.
    if tool.stem == "checkout":
        checked = next(i for i, node in enumerate(body) if "version_info" in ast.unparse(node))
        [advice] = [node for node in body[:checked] if isinstance(node, ast.FunctionDef)]
        assert advice.returns is None
        assert advice.args.args == []
        return
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    of_python = sys.stdlib_module_names
    first = next(
        node for node in imports if ast.unparse(node).split()[1].partition(".")[0] not in of_python
    )
    assert ast.unparse(first) == "import checkout"


def test_no_tool_goes_on_with_an_older_python():
    names = [path.stem for path in TOOL_FILES]
    code = (
        f"import importlib, sys; sys.path.insert(0, {str(TOOLS)!r}); sys.version_info = (3, 8, 1)\n"
        f"for name in {names}:\n"
        "    try:\n        importlib.import_module(name)\n        print('imported', name)\n"
        "    except SystemExit as end:\n        print(end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"] * len(names)
    assert set(done.stderr.splitlines()) == {
        f"error: tfface needs Python 3.11 to 3.13, and {sys.executable} is 3.8; "
        f"{environment_advice()}"
    }


def environment_advice() -> str:
    activate = os.path.join(os.path.relpath(ROOT), ".venv", "bin", "activate")
    if os.path.exists(activate):
        return f"activate the environment first: source {activate}"
    return (
        "make the environment with 'make quickstart' (or install requirements.txt into one of "
        "Python 3.11 to 3.13), and activate it: source .venv/bin/activate"
    )


@pytest.mark.parametrize(
    "closed",
    [
        pytest.param("<&-", marks=pytest.mark.slow),
        pytest.param(">&-", marks=pytest.mark.slow),
        pytest.param("2>&-", marks=pytest.mark.slow),
        "<&- >&- 2>&-",
    ],
)
def test_streams_that_the_starter_has_closed(tmp_path, closed):
    """As some schedulers do. What is opened later must not be taken for one of them."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tfface.cli import command\n"
        "from tfface.errors import warn\n"
        "def main():\n"
        f"    file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "    command.import_tensorflow_quietly(); warn('a'); print('b', flush=True)\n"
        "    assert sys.stdin.read() == ''\n"
        "    import os; os.write(2, b'note')\n"
        "    raise command.InputError('c')\n"
        "command.run(main)"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ("" if ">&-" in closed.split() else "b\n")
    assert done.stderr == ("" if "2>&-" in closed else "warning: a\nnoteerror: c\n")
    assert (tmp_path / "file").read_text() == ""


def test_the_home_folder_in_every_option(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert command.path("~/runs") == Path("/home/ann/runs")
    assert command.path_text("~/r.onnx") == "/home/ann/r.onnx"
    assert command.path_text("pixels") == "pixels"
    assert command.path_text("./model/") == "./model/"
    for file in (ROOT / "tfface" / "cli").glob("*.py"):
        assert "type=Path" not in file.read_text(encoding="utf-8"), "use command.path"


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


def test_what_libraries_color_is_passed_on_without(capfd):
    with quiet_tensorflow.without_notes():
        os.write(2, b"\x1b[1;31mE:onnxruntime\x1b[m failed\x07\n")
    assert capfd.readouterr().err == "E:onnxruntime failed?\n"


def test_threads_that_hold_notes_back_leave_stderr_as_it_was(capfd):
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with quiet_tensorflow.without_notes():
            first_in.set()
            assert second_in.wait(10)
        first_out.set()

    def second():
        assert first_in.wait(10)
        with quiet_tensorflow.without_notes():
            second_in.set()
            assert first_out.wait(10)

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still heard\n")
    assert capfd.readouterr().err == "still heard\n"


def test_warnings_are_harmless(capsys):
    warn("ann\x1b[2J")
    assert capsys.readouterr().err == "warning: ann?[2J\n"


@pytest.mark.parametrize("text", ["", "a\x1b[2Jb", "a\nb", "x" * 256])
def test_a_label_is_a_name(text):
    assert command.label(" my model ") == "my model"
    with pytest.raises(argparse.ArgumentTypeError, match="is no name: it "):
        command.label(text)
