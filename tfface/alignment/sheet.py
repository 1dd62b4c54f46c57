"""The contact sheet of an alignment: its faces, and the photos without one."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfface import seeding
from tfface.alignment.photos import read_photo
from tfface.alignment.report import Row
from tfface.errors import InputError
from tfface.reporting.contact_sheet import draw_contact_sheet

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
    shown_faces, shown_failures = _sample(faces, _MOST_FACES), _sample(failures, _MOST_WITHOUT)
    pictures = [_face(output / face) for face in shown_faces]
    pictures += [_framed(root / photo) for photo, _ in shown_failures]
    captions = [*shown_faces, *(f"{photo}\n{reason}" for photo, reason in shown_failures)]
    title = f"{_count(shown_faces, faces)} aligned faces"
    if failures:
        title += f"; {_count(shown_failures, failures)} photos without one, framed in red"
    if len(shown_faces) < len(faces) or len(shown_failures) < len(failures):
        title += " (a random sample, seed 0)"
    draw_contact_sheet(path, pictures, captions, title=title, cell=_CELL)


def _sample(items: list, most: int) -> list:
    """At most `most` of the items, in their order."""
    chosen = np.sort(seeding.permutation(seeding.fold(0), len(items))[:most])
    return [items[number] for number in chosen]


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
