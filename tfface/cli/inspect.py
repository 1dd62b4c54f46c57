"""Inspect a converted dataset: is it undamaged, what is in it, and who is in it twice?

Example:
    tfface inspect data/my_faces

With a model it also finds identities that are one person, in two merged sources or in a
verification set, and writes a list of whom to leave out:
    tfface inspect data/merged --model runs/my_run \\
        --overlap-with data/lfw/pairs.txt

The list, exclude.csv, is for a recipe's data.exclude and for the converter. The dataset itself is
only read. All files go to the folder D-inspection beside D, or to --output. The exit code is 0 when
the dataset is as it should be, and 2 with a list of all that is wrong with it.
"""

import argparse
from pathlib import Path

from tfface.arguments import EMBED_BATCH_SIZE
from tfface.cli import command, outputs
from tfface.errors import InputError, say

_MOST_PROBLEMS = 100


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.records.duplicates import find_duplicate_images
    from tfface.data.records.inspection import inspect_dataset
    from tfface.data.records.inspection_report import REPORT_FILE, write_inspection, write_report
    from tfface.output_paths import check_replaceable, json_mark
    from tfface.reporting.dataset import to_text

    folder = options.dataset
    # The last part of "." or ".." is no name.
    named = folder if folder.name not in ("", "..") else folder.resolve()
    output = options.output or named.with_name(f"{named.name}-inspection")
    mark = json_mark("{", ' "dataset": ', ' "problems": [')
    check_replaceable(output / REPORT_FILE, mark, overwrite=options.overwrite)
    is_ours = not output.exists() or (output / REPORT_FILE).is_file() or not any(output.iterdir())
    if not is_ours and not options.overwrite:
        raise InputError(
            f"{output}: is not empty, and was not written by this tool: choose another folder, or "
            "write into it with --overwrite"
        )
    find_people = _people_finder(options) if options.model else None

    inspection = inspect_dataset(folder, num_workers=options.workers)
    rows, columns = options.sheet
    report = write_inspection(
        output,
        inspection,
        find_duplicate_images(inspection.labels, inspection.digests),
        rows=rows,
        columns=columns,
        seed=options.seed,
    )
    say(to_text(report))
    say(_rate(inspection))
    if inspection.problems:
        lines = _listed(inspection.problems, output / REPORT_FILE)
        raise InputError("\n".join(lines + ["people were not compared"] * bool(find_people)))
    say("all files are as dataset.json and identities.csv say")
    if find_people:
        write_report(output, report | {"same_people": find_people(inspection, output)})
    say(output)


def _people_finder(options: argparse.Namespace):
    """Loads model and verification sets, so that what is wrong with them is found first of all."""
    from tfface.data.pairs import load_pair_set
    from tfface.data.records import manifest
    from tfface.evaluation.embedders.embedder import load_embedder
    from tfface.gallery.duplicate_identities import check_search, find_duplicate_identities
    from tfface.gallery.duplicate_report import write_duplicate_identities

    dataset, _ = manifest.read_with_problems(options.dataset)
    embedder = load_embedder(options.model, batch_size=options.batch_size)
    pair_sets = [
        load_pair_set(pairs, images_dir=options.image_root) for pairs in options.overlap_with
    ]
    check_search(dataset.identities, pair_sets, within_source=options.within_source)

    def find(inspection, output: Path) -> dict:
        search = find_duplicate_identities(
            inspection,
            embedder,
            pair_sets,
            images_per_identity=options.images_per_identity,
            threshold=options.threshold,
            against_threshold=options.overlap_threshold,
            within_source=options.within_source,
            seed=options.seed,
            log=lambda line: say(line),
        )
        paths = write_duplicate_identities(search, output, seed=options.seed)
        say(search.as_text())
        say("\n".join(f"  {path}" for path in paths))
        return search.to_dict()

    return find


def _rate(inspection) -> str:
    seconds = max(inspection.seconds, 1e-9)
    num_bytes = sum(shard.bytes for shard in inspection.dataset.shards)
    return (
        f"read in {seconds:.1f} s: {len(inspection.labels) / seconds:,.0f} images/s, "
        f"{num_bytes / 1e6 / seconds:,.0f} MB/s"
    )


def _listed(problems: list[str], report: Path) -> list[str]:
    count = "1 thing is" if len(problems) == 1 else f"{len(problems):,} things are"
    lines = [f"{count} wrong:", *problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS:,} more: all are listed in {report}")
    return lines


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    parser.add_argument(
        "dataset",
        type=command.path,
        metavar="D",
        help="a folder that tfface convert wrote",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=command.path,
        metavar="DIR",
        help="folder to write (default: D-inspection)",
    )
    outputs.add_overwrite(parser, "--output")
    parser.add_argument(
        "--workers", type=command.workers, metavar="N", help="threads (default: one per CPU)"
    )
    parser.add_argument(
        "--seed",
        type=command.natural,
        default=0,
        metavar="N",
        help="random seed (default: 0)",
    )
    parser.add_argument(
        "--sheet",
        type=_sheet,
        default=(10, 8),
        metavar="NxM",
        help="N identities with M images each on contact_sheet.png (default: 10x8)",
    )
    people = parser.add_argument_group("options: same people")
    people.add_argument(
        "--model",
        type=command.path_text,
        metavar="MODEL",
        help="a run folder, a .keras, .onnx or .tflite file, or the word pixels",
    )
    people.add_argument(
        "--overlap-with",
        nargs="+",
        default=[],
        metavar="SET",
        help="verification sets, as evaluate verification --pairs takes them: find the identities "
        "that are in them",
    )
    people.add_argument(
        "--image-root",
        type=command.path,
        metavar="DIR",
        help="images of a pairs.txt (default: the folder images beside it)",
    )
    people.add_argument(
        "--overlap-threshold",
        type=_similarity,
        metavar="T",
        help="smallest similarity to an image of a set at which an identity counts as in the set "
        "(default: 0.4; raised if different people of one source are more alike)",
    )
    people.add_argument(
        "--threshold",
        type=_similarity,
        metavar="T",
        help="smallest similarity at which identities of two sources count as one person "
        "(default: 0.3; raised if different people of one source are more alike)",
    )
    people.add_argument(
        "--within-source",
        action="store_true",
        help="compare the identities of one source with each other, too",
    )
    people.add_argument(
        "--images-per-identity",
        type=command.positive,
        default=8,
        metavar="N",
        help="embed at most so many of each identity (default: 8)",
    )
    people.add_argument(
        "--batch-size",
        type=command.batch_size,
        default=EMBED_BATCH_SIZE,
        metavar="N",
        help="images at a time",
    )
    options = parser.parse_args(arguments)
    if not options.model and (options.overlap_with or options.within_source):
        parser.error("--overlap-with and --within-source need a --model")
    return options


def _sheet(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    try:
        return command.cells(rows), command.cells(columns)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"must be identities x images of each, as in 10x8, got '{text}'; at most 100x100"
        ) from None


def _similarity(text: str) -> float:
    return command.number(text, lambda value: 0 < value <= 1, "above 0 and at most 1")
