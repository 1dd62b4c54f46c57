"""Converts face images of any source into a dataset folder of record files."""

import argparse
from pathlib import Path

from tfface.cli import command
from tfface.errors import say

_DESCRIPTION = """\
Writes face images as a dataset folder: dataset.json, identities.csv and TFRecord files with the
images' bytes unchanged, shuffled together. Every image is decoded once; one that can't be is named.

A SOURCE is PATH or NAME=PATH. What a path holds is detected, or given by --input-format:
  folder    one folder per identity, with JPEG, PNG or BMP images at any depth below it
  recordio  InsightFace's train.rec, train.idx and property, or a .rec of im2rec
  csv       a list of images with the columns path and identity; further ones become attributes
  list      a text file with a line PATH LABEL for each image
  webdataset, parquet   shards of images with their labels, .tar or .parquet
  kface     K-Face's SUBJECT/S001/L1/E01/C1.jpg
  tfrecord  a converted dataset, or arcface-tf2's .tfrecord files
  tface     TFace's shards with their index
  tfds      the name of a set of tensorflow-datasets, or a folder that it prepared
With options a source is written as in a recipe: NAME={source: kface, path: PATH, crop: box}.
Several sources are merged; people of the same name in two of them stay two identities. In a
union they are one: 'NAME={source: union, of: [{source: folder, path: A}, {source: csv, path: B}]}'.
"""

_EXAMPLE = """\
example:
  tfface convert lfw=data/lfw/images --min-images 2 --output data/lfw_tfrecord
  tfface convert --source ms1m=data/faces_emore --source kface=data/kface/High \\
      --exclude data/same_people.csv --output data/ms1m_kface

A conversion that was stopped, at whatever moment, goes on when the same command is given again, and
gives the same bytes as one that was not. The last line printed is the output's path.

Datasets that an earlier version wrote have no file of labels, so each start of a training reads all
records for them. This reads them once and adds the file:
  tfface convert --add-labels data/lfw_tfrecord
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    if options.add_labels is not None:
        _add_labels(options.add_labels)
        return
    from tfface.data.records.conversion import convert

    with command.interruptible("the same command goes on from the files that are finished"):
        done = convert(
            options.sources,
            options.output,
            format=options.format,
            num_shards=options.shards,
            num_workers=options.workers,
            seed=options.seed,
            identities_file=options.include,
            exclude_file=options.exclude,
            min_images=options.min_images,
            size=options.image_size,
            quality=options.quality,
            on_bad_image=options.on_bad_image,
        )
    dataset = done.dataset
    for why, num_identities, num_images in dataset.left_out:
        say(f"left out, {why}: {num_images:,} images, {num_identities:,} identities")
    say(
        f"{'already converted' if done.was_finished else 'converted'}: "
        f"{dataset.num_images:,} images of {len(dataset.identities):,} identities "
        f"in {len(dataset.shards)} files"
    )
    if len(dataset.sources) > 1:
        for source in dataset.sources:
            say(
                f"  {source.name} ({source.format}): {source.num_images:,} images of "
                f"{source.num_identities:,} identities"
            )
    for note in done.notes:
        say(f"  {note}")
    say(options.output)


def _add_labels(folder: Path) -> None:
    from tfface.data.records import labels_file

    with command.interruptible("the same command can be given again"):
        dataset, was_there = labels_file.add(folder)
    done = "already there" if was_there else "added"
    say(f"{done}: {labels_file.LABELS_FILE}, the labels of {dataset.num_images:,} images")
    say(folder)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=_DESCRIPTION, epilog=_EXAMPLE)
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="what to convert, see above")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="SOURCE",
        help="another SOURCE; may be given several times",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=command.path,
        metavar="DIR",
        help="folder to write",
    )
    parser.add_argument(
        "--add-labels",
        type=command.path,
        metavar="FOLDER",
        help="give a dataset folder of an earlier version its file of labels; without SOURCE and "
        "other options",
    )
    parser.add_argument(
        "--format",
        "--input-format",
        default="auto",
        help="format of the sources: auto (the default, looks at each) or one of the above",
    )
    parser.add_argument(
        "--shards",
        type=command.shards,
        metavar="N",
        help="number of record files (default: one per 2,048 images, 256 at most)",
    )
    parser.add_argument(
        "--workers", type=command.workers, metavar="N", help="threads (default: two per CPU)"
    )
    parser.add_argument(
        "--seed",
        type=command.natural,
        default=0,
        metavar="N",
        help="seed of the shuffle (default: 0)",
    )
    parser.add_argument(
        "--include",
        type=command.path,
        metavar="FILE",
        help="only these people: a text file with a name first on each line, such as LFW's "
        "peopleDevTrain.txt, or a CSV file with the columns name and source",
    )
    parser.add_argument(
        "--exclude",
        type=command.path,
        metavar="FILE",
        help="leave out these people: such a file, or the exclude.csv of tfface inspect",
    )
    parser.add_argument(
        "--min-images",
        type=command.positive,
        default=1,
        metavar="N",
        help="leave out identities with fewer images",
    )
    parser.add_argument(
        "--image-size",
        type=command.image_size,
        metavar="HxW",
        help="resize images to N x N pixels, or HEIGHTxWIDTH; those of that size stay as they are",
    )
    parser.add_argument(
        "--quality",
        type=command.quality,
        metavar="Q",
        help="encode all images anew, as JPEG of this quality, 1 to 100",
    )
    parser.add_argument(
        "--on-bad-image",
        choices=["error", "skip"],
        default="error",
        help="skip leaves out images that can't be decoded and lists them in rejected.csv",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="has no effect: a stopped conversion always resumes",
    )
    options = parser.parse_args(arguments)
    options.sources += options.source
    if options.add_labels is not None:
        alone = parser.parse_args(["--add-labels", str(options.add_labels)])
        if options != alone:
            parser.error("--add-labels takes a FOLDER, and neither a SOURCE nor other options")
        return options
    if options.output is None:
        parser.error("the following arguments are required: -o/--output")
    if not options.sources:
        parser.error("give at least one SOURCE")
    return options
