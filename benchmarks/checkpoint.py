"""Measure how much a checkpoint slows down the training steps.

Example:
    python benchmarks/checkpoint.py recipes/arcface_resnet50_ms1m.yaml \\
        --set model.backbone.weights=none --num-identities 85742 --results results/checkpoint.csv

Runs the steps of a recipe's first stage on synthetic batches, in interleaved rounds without and
with a checkpoint, which is written in the background.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import _common

from tfface.cli import command, outputs, recipe_options
from tfface.cli.benchmark import add_steps
from tfface.errors import InputError
from tfface.recipe import Recipe, load
from tfface.reporting.results import text_table

if TYPE_CHECKING:
    import tensorflow as tf

    from tfface.training.recognizer import Recognizer

_MIB = 1 << 20


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.training.registries import REGISTRIES

    outputs.check_results(options)
    measured = measure_checkpoints(
        load(options.recipe, REGISTRIES, options.set),
        options.num_identities,
        num_steps=options.steps,
        num_rounds=options.runs,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(text_table(rows(measured)))
    outputs.append_results(options, rows(measured))


@dataclass(frozen=True)
class Measurement:
    """The results of rounds without and with a checkpoint.

    Attributes:
        num_identities: Number of classes of the head.
        batch_size: Images in a step.
        step_seconds: Median seconds of a step without a checkpoint.
        num_bytes: Size of a checkpoint.
        wait_seconds: Median seconds in which `fit` waited for the copy of all variables.
        cost_seconds: Median of the seconds that a round took longer with a checkpoint.
    """

    num_identities: int
    batch_size: int
    step_seconds: float
    num_bytes: int
    wait_seconds: float
    cost_seconds: float


def measure_checkpoints(
    recipe: Recipe,
    num_identities: int,
    *,
    num_steps: int,
    num_rounds: int,
    say: Callable[[str], None] = lambda line: None,
) -> Measurement:
    """Measures steps of a recipe's first stage without and with a checkpoint.

    Args:
        recipe: The recipe.
        num_identities: Number of classes of the head.
        num_steps: Steps in a round. They must take longer than writing the checkpoint.
        num_rounds: Number of rounds, > 0, each without and with a checkpoint.
        say: Called with lines about the progress.

    Raises:
        InputError: The recipe uses published weights, or the steps end before the checkpoint is
            written.
    """
    import keras
    import tensorflow as tf

    from tfface.autotune import untuned
    from tfface.kernels.keras_internals import sync_variables
    from tfface.profiling.step import synthetic_batch
    from tfface.training import stages
    from tfface.training.checkpoint_manager import CheckpointManager
    from tfface.training.recognizer import build_recognizer
    from tfface.training.run_progress import RunProgress

    if recipe.model.backbone.weights != "none":
        raise InputError(
            "checkpoint measures random weights, whose steps take as long: add "
            "--set model.backbone.weights=none"
        )
    keras.utils.set_random_seed(0)
    size = recipe.data.image_size
    recognizer = build_recognizer(recipe.model, size, num_identities, Path(), steps_per_epoch=1)
    stages.prepare(recognizer, recipe.training.stages[0], num_steps)
    batch = synthetic_batch(recipe, num_identities)
    batches = untuned(tf.data.Dataset.from_tensors(batch).repeat(num_steps))
    say("warm-up")
    recognizer.fit(batches, shuffle=False, verbose=0)
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        checkpoints = CheckpointManager(Path(folder), keep=1)
        without, waits_of_rounds, costs = [], [], []
        for number in range(num_rounds):
            say(f"round {number + 1} of {num_rounds}")
            without.append(_seconds(recognizer, batches, lambda: None))
            waits: list[float] = []
            round_start = time.perf_counter()

            def save(waits=waits) -> None:
                start = time.perf_counter()
                sync_variables(recognizer)
                checkpoints.save(recognizer, RunProgress())
                waits.append(time.perf_counter() - start)

            with_one = _seconds(recognizer, batches, save)
            checkpoints.wait()
            if time.perf_counter() - round_start > with_one + 0.1:
                raise InputError(
                    f"--steps {num_steps}: too few, they end before the checkpoint is written"
                )
            waits_of_rounds += waits
            costs.append(with_one - without[-1])
        num_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Measurement(
        num_identities,
        recipe.data.batch_size,
        statistics.median(without) / num_steps,
        num_bytes,
        statistics.median(waits_of_rounds),
        statistics.median(costs),
    )


def rows(measured: Measurement) -> list[dict[str, object]]:
    """Returns the row of results."""
    import keras

    return [
        {
            "num_identities": measured.num_identities,
            "batch_size": measured.batch_size,
            "step_ms": 1000 * measured.step_seconds,
            "checkpoint_mib": measured.num_bytes / _MIB,
            "checkpoint_wait_s": measured.wait_seconds,
            "checkpoint_cost_s": measured.cost_seconds,
            "checkpoint_cost_fraction": measured.cost_seconds / 60,
            "backend": keras.backend.backend(),
        }
    ]


def _seconds(
    recognizer: "Recognizer", batches: "tf.data.Dataset", first: Callable[[], None]
) -> float:
    """Returns the seconds of a round in which `first` is called after the first step."""
    import keras

    class AfterTheFirst(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])
            if batch == 0:
                first()

    start = time.perf_counter()
    recognizer.fit(batches, shuffle=False, verbose=0, callbacks=[AfterTheFirst()])
    return time.perf_counter() - start


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    recipe_options.add(parser)
    parser.add_argument(
        "--num-identities",
        type=command.positive,
        default=1000,
        metavar="N",
        help="classes of the head (default 1000)",
    )
    add_steps(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
