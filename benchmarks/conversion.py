"""Measure speed and memory of the conversion of a .rec to a dataset folder.

Example:
    python benchmarks/conversion.py --scale 0.01 0.1 --results results/conversion.csv

Writes synthetic sets in the format of MS1M at fractions of its size, converts each to a dataset
folder, and compares that with copying the file (`cp`) in interleaved rounds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import _common

from tfface.cli import command, outputs
from tfface.errors import InputError
from tfface.reporting.results import text_table

# Of MS1M-ArcFace, by its `property` file and its index record.
MS1M_IMAGES, MS1M_IDENTITIES = 5_822_653, 85_742

_CONVERT = Path(__file__).resolve().parents[1] / "tools" / "convert_tfrecord.py"
_MIB = 1 << 20


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    outputs.check_results(options)
    with _common.work_folder(options.work_dir) as folder:
        rows = measure_conversion(
            options.scale, folder, num_runs=options.runs, num_workers=options.workers
        )
    print(as_text(rows))
    outputs.append_results(options, rows)


def measure_conversion(
    scales: Sequence[float], folder: Path, *, num_runs: int, num_workers: int | None
) -> list[dict[str, object]]:
    """Converts and copies synthetic sets at `scales` of MS1M's size.

    A conversion runs as a process. Its start-up time is that of the same command on the finished
    output, which imports, opens and plans the same but writes nothing; it is subtracted.

    Args:
        scales: Fractions of MS1M's numbers of images and identities, each in (0, 1].
        folder: Folder for temporary files, about 15 KB for each image of the largest scale.
        num_runs: Number of runs, of which medians are reported.
        num_workers: Threads of the conversion; None for its default.

    Returns:
        A row of results for each scale.
    """
    from synthetic_recordio import write_synthetic_recordio

    rows = []
    for scale in scales:
        num_images, num_identities = round(MS1M_IMAGES * scale), round(MS1M_IDENTITIES * scale)
        source = folder / f"ms1m_{num_images}"
        try:
            write_synthetic_recordio(source, num_images, num_identities)
            rows.append(_measure(source, folder, num_runs, num_workers, num_images, num_identities))
        finally:
            shutil.rmtree(source, ignore_errors=True)
    return rows


def as_text(rows: Sequence[dict[str, object]]) -> str:
    """Returns a table, and an estimate for all of MS1M from the last row."""
    last = rows[-1]
    seconds = last["startup_s"] * MS1M_IMAGES / last["num_images"]
    seconds += MS1M_IMAGES / last["images_per_s"]
    return (
        f"{text_table(rows)}\n"
        f"at this rate all {MS1M_IMAGES:,} images of MS1M take {seconds / 60:.0f} minutes"
    )


def _measure(
    source: Path,
    folder: Path,
    num_runs: int,
    num_workers: int | None,
    num_images: int,
    num_identities: int,
) -> dict[str, object]:
    num_bytes = (source / "train.rec").stat().st_size
    output, copy = folder / "converted", folder / "copy.rec"
    command = [sys.executable, str(_CONVERT), str(source), "--output", str(output)]
    if num_workers:
        command += ["--workers", str(num_workers)]
    copying, converting, starting, memory = [], [], [], []
    for _ in range(num_runs):
        try:
            copying.append(_run(["cp", str(source / "train.rec"), str(copy)])[0])
            copy.unlink()
            seconds, peak = _run(command)
            converting.append(seconds)
            memory.append(peak)
            starting.append(_run(command)[0])
        finally:
            copy.unlink(missing_ok=True)
            shutil.rmtree(output, ignore_errors=True)
    start, copied = statistics.median(starting), statistics.median(copying)
    seconds = statistics.median(converting) - start
    return {
        "num_images": num_images,
        "num_identities": num_identities,
        "data_mb": num_bytes / 1e6,
        "startup_s": start,
        "conversion_s": seconds,
        "images_per_s": num_images / seconds,
        "mb_per_s": num_bytes / 1e6 / seconds,
        "peak_memory_mib": max(memory) / _MIB,
        "baseline": "cp",
        "baseline_s": copied,
        "relative_time": seconds / copied,
    }


def _run(command: Sequence[str]) -> tuple[float, int]:
    """Runs a command and returns its wall-clock seconds and its peak memory in bytes.

    Raises:
        InputError: The command failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        # The error may follow warnings.
        lines = said.decode(errors="replace").strip().splitlines()
        raise InputError(f"{' '.join(command)}: {lines[-1] if lines else 'failed'}")
    # Linux counts in KiB.
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    parser.add_argument(
        "--scale",
        type=_share,
        nargs="+",
        default=[0.01],
        metavar="S",
        help=f"fractions of MS1M's {MS1M_IMAGES:,} images (default 0.01)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="runs, of which medians are reported (default 3)",
    )
    parser.add_argument(
        "--workers", type=command.workers, metavar="N", help="threads (default: two per CPU)"
    )
    parser.add_argument(
        "--work-dir",
        type=command.path,
        metavar="DIR",
        help="folder for temporary files, 15 KB for each image (default: the system's)",
    )
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    return command.number(text, lambda value: 1e-4 <= value <= 1, "a number from 0.0001 to 1")


if __name__ == "__main__":
    command.run(main)
