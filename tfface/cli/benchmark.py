"""Measure how fast a recipe trains on this machine.

Example:
    tfface benchmark epoch mobilenetv2_transfer --plots epochs
    tfface benchmark pipeline arcface_resnet50_ms1m --json rates.json
    tfface benchmark step arcface_resnet50_ms1m --set data.batch_size=32 \\
        --num-identities 1000 85742 --compare-with keras tf_keras --results results/step.csv

epoch trains epochs of a recipe's stage: unchanged, with another cache, without augmentation,
without prefetch, and with other batch sizes. It recommends a change.

pipeline reads the images of a recipe's training source up to each stage of the input pipeline, and
compares it with parsing and decoding alone and with baselines that work image by image.

step runs steps of a recipe's first stage on synthetic batches: with and without Keras' trainer, for
a sweep of the recipe, and compared with the same network, head and optimizer in plain Keras. It
measures the memory of each in a subprocess.

All rounds are interleaved (A B C A B C), so that other load affects all alike.
"""

import argparse
import sys
from pathlib import Path

from tfface.cli import benchmark_outputs, command, outputs, recipe_options


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if hasattr(options, "recipe"):
        recipe_options.check(options)
    options.run(options)


def _epoch(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.profiling.epoch import advice, measure_epochs, plan_epochs, rows, to_json
    from tfface.reporting.plots import plot_throughput
    from tfface.reporting.results import text_table

    outputs.check_results(options)
    benchmark_outputs.check(options, "epoch", sources=_sources(options))
    cases = plan_epochs(
        options.recipe, options.set, batch_sizes=options.batch_sizes, stage=options.stage
    )
    measurements = measure_epochs(
        cases,
        options.data_dir,
        num_rounds=options.runs,
        memory=not options.no_memory,
        say=_say,
    )
    table = rows(measurements)
    print(text_table(table, without=("baseline",)))
    print(advice(measurements))
    benchmark_outputs.write(options, to_json(measurements), "epoch", plot_throughput)
    outputs.append_results(options, table)


def _pipeline(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.profiling.input_pipeline import as_text, measure_input, rows, to_json
    from tfface.recipe import load
    from tfface.reporting.plots import plot_throughput
    from tfface.training.registries import REGISTRIES

    outputs.check_results(options)
    benchmark_outputs.check(options, "pipeline", sources=_sources(options))
    measurement = measure_input(
        load(options.recipe, REGISTRIES, options.set),
        options.data_dir,
        num_images=options.num_images,
        num_runs=options.runs,
        say=_say,
    )
    print(as_text(measurement))
    benchmark_outputs.write(options, to_json(measurement), "pipeline", plot_throughput)
    outputs.append_results(options, rows(measurement))


def _step(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface import onednn
    from tfface.profiling.step import measure_steps, plan_steps, rows, to_json
    from tfface.reporting.plots import plot_throughput
    from tfface.reporting.results import text_table
    from tfface.training.sweep_axes import parse_axis

    outputs.check_results(options)
    benchmark_outputs.check(options, "step", sources=_sources(options))
    cases = plan_steps(
        options.recipe,
        options.set,
        [parse_axis(argument) for argument in options.sweep],
        options.num_identities,
        compare_with=options.compare_with,
        xla=[word == "on" for word in options.xla],
        onednn_settings=[word == "on" for word in options.onednn] or [onednn.is_on()],
        num_steps=options.steps,
        trainer=not options.no_trainer,
    )
    measurements = measure_steps(
        cases,
        num_rounds=options.runs,
        say=_say,
    )
    table = rows(measurements)
    print(text_table(table, without=("baseline",)))
    benchmark_outputs.write(options, to_json(measurements), "step", plot_throughput)
    outputs.append_results(options, table)


def _sources(options: argparse.Namespace) -> list[Path]:
    """Returns the files and folders that the recipe's images are read from."""
    from tfface.recipe import load
    from tfface.training.data_paths import source_folders
    from tfface.training.registries import REGISTRIES

    # Steps read no images, and so have no --data-dir.
    data_dir = getattr(options, "data_dir", command.DATA_DIR)
    return source_folders(load(options.recipe, REGISTRIES, options.set), data_dir)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(description=__doc__)
    commands = parser.add_subparsers(title="what to measure", metavar="WHAT", required=True)
    for name, run, add_options, says in (
        ("epoch", _epoch, _add_epoch, "epochs, with one setting changed at a time"),
        ("pipeline", _pipeline, _add_pipeline, "the input pipeline, stage by stage"),
        ("step", _step, _add_step, "training steps, for a sweep and compared with plain Keras"),
    ):
        of_command = commands.add_parser(name, help=says, description=f"Measures {says}.")
        of_command.set_defaults(run=run)
        recipe_options.add(of_command)
        add_options(of_command)
        benchmark_outputs.add(of_command)
        outputs.add_results(of_command, "add a row for each measurement to this file")
    return parser


def _add_runs(parser: argparse.ArgumentParser) -> None:
    """Adds --runs."""
    parser.add_argument(
        "--runs", type=command.positive, default=5, metavar="N", help="rounds (default 5)"
    )


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Adds --steps and --runs."""
    parser.add_argument(
        "--steps",
        type=command.positive,
        default=4,
        metavar="N",
        help="steps in a round (default 4)",
    )
    _add_runs(parser)


def _add_epoch(parser: argparse.ArgumentParser) -> None:
    recipe_options.add_data_dir(parser)
    parser.add_argument(
        "--batch-sizes",
        type=command.batch_size,
        nargs="+",
        default=[],
        metavar="N",
        help="measure these batch sizes, too",
    )
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument(
        "--stage",
        type=command.natural,
        default=0,
        metavar="N",
        help="index of the stage (default 0)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="steady epochs of each case (default 3)",
    )


def _add_pipeline(parser: argparse.ArgumentParser) -> None:
    recipe_options.add_data_dir(parser)
    parser.add_argument(
        "--num-images",
        type=command.positive,
        default=20_000,
        metavar="N",
        help="images in a round, at most those of the source (default 20000)",
    )
    _add_runs(parser)


def _add_step(parser: argparse.ArgumentParser) -> None:
    recipe_options.add_sweep(parser)
    parser.add_argument(
        "--num-identities",
        type=command.positive,
        nargs="+",
        default=[1000],
        metavar="N",
        help="classes of the head (default 1000)",
    )
    parser.add_argument(
        "--xla",
        nargs="+",
        choices=("off", "on"),
        default=["off"],
        help="whether XLA compiles the step (default off)",
    )
    parser.add_argument(
        "--onednn",
        nargs="+",
        choices=("off", "on"),
        default=[],
        help="whether TensorFlow uses oneDNN (default: as in training)",
    )
    parser.add_argument(
        "--compare-with",
        nargs="+",
        choices=("keras", "tf_keras"),
        default=[],
        help="also measure the same step in plain Keras 3, or in the Keras of TensorFlow 2.1 to "
        "2.15 (the package tf_keras)",
    )
    parser.add_argument("--no-trainer", action="store_true", help="do not measure steps in `fit`")
    add_steps(parser)
