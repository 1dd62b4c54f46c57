"""Measure tfface on this machine.

Example:
    python tools/benchmark.py convert --scale 0.01 0.1 --results results/conversion.csv
    python tools/benchmark.py search --gallery-size 1000000 --results results/search.csv
    python tools/benchmark.py verification --results results/verification_speed.csv
    python tools/benchmark.py step recipes/arcface_resnet50_ms1m.yaml --set data.batch_size=32 \\
        --num-identities 1000 85742 --compare-with keras tf_keras --results results/step.csv
    python tools/benchmark.py pipeline recipes/arcface_resnet50_ms1m.yaml --json rates.json
    python tools/benchmark.py epoch recipes/mobilenetv2_transfer.yaml --plots epochs
    python tools/benchmark.py scaling --num-identities 85742 10000000

convert draws stand-ins of MS1M as an InsightFace .rec, at shares of its size, and converts each to
a dataset folder, in turns with a bare copy of the same bytes.

search draws embeddings of people and searches them with FAISS's flat, HNSW and IVF indexes, one
after the other: time to build, memory, queries a second, and how much of what flat finds is found.

verification draws embeddings, and makes the figures of a pair set as large as LFW's and of millions
of pairs of templates, beside the same by plain loops.

step makes steps of a recipe's first stage on drawn numbers, in turns: what it varies, with Keras'
trainer and without, and beside the same network, head and optimizer in plain Keras. Each one's
memory is that of a process of its own, beyond what the libraries take.

checkpoint makes steps without and with a checkpoint that is written beside them.

memory trains a recipe as it is and looks at its memory and open files after every epoch.

epoch makes epochs of a recipe's stage, in turns: as the recipe says, and with another cache,
without augmentation, without prefetch, with batches of other sizes. It says what to change.

pipeline reads the images of a recipe's training source in turns: each stage with all before it,
parsing and decoding alone, and plain loaders that do the same work image by image.

scaling measures nothing: it computes steps on up to 8 machines of 8 devices, data-parallel and
model-parallel, from what a device computes and a link sends.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import benchmark_recipe

import command
import outputs
from tfface.errors import InputError

# Of scaling; tfface.profiling.scaling.Rates has the defaults and where they are from.
SCALING_RATES = {
    "flops_per_second": "what a device reaches (default: 40 %% of an A100's 312e12)",
    "memory_bytes_per_second": "of a device's memory (default: an A100's 2.039e12)",
    "inside_bytes_per_second": "a device sends inside a machine (default: NVLink's 300e9)",
    "between_bytes_per_second": "a device sends between machines (default: 25e9)",
}


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.run(options)


def _convert(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.profiling.conversion import as_text, measure_conversion

    outputs.check_results(options)
    with tempfile.TemporaryDirectory(dir=options.work_dir, prefix="tfface-") as folder:
        rows = measure_conversion(
            options.scale, Path(folder), num_runs=options.runs, num_workers=options.workers
        )
    print(as_text(rows))
    outputs.append_results(options, rows)


def _search(options: argparse.Namespace) -> None:
    from tfface.profiling.search import as_text, measure_search
    from tfface.profiling.synthetic_embeddings import DrawnEmbeddings

    outputs.check_results(options)
    drawn = DrawnEmbeddings(
        size=options.gallery_size,
        dimension=options.dimension,
        num_queries=options.num_queries,
        images_per_identity=options.images_per_identity,
        seed=options.seed,
    )
    if drawn.num_queries > drawn.num_identities:
        raise InputError(
            f"--num-queries {drawn.num_queries}: more than the {drawn.num_identities} people of "
            f"{drawn.size} embeddings, {drawn.images_per_identity} of each"
        )
    rows = measure_search(
        drawn,
        options.index,
        num_threads=options.threads,
        say=lambda line: print(line, flush=True),
    )
    print(as_text(rows))
    outputs.append_results(options, rows)


def _verification(options: argparse.Namespace) -> None:
    from tfface.profiling.verification import measure_verification
    from tfface.reporting.results import text_table

    outputs.check_results(options)
    with tempfile.TemporaryDirectory(dir=options.work_dir, prefix="tfface-") as folder:
        rows = measure_verification(
            options.num_pairs,
            Path(folder),
            num_runs=options.runs,
            say=lambda line: print(line, flush=True),
        )
    print(text_table(rows, without=("baseline",)))
    outputs.append_results(options, rows)


def _scaling(options: argparse.Namespace) -> None:
    from tfface.profiling.scaling import Network, Rates, as_text, compute_steps, rows

    outputs.check_results(options)
    given = {key: getattr(options, key) for key in SCALING_RATES}
    steps = compute_steps(
        options.num_identities,
        rates=Rates(**{key: value for key, value in given.items() if value is not None}),
        network=Network(images_per_device=options.images_per_device),
    )
    print("Computed, not measured:")
    print(as_text(steps))
    outputs.append_results(options, rows(steps))


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(description=__doc__)
    commands = parser.add_subparsers(title="what to measure", metavar="WHAT", required=True)
    convert = commands.add_parser("convert", help="conversion of a .rec to a dataset folder")
    convert.set_defaults(run=_convert)
    _add_convert(convert)
    search = commands.add_parser("search", help="search in a large gallery")
    search.set_defaults(run=_search)
    _add_search(search)
    verification = commands.add_parser("verification", help="figures of verification")
    verification.set_defaults(run=_verification)
    _add_verification(verification)
    scaling = commands.add_parser("scaling", help="steps on many devices, computed")
    scaling.set_defaults(run=_scaling)
    _add_scaling(scaling)
    benchmark_recipe.add(commands)
    for of_command in commands.choices.values():
        outputs.add_results(of_command, "add a row for each measurement to this file")
    return parser


def _add_convert(parser: argparse.ArgumentParser) -> None:
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
        "--workers", type=command.workers, metavar="N", help="threads (default: two per CPU)"
    )
    parser.add_argument(
        "--work-dir",
        type=command.path,
        metavar="D",
        help="where the files go meanwhile, 15 KB for each image (default: the system's)",
    )


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gallery-size",
        type=command.positive,
        default=100_000,
        metavar="N",
        help="embeddings in the gallery (default 100000)",
    )
    parser.add_argument(
        "--dimension",
        type=_dimension,
        default=512,
        metavar="D",
        help="numbers of an embedding (default 512)",
    )
    parser.add_argument(
        "--images-per-identity",
        type=command.positive,
        default=4,
        metavar="N",
        help="embeddings of each person (default 4)",
    )
    parser.add_argument(
        "--num-queries",
        type=command.positive,
        default=1000,
        metavar="N",
        help="further images of as many people (default 1000)",
    )
    parser.add_argument(
        "--index",
        nargs="+",
        choices=["flat", "hnsw", "ivf"],
        default=["flat", "hnsw", "ivf"],
        help="what to measure; flat always is (default: all)",
    )
    parser.add_argument(
        "--threads", type=command.workers, metavar="N", help="that all are (default: one per CPU)"
    )
    parser.add_argument(
        "--seed", type=command.natural, default=0, metavar="S", help="of what is drawn (default 0)"
    )


def _add_verification(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-pairs",
        type=command.positive,
        default=10_000_000,
        metavar="N",
        help="of templates (default 10,000,000)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="take the best of N (default 3)",
    )
    parser.add_argument(
        "--work-dir",
        type=command.path,
        metavar="D",
        help="where the list of pairs goes meanwhile, 13 bytes for each (default: the system's)",
    )


def _add_scaling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-identities",
        type=command.positive,
        nargs="+",
        default=[10_000, 85_742, 1_000_000, 10_000_000],
        metavar="N",
        help="(default: 10000 85742 1000000 10000000)",
    )
    parser.add_argument(
        "--images-per-device",
        type=command.positive,
        default=128,
        metavar="N",
        help="of a batch (default 128)",
    )
    for key, what in SCALING_RATES.items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=_rate, metavar="X", help=what)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, as 25e9; got '{text}'")
    return rate


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 1e-4 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0.0001 to 1, got '{text}'")
    return share


def _dimension(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 65536:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2 to 65536, got '{text}'")
    return int(text)


if __name__ == "__main__":
    # As train.py; the others are measured as they always were.
    if sys.argv[1:2] in (["step"], ["epoch"], ["pipeline"]):
        command.with_huge_pages()
    command.run(main)
