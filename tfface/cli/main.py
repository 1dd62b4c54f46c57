"""The command `tfface`: which of its commands is meant."""

import importlib
import itertools
import sys

import tfface
from tfface.cli import command
from tfface.commands import COMMANDS, Command
from tfface.errors import InputError, nearest, say


def main() -> None:
    """Runs the command that `sys.argv` names, and exits."""
    command.run(_main)


def _main() -> None:
    words = sys.argv[1:]
    # A command of two words may come as one, in quotes.
    words[:1] = words[0].split() if words else []
    if not words or words[0] in ("-h", "--help", "help"):
        say(_overview())
    elif words[0] == "--version":
        say(f"tfface {tfface.__version__}")
    else:
        found = _find(words)
        rest = words[len(found.name.split()) :]
        # What usage lines, and commands to be given again, begin with.
        sys.argv = [f"tfface {found.name}", *rest]
        importlib.import_module(f"tfface.cli.{found.module}").main(rest)


def _find(words: list[str]) -> Command:
    by_name = {known.name: known for known in COMMANDS}
    for number in (2, 1):
        if known := by_name.get(" ".join(words[:number])):
            return known
    of_two = [name.split()[1] for name in by_name if name.startswith(f"{words[0]} ")]
    if of_two:
        unknown = ""
        if words[1:] and not words[1].startswith("-"):
            near = nearest(words[1], of_two)
            meant = f" (did you mean '{near}'?)" if near else ""
            unknown = f"unknown '{words[1]}'{meant}; "
        raise InputError(f"tfface {words[0]}: {unknown}give one of {', '.join(of_two)}")
    firsts = list(dict.fromkeys(name.split()[0] for name in by_name))
    near = nearest(words[0], firsts)
    advice = f"did you mean 'tfface {near}'?" if near else "'tfface --help' lists the commands"
    raise InputError(f"unknown command '{words[0]}'; {advice}")


def _overview() -> str:
    width = max(len(known.name) for known in COMMANDS)
    lines = [
        "usage: tfface COMMAND ...",
        "",
        "Train, evaluate and use face-recognition models.",
    ]
    for group, commands in itertools.groupby(COMMANDS, lambda known: known.group):
        lines += ["", f"{group}:"]
        lines += [f"  {known.name:{width}}  {known.summary}" for known in commands]
    lines += [
        "",
        "example:",
        "  tfface train quickstart",
        "  tfface COMMAND --help",
    ]
    return "\n".join(lines)
