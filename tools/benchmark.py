"""Measure tfface on this machine.

Example:
    python tools/benchmark.py convert --scale 0.01 0.1 --results results/conversion.csv

convert: draws stand-ins of MS1M as an InsightFace .rec, at shares of its size, and converts each to
a dataset folder, in turns with a bare copy of the same bytes.
"""

import argparse
import tempfile
from pathlib import Path

import command


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.benchmark.conversion import as_text, measure_conversion
    from tfface.files import check_writable
    from tfface.report.results import append_row
    from tfface.training.run_folder import environment

    if options.results:
        check_writable(options.results)
    with tempfile.TemporaryDirectory(dir=options.work_dir, prefix="tfface-") as folder:
        rows = measure_conversion(
            options.scale, Path(folder), num_runs=options.runs, num_workers=options.workers
        )
    print(as_text(rows))
    if options.results:
        circumstances = {key: environment()[key] for key in ("machine", "tensorflow")}
        for row in rows:
            append_row(options.results, row | circumstances)
        print(options.results)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["convert"], help="what to measure")
    parser.add_argument(
        "--scale",
        type=_share,
        nargs="+",
        default=[0.01],
        metavar="S",
        help="shares of MS1M's 5,822,653 images (default 0.01)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="take medians of N (default 3)",
    )
    parser.add_argument(
        "--workers", type=command.positive, metavar="N", help="threads (default: two per CPU)"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="D",
        help="where the files go meanwhile, 15 KB for each image (default: the system's)",
    )
    parser.add_argument(
        "--results", type=Path, metavar="CSV", help="add one row for each scale to this file"
    )
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 1e-4 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0.0001 to 1, got '{text}'")
    return share


if __name__ == "__main__":
    command.run(main)
