"""Converts face images of any source into a dataset folder of record files."""

import argparse
from pathlib import Path

import command

_DESCRIPTION = """\
Writes face images as a dataset folder: dataset.json, identities.csv and TFRecord files with the
images' bytes unchanged, shuffled together. Every image is decoded once; one that can't be is named.

A SOURCE is a folder with one folder per identity, a converted dataset, a .tfrecord file or a folder
of them. name=PATH says what to call it in identities.csv; several sources are joined, and people of
the same name in two of them stay two identities.
"""

_EXAMPLE = """\
example:
  python tools/convert_tfrecord.py lfw=data/lfw/images --min-images 2 --output data/lfw_tfrecord

A conversion that was stopped goes on with --resume, and gives the same bytes as one that was not.
The last line printed is the output's path.
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="PATH or name=PATH")
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder to write")
    parser.add_argument(
        "--format",
        default="auto",
        help="of the sources: auto (the default, looks at each), folder, tfrecord",
    )
    parser.add_argument(
        "--shards",
        type=_positive,
        metavar="N",
        help="number of record files (default: one per 2,048 images, 256 at most)",
    )
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="threads (default: one per CPU)"
    )
    parser.add_argument(
        "--seed", type=_natural, default=0, metavar="S", help="of the shuffle (default: 0)"
    )
    parser.add_argument(
        "--identities",
        type=Path,
        metavar="FILE",
        help="only these people: a text file with a name first on each line, such as LFW's "
        "peopleDevTrain.txt",
    )
    parser.add_argument(
        "--min-images",
        type=_positive,
        default=1,
        metavar="N",
        help="leave out identities with fewer images",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a conversion that was stopped"
    )
    options = parser.parse_args(arguments)

    command.import_tensorflow_quietly()
    from tfface.data.convert import convert

    try:
        done = convert(
            options.sources,
            options.output,
            format=options.format,
            num_shards=options.shards,
            num_workers=options.workers,
            seed=options.seed,
            identities_file=options.identities,
            min_images=options.min_images,
            resume=options.resume,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; the same command with --resume goes on from the files that are finished"
        ) from None
    dataset = done.dataset
    for why, num_identities, num_images in done.left_out:
        print(f"left out, {why}: {num_images:,} images of {num_identities:,} identities")
    print(
        f"{'already converted' if done.was_finished else 'converted'}: "
        f"{dataset.num_images:,} images of {len(dataset.identities):,} identities "
        f"in {len(dataset.shards)} files"
    )
    print(options.output)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got '{text}'")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, got '{text}'")
    return int(text)


if __name__ == "__main__":
    command.run(main)
