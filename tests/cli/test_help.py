"""Every tool answers `--help` with an example, before it imports anything slow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import run_tool
from tfface.commands import COMMANDS as TFFACE_COMMANDS

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SLOW_IMPORTS = ["tensorflow", "keras", "jax", "matplotlib", "cv2", "mtcnn", "faiss", "onnxruntime"]
COMMANDS = {
    "align_faces": [],
    "benchmark": ["epoch", "pipeline", "step"],
    "check_score": [],
    "compare": [],
    "convert_tfrecord": [],
    "eval_classification": [],
    "eval_identification": [],
    "eval_verification": [],
    "gallery": ["build", "add", "calibrate", "remove", "query", "list"],
    "inspect_dataset": [],
    "make_cutmix": [],
    "make_pairs": [],
    "make_remove_background": [],
    "train": [],
    "update_readme": [],
    "update_reference": [],
}
HELPS = [(tool, command) for tool, commands in COMMANDS.items() for command in ("", *commands)]
# All in one process, which has not imported anything yet.
PROGRAM = """
import contextlib, importlib, io, json, sys
found = []
for tool, command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as written:
        try:
            importlib.import_module(tool).main([*command.split(), "--help"])
            code = None
        except SystemExit as end:
            code = end.code
    slow = [module for module in json.loads(sys.argv[2]) if module in sys.modules]
    found.append((code, written.getvalue(), slow))
print(json.dumps(found))
"""


Helps = dict[tuple[str, str], tuple[int | None, str, list[str]]]


def ask_for_help(folder: Path, asked: list[tuple[str, str]]) -> Helps:
    """Returns (tool, command) -> exit code, printed text, and slow modules imported until then."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(asked), json.dumps(SLOW_IMPORTS)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(asked, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def helps() -> Helps:
    return ask_for_help(TOOLS, HELPS)


@pytest.mark.parametrize(("tool", "command"), HELPS)
def test_help(helps, tool, command):
    code, printed, slow = helps[tool, command]
    assert code == 0
    assert slow == []
    assert printed.startswith("usage: ")
    if not command:
        named = [command.name for command in TFFACE_COMMANDS if command.tool == tool]
        assert (f"tfface {named[0]}" if named else f"python tools/{tool}.py") in printed
        commands = printed.partition("\noptions:")[2]
        assert re.findall(r"^    ([a-z]+)(?: |$)", commands, re.MULTILINE) == COMMANDS[tool]


def test_every_tool_and_command_is_asked():
    tools = {path.stem for path in TOOLS.glob("*.py") if "__main__" in path.read_text()}
    assert tools == set(COMMANDS)


def test_a_tool_names_the_files_that_its_user_types():
    done = run_tool(TOOLS / "convert_tfrecord.py", "--help")
    assert done.returncode == 0
    assert "python tools/convert_tfrecord.py lfw=data" in done.stdout
    assert "exclude.csv of python tools/inspect_dataset.py" in " ".join(done.stdout.split())
    assert "tfface " not in done.stdout
