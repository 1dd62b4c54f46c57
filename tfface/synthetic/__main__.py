"""Writes a contact sheet of synthetic faces: `python -m tfface.synthetic faces.png`."""

import argparse
import sys

from PIL import Image

from tfface.errors import InputError
from tfface.files import replacing
from tfface.synthetic import contact_sheet

_NUM_COLORS = 96


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tfface.synthetic",
        description="Write a sheet of synthetic faces: a row per identity, a column per picture.",
        epilog="example: python -m tfface.synthetic docs/synthetic_faces.png",
    )
    parser.add_argument("output", help="the PNG file to write")
    parser.add_argument("--identities", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first identity")
    parser.add_argument("--images", type=int, default=8, help="pictures of each identity")
    parser.add_argument("--size", type=int, default=112, help="side of a face in pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        rows = range(options.first, options.first + options.identities)
        sheet = Image.fromarray(contact_sheet(rows, options.images, options.size, options.seed))
        with replacing(options.output) as path:
            # A palette is enough to look at, and a quarter of the bytes.
            palette = sheet.quantize(_NUM_COLORS, kmeans=2, dither=Image.Dither.NONE)
            palette.save(path, optimize=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(options.output)


if __name__ == "__main__":
    main()
