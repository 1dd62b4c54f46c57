"""What all benchmarks share: the checkout and its tools on the path, and the option --results.

Import it before `command`, `outputs` and `tfface`.
"""

import sys
from pathlib import Path

# `command` adds the checkout itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import command
import outputs


def make_parser(description: str, *, results: bool = True) -> command.Parser:
    """Makes a parser of command lines.

    Args:
        description: What `--help` prints above the options.
        results: Whether it has the option --results.

    Returns:
        The parser, to which the benchmark adds its own options.
    """
    parser = command.Parser(description=description)
    if results:
        outputs.add_results(parser, "add a row for each measurement to this file")
    return parser
