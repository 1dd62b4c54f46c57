"""Compare variants of a recipe over several seeds: one table, one picture, one page.

Example:
    tfface sweep quickstart --seeds 3 \\
        --sweep training.stages.0.optimizer.name=sgd,adam,adamw

Trains every combination of the --sweep values with every seed, each run in its own process.
Without --sweep, trains the recipe as it is. Run the same command again to keep finished runs and do
the rest, also with more values or seeds. Values are YAML; brackets group values with commas:
    --sweep 'training.stages.0.optimizer=[{name: sgd, learning_rate: 0.1}, adam]'
"""

import argparse
import sys
from pathlib import Path

from tfface.cli import command, outputs, recipe_options
from tfface.errors import InputError, say

# How comparison.json begins.
_JSON_LINES = ("{", '  "title": ', '  "metric": ', '  "curve": ', '  "places": ')

_TRAIN = (sys.executable, "-m", "tfface", "train")


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    recipe_options.check(options)
    command.import_tensorflow_quietly()
    from tfface.files import write_json
    from tfface.output_paths import check_distinct, check_output, check_replaceable, json_mark
    from tfface.recipe import dump
    from tfface.reporting import comparison_tables
    from tfface.reporting.comparison_plots import plot_comparison
    from tfface.reporting.contact_sheet import PICTURE_MARK
    from tfface.reporting.html import Plot, report_mark, write_report
    from tfface.training.data_paths import source_folders
    from tfface.training.run_folder import environment
    from tfface.training.sweep import plan_sweep, run_sweep
    from tfface.training.sweep_axes import parse_axis

    output = options.output or Path("comparisons") / options.recipe.stem
    sweep = plan_sweep(
        options.recipe,
        [parse_axis(argument) for argument in options.sweep],
        output,
        num_seeds=options.seeds,
        overrides=options.set,
        metric=options.metric,
    )
    for run in sweep.runs:
        check_output(source_folders(run.recipe, options.data_dir), output)
    json_file = options.json or output / "comparison.json"
    page_file, picture = output / "report.html", output / "comparison.png"
    check_distinct(
        {
            "--json": json_file,
            "--results": options.results,
            "the report": page_file,
            "the picture": picture,
        }
    )
    marks = [(json_file, json_mark(*_JSON_LINES)), (page_file, report_mark("comparison"))]
    if not page_file.exists():
        marks.append((picture, PICTURE_MARK))
    for path, mark in marks:
        check_replaceable(path, mark, overwrite=options.overwrite)
    outputs.check_results(options)
    train = [*_TRAIN, "--data-dir", str(options.data_dir)]
    with command.interruptible("the same command keeps the finished runs and goes on"):
        run_sweep(sweep, output, train)

    figures = sweep.to_dict()
    say(comparison_tables.to_text(figures))
    write_json(json_file, figures)
    plot_comparison(picture, figures)
    write_report(
        page_file,
        "comparison",
        title=f"{figures['title']}: comparison",
        metrics=figures,
        plots=[Plot(picture, "The metric of every run, and the training curves.")],
        recipe=dump(sweep.recipe),
        environment=environment(),
    )
    rows = comparison_tables.result_rows(options.label or sweep.title, figures)
    outputs.append_results(options, rows)
    say(f"metrics: {json_file}")
    say(f"plots: {picture}")
    say(f"report: {page_file}")
    if sweep.failed:
        raise InputError(
            f"{len(sweep.failed)} of {len(sweep.runs)} runs failed; the same command "
            "tries them again"
        )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    recipe_options.add(parser, for_whom=" for all variants")
    recipe_options.add_sweep(parser)
    parser.add_argument(
        "--seeds",
        type=command.positive,
        default=1,
        metavar="N",
        help="train each variant with so many seeds: training.seed and those after it (default 1)",
    )
    recipe_options.add_data_dir(parser)
    outputs.add_overwrite(parser, "--json and in --output")
    parser.add_argument(
        "-o",
        "--output",
        type=command.path,
        metavar="DIR",
        help="folder for runs, metrics, plot and report (default: comparisons/NAME-OF-THE-RECIPE)",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="compare by this figure: test_accuracy (of evaluation.classification), SET.accuracy "
        "(of a verification set), val_accuracy, val_loss, ... (default: the first of these that "
        "the recipe measures)",
    )
    parser.add_argument(
        "--json",
        type=command.path,
        metavar="FILE",
        help="the figures (default: comparison.json in --output)",
    )
    outputs.add_results(parser, "add a row for each variant to this file")
    parser.add_argument(
        "--label",
        type=command.label,
        help="what these rows call the comparison (default: the recipe)",
    )
    return parser.parse_args(arguments)
