"""Makes new images of each person by exchanging patches between two images of the same person."""

import argparse

from tfface.cli import command, made_faces
from tfface.errors import say, warn

_DESCRIPTION = """\
Makes new images of each person: two images of the person exchange a rectangle, which gives two new
ones. Labels stay what they are ("one-class CutMix"), so the output is trained on like any folder of
people. SRC is a folder with one folder per person, a converted dataset, or whatever else
'tfface convert' reads; OUT gets PERSON/cutmix_00001.jpg and so on, and the originals as they are.
OUT/contact_sheet.png shows pairs and what was made of them.
"""

_EXAMPLE = """\
example:
  tfface cutmix data/my_faces data/my_faces_cutmix --per-class 8

The same SRC, options and seed give the same images. A command that was stopped goes on when it is
given again. The last line printed is OUT.
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.derived.cutmix import CutMixOptions, make_cutmix

    how = CutMixOptions(
        per_class=options.per_class,
        area=tuple(options.area),
        with_originals=not options.no_originals,
        format=options.output_format,
        seed=options.seed,
    )
    source = made_faces.open_source(options)
    with command.interruptible("the same command goes on where it was"):
        done = make_cutmix(source, options.output, how, options.workers)
    if done.alone:
        warn(
            f"{len(done.alone):,} people have one image, and nothing to exchange with: "
            f"{', '.join(done.alone[:5])}{', ...' if len(done.alone) > 5 else ''}"
        )
    originals = f" and {done.num_originals:,} originals" if done.num_originals else ""
    say(f"made: {done.num_made:,} new images{originals}")
    say(options.output)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=_DESCRIPTION, epilog=_EXAMPLE)
    made_faces.add(parser, of_format="new images")
    parser.add_argument(
        "--per-class",
        type=command.positive,
        required=True,
        metavar="N",
        help="new images of each person",
    )
    parser.add_argument(
        "--area",
        type=float,
        nargs=2,
        default=(0.1, 0.5),
        metavar=("LOW", "HIGH"),
        help="range from which the exchanged share of each image is drawn (default: 0.1 0.5)",
    )
    parser.add_argument("--no-originals", action="store_true", help="write the new images alone")
    parser.add_argument(
        "--seed",
        type=command.natural,
        default=0,
        metavar="N",
        help="seed of all draws (default: 0)",
    )
    return parser.parse_args(arguments)
