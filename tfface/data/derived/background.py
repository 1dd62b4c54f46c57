"""Removes the background of faces."""

import csv
import importlib.util
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from tfface import seeding
from tfface.data.derived.class_folders import image_stems
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.opening import OpenedSource
from tfface.errors import InputError
from tfface.files import replacing
from tfface.folder_lock import locked
from tfface.images.decoding import decode_whole
from tfface.images.encoding import EXTENSIONS, write_encoded, write_picture
from tfface.names import safe_row
from tfface.output_paths import check_output
from tfface.progress import image_workers
from tfface.reporting.contact_sheet import (
    CONTACT_SHEET_FILE,
    PICTURE_MARK,
    draw_contact_sheet,
    framed,
    side_by_side,
)
from tfface.resumable_output import ResumableOutput

# Larger images are downscaled, which saves time and does not reduce the quality.
_LONGEST_SIDE = 400
_ITERATIONS = 5
# Ellipses in an image of 1 x 1, (center x, center y, half width, half height): certainly the face,
# probably the person, and the limit outside of which is background.
_FACE = (0.5, 0.55, 0.3, 0.4)
_PERSON = (0.5, 0.5, 0.5, 0.62)
_LIMIT = (0.5, 0.62, 0.62, 0.72)
# Fraction of the image; with smaller changes of the initial mask, nothing was found.
_LEAST = 0.01


def find_foreground(image: np.ndarray, margin: float = 0.0) -> tuple[np.ndarray | None, str]:
    """Segments the person in an image, including hair, by GrabCut.

    GrabCut (Rother et al., SIGGRAPH 2004) learns the colors of person and background from an
    initial mask, and moves the border to edges of the image. Initially, an ellipse in the middle is
    certainly the face, a larger one probably the person, and everything outside of a third one,
    which excludes the upper corners, certainly background. (From a rectangle, the usual initial
    mask, it removes foreheads and sometimes whole faces.) Parts that are not connected to the face
    are then removed, and holes are filled.

    The defaults suit aligned faces of 112 pixels, and portraits that are filled by a face.

    Args:
        image: uint8 [height, width, 3], RGB.
        margin: distance of the ellipses from the border, as a fraction of height and width, in
            [0, 0.45]. Increase it for faces that fill less of their photo.

    Returns:
        The mask, bool [height, width], and ""; or None and the reason. It is deterministic.
    """
    height, width = image.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    small = image if scale >= 1 else _resized(image, scale)
    guess = _guess(*small.shape[:2], margin=margin)
    face = guess == cv2.GC_FGD
    if not face.any():
        return None, "too few pixels"
    try:
        found = _grab_cut(small, guess)
    except cv2.error:
        # Person or background has no pixels.
        return None, "GrabCut could not start"
    # No background beyond the initial mask.
    if found.mean() > (guess != cv2.GC_BGD).mean() - _LEAST:
        return None, "no background found"
    if found.mean() < face.mean() + _LEAST:
        return None, "no person found"
    found = _one_part(found, face)
    if small is not image:
        mask = Image.fromarray(found.astype(np.uint8) * 255)
        found = np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) > 127
    return found, ""


def _guess(height: int, width: int, margin: float) -> np.ndarray:
    """Returns the initial mask: uint8 [height, width] of cv2.GC_..."""
    guess = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    guess[_ellipse(height, width, _PERSON, margin)] = cv2.GC_PR_FGD
    guess[~_ellipse(height, width, _LIMIT, margin)] = cv2.GC_BGD
    guess[_ellipse(height, width, _FACE, margin)] = cv2.GC_FGD
    return guess


def _ellipse(
    height: int, width: int, place: tuple[float, float, float, float], margin: float
) -> np.ndarray:
    """Returns the mask of an ellipse: bool [height, width]."""
    kept = 1 - 2 * margin
    # Scaled about the center of the image.
    x, y, half_width, half_height = (
        0.5 + (place[0] - 0.5) * kept,
        0.5 + (place[1] - 0.5) * kept,
        place[2] * kept,
        place[3] * kept,
    )
    rows = ((np.arange(height) + 0.5) / height - y) / half_height
    columns = ((np.arange(width) + 0.5) / width - x) / half_width
    return rows[:, None] ** 2 + columns**2 < 1


def _grab_cut(image: np.ndarray, guess: np.ndarray) -> np.ndarray:
    # Its initial clusters are random; the generator is local to the thread.
    cv2.setRNGSeed(0)
    mask = guess.copy()
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, mask, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _one_part(found: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Keeps the part that is connected to the face, without holes and single pixels."""
    smooth = cv2.medianBlur(found.astype(np.uint8), 3).astype(bool) | face
    _, parts = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    kept = parts == parts[face][0]
    # Everything else that does not touch the border of the image is a hole.
    _, rest = cv2.connectedComponents((~kept).astype(np.uint8), connectivity=4)
    edge = np.concatenate([rest[0], rest[-1], rest[:, 0], rest[:, -1]])
    return kept | ~np.isin(rest, edge)


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size))


REPORT = "report.csv"
_REPORT_FIELDS = ("image", "original", "foreground", "reason")
_REPORT_MARK = re.compile(rb"\A" + ",".join(_REPORT_FIELDS).encode())
FILLS = ("black", "white", "grey", "mean")
METHODS = ("grabcut", "rembg")
# From this fraction of kept pixels on, an image looks unchanged.
HARDLY_CHANGED = 0.95
_GREYS = {"black": 0, "white": 255, "grey": 128}
# On the contact sheet at most, else a sample.
_MOST_SHOWN, _MOST_KEPT_SHOWN = 60, 30
_CELL = 112
_RED = "#C80000"

Mask = Callable[[np.ndarray], tuple[np.ndarray | None, str]]


@dataclass(frozen=True)
class BackgroundOptions:
    """Options of `remove_background`.

    Attributes:
        method: `grabcut`, or `rembg` (a network; the package of that name).
        margin: see `find_foreground`.
        fill: one of `FILLS`; `mean` is the mean color of the image.
        format: `jpeg` or `png`.

    Raises:
        InputError: a value is out of its range.

    Example:
        >>> BackgroundOptions(fill="blue")
        Traceback (most recent call last):
        tfface.errors.InputError: fill 'blue': must be one of black, white, grey, mean
    """

    method: Literal["grabcut", "rembg"] = "grabcut"
    margin: float = 0.0
    fill: Literal["black", "white", "grey", "mean"] = "black"
    format: Literal["jpeg", "png"] = "jpeg"

    def __post_init__(self):
        known = {
            "method": METHODS,
            "fill": FILLS,
            "format": tuple(EXTENSIONS),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise InputError(
                    f"{name} '{getattr(self, name)}': must be one of {', '.join(values)}"
                )
        if not 0 <= self.margin <= 0.45:
            raise InputError(f"margin {self.margin:g}: must be from 0 to 0.45")


@dataclass(frozen=True)
class BackgroundSummary:
    """A summary of `remove_background`.

    Attributes:
        num_images: all images.
        num_kept: images that are unchanged, because nothing was found.
        num_hardly: other images that hardly changed.
    """

    num_images: int
    num_kept: int
    num_hardly: int


def remove_background(
    opened: OpenedSource, output: Path, options: BackgroundOptions, num_workers: int
) -> BackgroundSummary:
    """Writes every image with its background filled, as OUTPUT/IDENTITY/NAME.

    Images without a result are copied unchanged. OUTPUT/report.csv has a row for each image:

        image       its path in the output
        original    its path in the source
        foreground  fraction of kept pixels, 0..1; empty without a result
        reason      why the image is unchanged; else empty

    OUTPUT/contact_sheet.png shows a sample before and after, and images that were kept.

    Args:
        output: a new folder, or that of the same command after an interruption.
        num_workers: threads.

    Raises:
        InputError: the output can't be used, or another process is writing it; an image can't be
            decoded; or the method isn't installed.
    """
    source = opened.source
    check_output(opened.paths, output)
    find = _method(options)
    how = {
        "made by": "make_remove_background",
        **asdict(options),
        "source": source.fingerprint,
    }
    stems = image_stems(source)
    with locked(output):
        made = ResumableOutput(output, how)
        made.check_reports({REPORT: _REPORT_MARK, CONTACT_SHEET_FILE: PICTURE_MARK}, stems)
        made.start()
        left = [index for index in range(source.num_images) if stems[index] not in made.done]

        def remove(index: int, advance) -> tuple[str, dict]:
            entry = _remove(source, index, stems[index], output, options, find)
            advance(1)
            return stems[index], entry

        with image_workers(num_workers, len(left), "removing backgrounds") as (submit, _):
            futures = [submit(remove, index) for index in left]
            for future in futures:
                made.append(*future.result())
        entries = [made.done[stem] for stem in stems]
        _write_report(output / REPORT, source, entries)
        _draw_sheet(output, source, entries)
    kept = sum(bool(entry["reason"]) for entry in entries)
    hardly = sum(not e["reason"] and e["foreground"] >= HARDLY_CHANGED for e in entries)
    return BackgroundSummary(len(entries), kept, hardly)


def fill_background(image: np.ndarray, mask: np.ndarray, fill: str) -> np.ndarray:
    """Returns a copy of uint8 [height, width, 3] with `fill` where bool [height, width] is False.

    Args:
        fill: one of `FILLS`.
    """
    result = image.copy()
    color = image.mean(axis=(0, 1)).round() if fill == "mean" else _GREYS[fill]
    result[~mask] = color
    return result


def _remove(
    source: ImageSource,
    index: int,
    stem: str,
    output: Path,
    options: BackgroundOptions,
    find: Mask,
) -> dict:
    """Writes an image; returns its entry of the report."""
    encoded = source.read(index).encoded
    image = decode_whole(encoded, source.filename(index))
    mask, reason = find(image)
    if mask is None:
        name = write_encoded(stem, output, encoded)
        return {"image": name, "foreground": "", "reason": reason}
    name = stem + EXTENSIONS[options.format]
    write_picture(output / name, fill_background(image, mask, options.fill), options.format)
    return {"image": name, "foreground": round(float(mask.mean()), 4), "reason": ""}


def _method(options: BackgroundOptions) -> Mask:
    if options.method == "grabcut":
        return lambda image: find_foreground(image, options.margin)
    if importlib.util.find_spec("rembg") is None:
        raise InputError(
            "method 'rembg': the package rembg is not installed: pip install 'rembg[cpu]' (it "
            "downloads its network when it is first used), or use grabcut"
        )
    import rembg

    session = rembg.new_session()

    def find(image: np.ndarray) -> tuple[np.ndarray | None, str]:
        mask = np.asarray(rembg.remove(image, session=session, only_mask=True)) > 127
        if mask.all():
            return None, "no background found"
        return (mask, "") if mask.any() else (None, "no person found")

    return find


def _write_report(path: Path, source: ImageSource, entries: list[dict]) -> None:
    # File names may not be valid text.
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        table = csv.writer(file)
        table.writerow(_REPORT_FIELDS)
        for index, entry in enumerate(entries):
            row = [entry["image"], source.filename(index), entry["foreground"], entry["reason"]]
            table.writerow(safe_row(row))


def _draw_sheet(output: Path, source: ImageSource, entries: list[dict]) -> None:
    """Draws images before and after; then, framed in red, unchanged ones."""
    kept = [index for index, entry in enumerate(entries) if entry["reason"]]
    removed = [index for index, entry in enumerate(entries) if not entry["reason"]]
    shown, shown_kept = (
        [indices[number] for number in seeding.sample(len(indices), most)]
        for indices, most in ((removed, _MOST_SHOWN), (kept, _MOST_KEPT_SHOWN))
    )
    pictures, captions = [], []
    for index in shown:
        pair = [_original(source, index), _written(output, entries[index])]
        pictures.append(side_by_side(pair, _CELL))
        captions.append(entries[index]["image"])
    for index in shown_kept:
        pictures.append(framed(_original(source, index), _RED))
        captions.append(f"{entries[index]['image']}\n{entries[index]['reason']}")
    title = f"{len(shown):,} of {len(removed):,} images before and after"
    if kept:
        title += f"; {len(shown_kept):,} of {len(kept):,} where nothing was found, framed in red"
    draw_contact_sheet(
        output / CONTACT_SHEET_FILE,
        pictures,
        captions,
        title=title,
        columns=5,
        cell=(_CELL, 2 * _CELL + 4),
    )


def _original(source: ImageSource, index: int) -> np.ndarray:
    return decode_whole(source.read(index).encoded, source.filename(index))


def _written(output: Path, entry: dict) -> np.ndarray:
    return decode_whole((output / entry["image"]).read_bytes(), entry["image"])
