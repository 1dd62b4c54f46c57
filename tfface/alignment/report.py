"""The report of an alignment: report.csv, and the contact sheet of faces and photos without one."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfface import seeding
from tfface.alignment.faces import Face
from tfface.alignment.photos import read_photo
from tfface.errors import InputError
from tfface.face_template import LANDMARK_NAMES
from tfface.files import replacing
from tfface.names import safe_row
from tfface.reporting.contact_sheet import draw_contact_sheet

# photo       its path within the source
# output      the aligned face's path within the output; empty where none was written
# face        1 for the most important face of use, 2 for the next, ...; then those of no use
# x ... height  its box, in pixels of the photo after EXIF orientation
# ..._x, ..._y  its landmarks, likewise; left and right are those of the picture
# confidence  0..1
# num_faces   faces in the photo of at least --min-confidence
# turned      degrees the photo has to be turned counter-clockwise for the face to stand upright
# reason      why nothing was written; empty where something was
FIELDS = (
    *("photo", "output", "face", "x", "y", "width", "height"),
    *(f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy"),
    *("confidence", "num_faces", "turned", "reason"),
)

# By which `output_paths.check_replaceable` knows a report.
REPORT_MARK = re.compile(rb"\A" + ",".join(FIELDS).encode())

Row = dict[str, str | int | float]


def photo_row(photo: str, reason: str) -> Row:
    """Returns the row of a photo without any face."""
    return {"photo": photo, "num_faces": 0, "reason": reason}


def face_row(
    photo: str,
    face: Face,
    *,
    number: int | None,
    num_faces: int,
    turned: int,
    output: str = "",
    reason: str = "",
) -> Row:
    """Returns the row of a face; `number` is None for one that is not sure enough to be counted."""
    left, top, right, bottom = face.box
    places = [left, top, right - left, bottom - top, *face.landmarks.ravel()]
    return {
        "photo": photo,
        "output": output,
        "face": "" if number is None else number,
        **dict(zip(FIELDS[3:17], (round(float(place), 1) for place in places), strict=True)),
        "confidence": round(face.confidence, 4),
        "num_faces": num_faces,
        "turned": turned,
        "reason": reason,
    }


def write_report(path: Path, rows: Iterable[Row]) -> None:
    """Writes the rows as CSV.

    Raises InputError: the file can't be written.
    """
    # Names of files are bytes that need not be text.
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, FIELDS, restval="")
        writer.writeheader()
        writer.writerows(dict(zip(row, safe_row(row.values()), strict=True)) for row in rows)


# So many at most, else a sample.
_MOST_FACES, _MOST_WITHOUT = 200, 100
_CELL = 112
_RED, _GREY = (200, 0, 0), (225, 225, 225)


def draw_sheet(path: Path, root: Path, output: Path, rows: Iterable[Row]) -> None:
    """Draws the aligned faces and then, framed in red, the photos that have none.

    Of more than 200 faces, or 100 such photos, a sample is shown, the same each time.

    Args:
        path: the PNG.
        root: the folder that photos' paths start from.
        output: the folder that faces' paths start from.
        rows: of the report, all of them.
    Raises InputError: the file can't be written.
    """
    faces: list[str] = []
    without: dict[str, str] = {}
    with_face: set[str] = set()
    for row in rows:
        if row.get("output"):
            faces.append(row["output"])
            with_face.add(row["photo"])
        else:
            without.setdefault(row["photo"], row["reason"])
    failures = [(photo, reason) for photo, reason in without.items() if photo not in with_face]
    shown_faces, shown_failures = (
        [items[number] for number in seeding.sample(len(items), most)]
        for items, most in ((faces, _MOST_FACES), (failures, _MOST_WITHOUT))
    )
    pictures = [_face(output / face) for face in shown_faces]
    pictures += [_framed(root / photo) for photo, _ in shown_failures]
    captions = [*shown_faces, *(f"{photo}\n{reason}" for photo, reason in shown_failures)]
    title = f"{_count(shown_faces, faces)} aligned faces"
    if failures:
        title += f"; {_count(shown_failures, failures)} photos without one, framed in red"
    if len(shown_faces) < len(faces) or len(shown_failures) < len(failures):
        title += " (a random sample, seed 0)"
    draw_contact_sheet(path, pictures, captions, title=title, cell=_CELL)


def _count(shown: list, all_of_them: list) -> str:
    if len(shown) == len(all_of_them):
        return f"{len(shown):,}"
    return f"{len(shown):,} of {len(all_of_them):,}"


def _face(path: Path) -> np.ndarray:
    try:
        return np.asarray(read_photo(path))
    except InputError:  # removed by hand since
        return np.asarray(_nothing())


def _framed(path: Path) -> np.ndarray:
    try:
        picture = read_photo(path)
        picture.thumbnail((_CELL, _CELL), Image.Resampling.BICUBIC, reducing_gap=3)
    except InputError:
        picture = _nothing()
    corner = (picture.width - 1, picture.height - 1)
    ImageDraw.Draw(picture).rectangle((0, 0, *corner), outline=_RED, width=2)
    return np.asarray(picture)


def _nothing() -> Image.Image:
    """In place of a picture that can't be read."""
    picture = Image.new("RGB", (_CELL, _CELL), _GREY)
    drawing = ImageDraw.Draw(picture)
    drawing.line((0, 0, _CELL, _CELL), fill=_RED)
    drawing.line((0, _CELL, _CELL, 0), fill=_RED)
    return picture
