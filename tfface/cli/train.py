"""Train a face-recognition model from a recipe.

Example:
    tfface train quickstart
    tfface train mobilenetv2_kface --data-dir ~/faces \\
        --set training.stages.0.epochs=2 --set data.batch_size=64
    tfface train --help-recipe model.head.arcface

Several devices, processes and machines: docs/guides/distributed.md.
"""

import argparse
import shlex
import sys
from pathlib import Path

from tfface.cli import command, local_processes, recipe_options
from tfface.errors import say

_GO_ON = "the same command with --resume goes on from the newest checkpoint"


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    local_processes.check(options)
    if options.local_processes:
        given = sys.argv[1:] if arguments is None else arguments
        local_processes.run(options.local_processes, given, _GO_ON)
        return
    recipe_options.check(options)
    command.import_tensorflow_quietly()
    from tfface import recipe
    from tfface.training import multiprocess
    from tfface.training.callbacks.preemption import TrainingInterrupted
    from tfface.training.registries import REGISTRIES
    from tfface.training.run import train

    loaded = recipe.load(options.recipe, REGISTRIES, options.set)
    run_dir = options.run_dir or Path("runs") / options.recipe.stem
    if options.coordinator_address is not None:
        multiprocess.initialize(
            options.coordinator_address, options.num_processes, options.process_id
        )
    exit_code = 0
    with command.interruptible(_GO_ON), multiprocess.run_together(_GO_ON):
        try:
            say(train(loaded, run_dir, options.data_dir, resume=options.resume).path)
        except TrainingInterrupted as interruption:
            # All processes have written their checkpoint: they part as after a whole run.
            exit_code = interruption.exit_code
            say(f"{interruption}: the run has ended before its time; to go on with it:")
            say(_resume_command(sys.argv[1:] if arguments is None else arguments))
    if exit_code:
        sys.exit(exit_code)


def _resume_command(arguments: list[str]) -> str:
    typed = local_processes.typed(arguments)
    rest = [argument for argument in typed if argument != "--resume"]
    return shlex.join([*command.typed_command(), *rest, "--resume"])


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    recipe_options.add(parser)
    recipe_options.add_reference(parser)
    recipe_options.add_data_dir(parser)
    parser.add_argument(
        "--run-dir", type=command.path, help="run folder (default: runs/NAME-OF-THE-RECIPE)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run, exactly"
    )
    local_processes.add(parser)
    return parser.parse_args(arguments)
