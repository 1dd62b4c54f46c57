"""Train a face-recognition model from a recipe.

Example:
    python tools/train.py recipes/quickstart.yaml
    python tools/train.py recipes/mobilenetv2_kface.yaml --data-dir ~/faces \\
        --set training.stages.0.epochs=2 --set data.batch_size=64
"""

import argparse
from pathlib import Path

import command
import recipe_options


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface import recipe
    from tfface.training.parts import TABLES
    from tfface.training.run import train

    loaded = recipe.load(options.recipe, TABLES, options.set)
    run_dir = options.run_dir or Path("runs") / options.recipe.stem
    with command.interruptible(
        "the same command with --resume goes on after the last finished epoch"
    ):
        print(train(loaded, run_dir, options.data_dir, resume=options.resume))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    recipe_options.add(parser)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=command.DATA_DIR,
        help="where the recipe's relative paths start (default: $TFFACE_DATA or data)",
    )
    parser.add_argument("--run-dir", type=Path, help="default: runs/NAME-OF-THE-RECIPE")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.with_huge_pages()
    command.run(main)
