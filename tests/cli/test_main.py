"""The command `tfface`: its commands, unknown commands, and recipes by name."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tfface.cli import main as entry
from tfface.cli import recipes
from tfface.commands import COMMANDS, as_typed
from tfface.recipe.library import find_recipe, library_folder, recipe_names, summary

ROOT = Path(__file__).resolve().parents[2]


def call(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    """Calls `tfface WORDS` in this process; returns its exit code and output."""
    monkeypatch.setattr(sys, "argv", ["tfface", *words])
    try:
        entry.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_overview_lists_every_command(monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for command in COMMANDS:
        assert [line for line in lines if line.startswith(f"  {command.name} ")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_every_command(monkeypatch, capsys, command):
    code, out, _ = call(monkeypatch, capsys, *command.name.split(), "--help")
    assert code == 0
    assert out.startswith(f"usage: tfface {command.name} ")
    assert f"tfface {command.name}" in out.partition("usage:")[2]
    assert "tools/" not in out


def test_every_tool_is_a_command_of_the_table():
    files = {path.stem for path in (ROOT / "tools").glob("*.py")}
    of_developers = {"checkout", "docs_site", "update_readme", "update_reference"}
    assert {command.tool for command in COMMANDS if command.tool} == files - of_developers
    for command in COMMANDS:
        module = importlib.import_module(f"tfface.cli.{command.module}")
        if command.tool:
            assert importlib.import_module(command.tool).main is module.main


def test_a_command_of_two_words_in_quotes(monkeypatch, capsys):
    arguments = ["evaluate verification", "gone.onnx", "--pairs", "synthetic"]
    assert call(monkeypatch, capsys, *arguments)[2].startswith("error: gone.onnx: no such model")
    assert sys.argv[0] == "tfface evaluate verification"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainn", "x"], "unknown command 'trainn'; did you mean 'tfface train'?"),
        (["zzz"], "unknown command 'zzz'; 'tfface --help' lists the commands"),
        (
            ["evaluate"],
            "tfface evaluate: give one of verification, identification, classification",
        ),
        (
            ["evaluate", "verify"],
            "tfface evaluate: unknown 'verify' (did you mean 'verification'?); give one of "
            "verification, identification, classification",
        ),
        (
            ["train", "quickstrat"],
            "quickstrat: no such file, and no recipe of this name; did you mean 'quickstart'?",
        ),
    ],
)
def test_what_is_no_command(monkeypatch, capsys, words, said):
    assert call(monkeypatch, capsys, *words) == (2, "", f"error: {said}\n")


def test_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tfface", "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("tfface 0.1.0\n", "")


def test_names_of_commands_as_the_user_types_them(monkeypatch):
    text = "align it with tfface align, see tfface evaluate verification --help; tfface.align"
    assert as_typed(text) == text
    monkeypatch.setattr("tfface.commands._started_by_file", True)
    assert as_typed(text) == (
        "align it with python tools/align_faces.py, see python tools/eval_verification.py --help; "
        "tfface.align"
    )


class TestRecipes:
    def test_all_are_listed_with_what_they_are(self, capsys):
        recipes.main([])
        lines = capsys.readouterr().out.splitlines()
        listed = [line for line in lines if not line.startswith(" ")]
        assert listed[0] == "quickstart"
        assert listed[1:] == [name for name in recipe_names() if name != "quickstart"]
        assert set(recipe_names()) == {path.stem for path in (ROOT / "recipes").glob("*.yaml")}

    def test_one_is_printed(self, capsys):
        recipes.main(["quickstart"])
        assert capsys.readouterr().out == (ROOT / "recipes" / "quickstart.yaml").read_text()

    def test_a_file_is_preferred(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert find_recipe("quickstart") == library_folder() / "quickstart.yaml"
        (tmp_path / "quickstart").touch()
        assert find_recipe("quickstart") == Path("quickstart")

    def test_a_summary_is_one_sentence(self, tmp_path):
        file = tmp_path / "a.yaml"
        file.write_text("# Faces of\n# friends. More\n#\n# Source: none\ndata: {}\n")
        assert summary(file) == "Faces of friends"
