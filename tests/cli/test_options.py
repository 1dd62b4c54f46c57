"""Options by their old names, and those that describe recipes."""

import contextlib
import importlib
import io
import json
import re

import pytest

from tests.cli.test_help import HELPS, TOOLS
from tfface.cli import command
from tfface.errors import InputError

# Old options of each tool or command: nothing that worked before may fail now.
OLD = {
    "align_faces": "--format --size",
    "benchmark step": "--beside --identities --vary",
    "benchmark pipeline": "--images",
    "check_score": "--input --range --size --output --scores",
    "compare": "--vary",
    "convert_tfrecord": "--identities --size",
    "eval_classification": "--input --range --size --output --scores",
    "eval_identification": "--input --range --size --output --split --unknown --one-template "
    "--metric --effort",
    "eval_verification": "--input --range --size --output --images --no-scores",
    "gallery add": "--input --range --size --output --no-check",
    "gallery build": "--input --range --size --no-check",
    "gallery query": "--input --range --size --output --no-check",
    "inspect_dataset": "--against --against-threshold --images",
    "make_cutmix": "--format",
    "make_pairs": "--pairs --images --format",
    "make_remove_background": "--format",
    "tfface.cli.classify": "--align",
    "train": "--coordinator",
}
# The same of benchmarks/.
OLD_OF_BENCHMARKS = {
    "checkpoint": "--identities",
    "scaling": "--identities",
    "search": "--queries",
    "verification": "--pairs",
}
# Lines of the contract, which stay as they are.
KEPT = {
    "benchmark epoch": "--json --plots",
    "compare": "--metric",
    "convert_tfrecord": "--format --output --shards --workers --resume",
    "eval_classification": "--data --group-by --json --plots",
    "eval_identification": "--gallery --query --json --plots",
    "eval_verification": "--pairs --json --plots",
    "make_pairs": "--output",
    "train": "--data-dir --run-dir --set --resume",
}


@pytest.fixture
def parsers(monkeypatch):
    """Yields a function: tool -> the parser that its arguments reach last."""
    reached = []

    class Reached(Exception):
        """The arguments were read as far as the options."""

    def parse(self, args=None, namespace=None):
        reached.append(self)
        if self._subparsers is not None:
            return original(self, args, namespace)
        raise Reached

    original = command.Parser.parse_known_args
    monkeypatch.setattr(command.Parser, "parse_known_args", parse)

    def parser(words: str) -> command.Parser:
        tool, *rest = words.split()
        with pytest.raises(Reached):
            importlib.import_module(tool).main(rest)
        return reached[-1]

    return parser


@pytest.mark.parametrize("words", [*OLD, *OLD_OF_BENCHMARKS])
def test_old_options_are_read_as_new_ones(parsers, capsys, words):
    parser = parsers(words)
    for old in (OLD | OLD_OF_BENCHMARKS)[words].split():
        renamed = parser._renamed(f"{old}=x")
        new = renamed.partition("=")[0]
        assert new in command.RENAMED_OPTIONS[old]
        assert renamed.endswith("=x")
        assert f"warning: {old} is now {new};" in capsys.readouterr().err
        assert re.search(rf"(?<![\w-]){new}(?![\w-])", parser.format_help())


@pytest.mark.parametrize("words", KEPT)
def test_lines_of_the_contract_stay(parsers, capsys, words):
    parser = parsers(words)
    for option in KEPT[words].split():
        assert parser._renamed(option) == option
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", parser.format_help())
    assert capsys.readouterr().err == ""


def test_every_renamed_option_belongs_to_a_tool():
    texts = [*OLD.values(), *OLD_OF_BENCHMARKS.values()]
    assert set(command.RENAMED_OPTIONS) == {old for text in texts for old in text.split()}


@pytest.mark.parametrize(("tool", "subcommand"), HELPS)
def test_no_help_names_an_old_option(tool, subcommand):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit, match="0"):
        importlib.import_module(tool).main([*subcommand.split(), "--help"])
    words = f"{tool} {subcommand}".strip()
    for old in OLD.get(words, "").split():
        assert not re.search(rf"(?<![\w-]){old}(?![\w-])", printed.getvalue().partition("usage")[2])


def test_a_value_is_no_option(capsys):
    parser = command.Parser()
    parser.add_argument("--image-root")
    parser.add_argument("rest", nargs="*")
    given = parser.parse_args(["--images", "a", "images", "--images=b"])
    assert (given.image_root, given.rest) == ("b", ["images"])
    assert capsys.readouterr().err.count("warning: --images is now --image-root") == 2


class TestDescriptionOfRecipes:
    def test_help(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            importlib.import_module("train").main(["--help-recipe", "model.head.arcface"])
        assert "margin  (number in [0, 1.5708), default 0.5)" in capsys.readouterr().out

    def test_help_of_no_key(self):
        with pytest.raises(
            InputError, match=r"--help-recipe model\.hed: unknown key; did you mean"
        ):
            importlib.import_module("train").main(["--help-recipe", "model.hed"])

    def test_schema(self, tmp_path, capsys):
        train, path = importlib.import_module("train"), tmp_path / "recipe.schema.json"
        for _ in range(2):
            with pytest.raises(SystemExit, match="0"):
                train.main(["--recipe-schema", str(path)])
            assert capsys.readouterr().out.strip() == str(path)
        assert json.loads(path.read_text())["title"] == "tfface recipe"
        path.write_text("{}")
        with pytest.raises(InputError, match="is there already, and is no schema of recipes"):
            train.main(["--recipe-schema", str(path)])
        assert path.read_text() == "{}"


def test_the_references_are_written_where_they_are_read(tmp_path, monkeypatch, capsys):
    tool = importlib.import_module("update_reference")
    assert TOOLS.parent == tool.ROOT
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    tool.main([])
    pages = {
        name: tmp_path / "docs" / "reference" / f"{name}.md" for name in ("recipe", "commands")
    }
    options = tmp_path / "tfface" / "recipe" / "component_options.py"
    assert capsys.readouterr().out.split() == [str(path) for path in (*pages.values(), options)]
    assert "OPTIONS: dict" in options.read_text()
    for name, page in pages.items():
        assert page.read_text().startswith(f"# {name.capitalize().removesuffix('s')} reference\n")
