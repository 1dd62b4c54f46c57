"""What the tools that take a recipe share: which one, and how it is changed on the command line."""

import argparse

import command


def add(parser: argparse.ArgumentParser, *, for_whom: str = "") -> None:
    """Adds the recipe and --set to a tool's parser.

    Args:
        for_whom: what --set is for, where that is not one run; begins with a space.
    """
    parser.add_argument("recipe", type=command.path, help="a YAML file, see recipes/")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PLACE=VALUE",
        help=f"replace one value of the recipe{for_whom}; may be given several times",
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Adds --data-dir to a tool's parser."""
    parser.add_argument(
        "--data-dir",
        type=command.path,
        default=command.DATA_DIR,
        help="where the recipe's relative paths start (default: $TFFACE_DATA or data)",
    )


def add_vary(parser: argparse.ArgumentParser) -> None:
    """Adds --vary, which `tfface.training.sweep.parse_axis` reads."""
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="PLACE=V1,V2,...",
        help="a place of the recipe as in --set, and what it is to be; several times for every "
        "combination",
    )
