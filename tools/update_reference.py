"""Write what is made from the code: two pages of docs/reference and recipe/component_options.py.

Example:
    python tools/update_reference.py
"""

import argparse
import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import checkout
from tfface.cli import command
from tfface.commands import COMMANDS
from tfface.errors import say

ROOT = Path(__file__).resolve().parent.parent
_COMMANDS_HEAD = """\
# Command reference

<!-- Made by `python tools/update_reference.py` from the descriptions in the code; do not edit. -->

All commands of `tfface` and their options, as `tfface COMMAND --help` prints them. In a checkout
that is not installed, run the file in `tools/` that a command names.

In a terminal, after `source .venv/bin/activate`: `tfface --help` lists the commands.

| command | what it does |
| --- | --- |"""


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    parser.parse_args(arguments)
    command.import_tensorflow_quietly()
    from tfface.files import replacing
    from tfface.recipe import reference, signatures
    from tfface.training.registries import REGISTRIES

    for name, text in (
        ("docs/reference/recipe.md", reference.page(REGISTRIES)),
        ("docs/reference/commands.md", commands_page()),
        ("tfface/recipe/component_options.py", signatures.source(REGISTRIES)),
    ):
        with replacing(ROOT / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        say(ROOT / name)


def commands_page() -> str:
    """Returns the reference of commands, in Markdown."""
    links = (
        f"| [`tfface {known.name}`](#tfface-{known.name.replace(' ', '-')}) | {known.summary} |"
        for known in COMMANDS
    )
    parts = ["\n".join([_COMMANDS_HEAD, *links])]
    for known in COMMANDS:
        parts.append(f"## tfface {known.name}")
        if known.tool:
            parts.append(f"In a checkout: `python tools/{known.tool}.py`.")
        parts += _sections(_parser(f"tfface {known.name}", known.module), level=3)
    return "\n\n".join(parts) + "\n"


class _ParserMade(Exception):
    """Carries the parser out of a command that would go on to run."""


def _parser(typed: str, module: str) -> argparse.ArgumentParser:
    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _ParserMade(parser)

    # Usage lines begin with what the user typed.
    stopping = mock.patch.object(command.Parser, "parse_args", stop)
    typing = mock.patch.object(sys, "argv", [typed])
    with stopping, typing:
        try:
            importlib.import_module(f"tfface.cli.{module}").main([])
        except _ParserMade as made:
            return made.args[0]
    raise RuntimeError(f"tfface/cli/{module}.py parses no arguments by command.Parser")


def _sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield from _prose(parser.description)
    positionals, options, subparsers = [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            subparsers += action.choices.values()
        elif action.help is not argparse.SUPPRESS and action.dest != "help":
            (options if action.option_strings else positionals).append(action)
    yield from _table("argument", positionals)
    yield from _table("option", options)
    yield from _prose(parser.epilog)
    for one in subparsers:
        yield f"{'#' * level} {one.prog}"
        yield from _sections(one, level + 1)


def _prose(text: str | None) -> Iterator[str]:
    """Paragraphs, and in code blocks the lines that are indented."""
    lines: list[str] = []
    was_code = False
    for line in [*(text or "").strip().splitlines(), ""]:
        is_code = line.startswith("  ")
        if lines and (is_code != was_code or not line):
            block = textwrap.dedent("\n".join(lines))
            yield f"```text\n{block}\n```" if was_code else _escaped(block[0].upper() + block[1:])
            lines = []
        if line:
            lines.append(line)
        was_code = is_code


def _table(kind: str, actions: list[argparse.Action]) -> Iterator[str]:
    if actions:
        rows = [f"| `{_usage(action)}` | {_meaning(action)} |" for action in actions]
        yield "\n".join([f"| {kind} | meaning |", "| --- | --- |", *rows])


def _usage(action: argparse.Action) -> str:
    """What is typed, such as `--pairs P [P ...]`."""
    value = action.metavar or action.dest.upper()
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    shapes = {0: "", "?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]"}
    shape = shapes.get(action.nargs, "{0}").format(value)
    return " ".join(filter(None, (", ".join(action.option_strings), shape)))


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "tfface"}
    required = " (required)" if action.option_strings and action.required else ""
    return _escaped(text).replace("|", "\\|") + required


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*<\[])", r"\\\1", text)


if __name__ == "__main__":
    checkout.run(main)
