"""report.csv: one row for every face that was found, and for every photo without one."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from tfface.alignment.faces import Face
from tfface.alignment.template import LANDMARK_NAMES
from tfface.files import replacing
from tfface.names import safe_row

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

# By which `files.check_replaceable` knows a report.
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
