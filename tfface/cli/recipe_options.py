"""What the tools that take a recipe share: which one, and how it is changed on the command line."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tfface.cli import command
from tfface.errors import InputError, say


def add(parser: argparse.ArgumentParser, *, for_whom: str = "") -> None:
    """Adds the recipe and --set to a tool's parser.

    Args:
        for_whom: what --set is for, where that is not one run; begins with a space.
    """
    parser.add_argument(
        "recipe",
        type=command.path,
        help="a YAML file, or the name of a recipe that comes with tfface ('tfface recipes')",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"replace one value of the recipe{for_whom}; may be given several times",
    )


def check(options: argparse.Namespace) -> None:
    """Finds mistakes in recipe, --set and --sweep before TensorFlow is imported, which is slow.

    Raises InputError: one line for each mistake, as `tfface.recipe.load` has them; those of a value
        of --sweep name the variant.
    """
    _check_recipe(options, [])
    if not getattr(options, "sweep", []):
        return
    from tfface.training.sweep_axes import make_trials, parse_axis

    errors = []
    for trial in make_trials([parse_axis(axis) for axis in options.sweep], options.recipe.stem):
        try:
            _check_recipe(options, trial.overrides)
        except InputError as error:
            errors += [f"variant '{trial.name}': {line}" for line in str(error).split("\n")]
    if errors:
        raise InputError("\n".join(errors))


def _check_recipe(options: argparse.Namespace, overrides: Sequence[str]) -> None:
    from tfface import recipe
    from tfface.recipe import signatures

    # What is read for the work itself warns.
    recipe.load(options.recipe, signatures.light(), [*options.set, *overrides], warns=False)


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Adds the options that describe recipes and end the tool, as --help does."""
    parser.add_argument(
        "--help-recipe",
        action=_Describe,
        nargs="?",
        metavar="KEY",
        help="show the keys of a recipe, or one key, section or component, such as "
        "training.stages or model.head.arcface, and exit",
    )
    parser.add_argument(
        "--recipe-schema",
        action=_WriteSchema,
        type=command.path,
        metavar="FILE",
        help="write the JSON schema of recipes, for editors, to this file and exit",
    )


class _Describe(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None) -> None:
        command.import_tensorflow_quietly()
        from tfface.recipe.reference import help_text
        from tfface.training.registries import REGISTRIES

        say(help_text(REGISTRIES, values))
        parser.exit()


class _WriteSchema(argparse.Action):
    def __call__(self, parser, namespace, values: Path, option_string=None) -> None:
        command.import_tensorflow_quietly()
        from tfface.files import check_writable, replacing
        from tfface.recipe.reference import SCHEMA_TITLE, json_schema
        from tfface.training.registries import REGISTRIES

        check_writable(values)
        if values.is_file() and SCHEMA_TITLE not in values.read_text("utf-8", errors="replace"):
            raise InputError(f"{values}: is there already, and is no schema of recipes")
        with replacing(values) as temporary:
            temporary.write_text(json.dumps(json_schema(REGISTRIES), indent=1) + "\n", "utf-8")
        say(values)
        parser.exit()


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Adds --data-dir to a tool's parser."""
    parser.add_argument(
        "--data-dir",
        type=command.path,
        default=command.DATA_DIR,
        help="where the recipe's relative paths start (default: $TFFACE_DATA or data)",
    )


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Adds --sweep, which `tfface.training.sweep_axes.parse_axis` reads."""
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=V1,V2,...",
        help="a key of the recipe as in --set, and its values; several times for every combination",
    )
