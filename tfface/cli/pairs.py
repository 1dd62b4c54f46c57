"""Makes a verification set of labeled faces, or writes one in another format."""

import argparse

from tfface.cli import command, outputs
from tfface.errors import say

_DESCRIPTION = """\
Writes a verification set as an InsightFace .bin or as a .csv, by the name of the output.

Where DATASET is labeled faces (a folder with one folder per identity, a converted dataset, or
whatever else 'tfface convert' reads), pairs are made of them: as many genuine as impostor pairs,
in folds that have no person in common. Where it is a verification set (LFW's pairs.txt, a .csv of
pairs, a .bin, a bcolz folder), its pairs are written as they are. Every image is decoded once;
those that can't be are named.

X.csv has its images in the folder X_images beside it.
"""

_EXAMPLE = """\
examples:
  tfface pairs data/my_faces --output my_faces.bin
  tfface pairs data/lfw/pairs.txt --output lfw.bin
  tfface pairs data/kface --first pose=C7 --second pose=C1,C13 --output profile.csv

The last line printed is the output's path.
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.pairs.pair_file import PairOptions, make_pair_file

    # What isn't said has to stay unsaid: a verification set that is written as it is takes none.
    said = {
        name: value
        for name in ("num_pairs", "num_folds", "seed", "first", "second", "group_by")
        if (value := getattr(options, name)) is not None
    }
    made = make_pair_file(
        options.dataset,
        options.output,
        format=options.input_format,
        images_dir=options.image_root,
        with_images=not options.no_images,
        options=PairOptions(**said) if said else None,
        overwrite=options.overwrite,
    )
    of = "" if made.num_identities is None else f" of {made.num_identities:,} identities"
    say(f"pairs: {made.num_pairs:,} in {made.num_folds} folds, {made.num_genuine:,} genuine")
    say(f"images: {made.num_images:,}{of}")
    if made.groups_left_out:
        say("left out: the groups of the pairs, for which a .bin has no place")
    if made.images_dir is not None:
        say(f"its images are read with --image-root {made.images_dir}")
    say(options.output)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=_DESCRIPTION, epilog=_EXAMPLE)
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="a SOURCE as 'tfface convert' takes it, or a set of pairs",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=command.path,
        required=True,
        metavar="FILE",
        help="file to write, X.bin or X.csv",
    )
    outputs.add_overwrite(parser, "--output")
    parser.add_argument(
        "--input-format",
        default="auto",
        help="format of labeled faces, as 'tfface convert' takes it (default: auto)",
    )
    parser.add_argument(
        "--image-root",
        type=command.path,
        metavar="DIR",
        help="images of a list of pairs (default: the folder images beside it)",
    )
    parser.add_argument(
        "--no-images",
        action="store_true",
        help="write a .csv alone, which names the files of a folder of labeled faces",
    )
    made = parser.add_argument_group("how pairs are made of labeled faces")
    made.add_argument(
        "--num-pairs",
        type=command.positive,
        metavar="N",
        help="pairs to make (default: as many as there can be, 6000 at most)",
    )
    made.add_argument(
        "--folds",
        dest="num_folds",
        type=command.folds,
        metavar="N",
        help="folds of cross-validation (default: 10)",
    )
    made.add_argument(
        "--seed", type=command.natural, metavar="N", help="seed of the choice (default: 0)"
    )
    for which in ("first", "second"):
        made.add_argument(
            f"--{which}",
            action="append",
            metavar="NAME=VALUE[,VALUE]",
            help=f"the attribute that the {which} image of each pair has; several may be given",
        )
    made.add_argument(
        "--group-by", metavar="NAME", help="an attribute that goes into the column group of a .csv"
    )
    return parser.parse_args(arguments)
