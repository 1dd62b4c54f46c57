"""From a folder of photos to a folder of aligned faces: what tfface align does.

A photo's faces depend on the photo and the options alone, so an alignment that was stopped anywhere
and goes on ends with the same files as one that was not.
"""

import contextlib
import dataclasses
import hashlib
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tfface import arguments
from tfface.alignment.faces import Detector, find_faces, why_unusable
from tfface.alignment.photos import (
    count_pixels,
    is_readable_format,
    list_photos,
    read_photo,
)
from tfface.alignment.report import (
    REPORT_MARK,
    Row,
    draw_sheet,
    face_row,
    photo_row,
    write_report,
)
from tfface.alignment.template import align_face
from tfface.errors import InputError
from tfface.file_kind import other_kind_of
from tfface.files import check_regular, creating
from tfface.images.listing import files_below
from tfface.images.pillow_decoder import FORMATS
from tfface.output_paths import check_output
from tfface.progress import progress
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE, PICTURE_MARK
from tfface.resumable_output import ResumableOutput

REPORT = "report.csv"
OUTPUT_FORMATS = {"jpeg": ".jpg", "png": ".png"}
_LOG = ".alignment.jsonl"

_MOST_CLASHES_NAMED = 5
_LONGEST_NAME = 255
# Photos of more pixels are worked on one at a time, for the sake of memory.
_LARGE_PIXELS = 40_000_000
_large_photo = threading.Lock()


@dataclass(frozen=True)
class Options:
    """What is made of each photo.

    Attributes:
        height, width: of an aligned face in pixels, 16 to 1024.
        format: a key of `OUTPUT_FORMATS`.
        quality: of JPEG, 1 to 100.
        all_faces: align all faces of a photo, not only the most important one.
        min_confidence: of a face, 0.5 to 1.
        min_size: of a face's box, its shorter side in pixels of the photo; 0 or more.
        detection_size: photos with a longer side are shrunk to it for the search; 64 to 8192.
    Raises InputError: a value is out of its range.
    """

    height: int = 112
    width: int = 112
    format: str = "jpeg"
    quality: int = 95
    all_faces: bool = False
    min_confidence: float = 0.9
    min_size: int = 32
    detection_size: int = 1024

    def __post_init__(self):
        ranges = {
            "height": (16, 1024),
            "width": (16, 1024),
            "quality": (1, 100),
            "min_size": (0, 100_000),
            "detection_size": (64, 8192),
        }
        for name, (least, most) in ranges.items():
            arguments.whole_number(name, getattr(self, name), least, most)
        arguments.number(
            "min_confidence", self.min_confidence, lambda value: 0.5 <= value <= 1, "from 0.5 to 1"
        )
        arguments.one_of("format", self.format, OUTPUT_FORMATS)

    def to_json(self) -> dict[str, str | int | float | bool]:
        """Returns what decides the faces, by the names that users know."""
        values = dataclasses.asdict(self)
        return {"size": f"{values.pop('height')}x{values.pop('width')}", **values}


@dataclass(frozen=True)
class Alignment:
    """An alignment that can be done: the photos, and what was done of them before.

    Attributes:
        root: the folder that photos' paths start from.
        photos: their paths, in order.
        output: the folder to write.
        options: what to make of each.
        log: what is done: photo -> {"bytes", "changed", "rows"}, with rows as in `report`.
        is_finished: there is nothing left to do.
    """

    root: Path
    photos: list[str]
    output: Path
    options: Options
    log: ResumableOutput
    is_finished: bool


@dataclass(frozen=True)
class Summary:
    """What became of the photos.

    Attributes:
        num_photos: all of them.
        num_faces: that were aligned.
        num_without: photos without an aligned face, those that can't be read included.
        num_unreadable: photos that can't be read.
    """

    num_photos: int
    num_faces: int
    num_without: int
    num_unreadable: int


def plan_alignment(source: Path, output: Path, options: Options) -> Alignment:
    """Lists the photos and finds out whether they can be aligned into `output`; writes nothing.

    Args:
        source: a photo, or a folder with photos at any depth.
        output: a new or empty folder, or that of the same alignment, stopped or finished. There
            may be new photos in `source` since, and photos without a face may have changed or gone.
        options: what to make of each photo.
    Raises InputError: there are no photos; two of them would give files of the same name; `output`
        lies in `source`, holds something else, or can't be written; photos with faces there have
        changed or gone.
    """
    root, photos = _photos_of(source)
    check_output([source], output, "faces would be taken for photos")
    _check_names(photos, options)
    log = ResumableOutput(output, options.to_json(), log=_LOG, key="photo", is_entry=_is_entry)
    was_forgotten = _forget_emptied(output, log) or _forget_changed(
        root, photos, source, output, log
    )
    is_finished = not was_forgotten and len(log.done) == len(photos) and (output / REPORT).is_file()
    if not is_finished:
        log.check_reports(
            {REPORT: REPORT_MARK, CONTACT_SHEET_FILE: PICTURE_MARK},
            (_output_name(photo, options, 1) for photo in photos),
        )
    return Alignment(root, photos, output, options, log, is_finished)


def align(
    alignment: Alignment, detector: Detector | None = None, num_workers: int | None = None
) -> Summary:
    """Aligns the faces of all photos that are not done, then writes the report and contact sheet.

    For each face that is aligned there is a picture at the photo's own path, below the output;
    with `all_faces`, `_1`, `_2` and so on are added to the name, 1 being the most important face.

    Args:
        alignment: as planned.
        detector: finds faces; not needed when the alignment is finished.
        num_workers: threads, each with a photo of its own; by default one per CPU.
    Raises InputError: the output can't be written.
    """
    if not alignment.is_finished:
        output = alignment.output
        # What it says will no longer be so.
        (output / REPORT).unlink(missing_ok=True)
        alignment.log.start()
        with warnings.catch_warnings():
            # Of Pillow, about photos that it reads all the same.
            warnings.filterwarnings("ignore", module=r"PIL\b")
            for photo, entry in _work(alignment, detector, num_workers or os.cpu_count() or 1):
                alignment.log.append(photo, entry)
            draw_sheet(output / CONTACT_SHEET_FILE, alignment.root, output, _rows(alignment))
        write_report(output / REPORT, _rows(alignment))
    return _summary(alignment)


def _work(
    alignment: Alignment, detector: Detector, num_workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields photos that were not done before, in order, and their entries, as they are done."""
    left = [photo for photo in alignment.photos if photo not in alignment.log.done]
    pending = deque()
    with (
        progress(total=len(left), description="aligning", unit="photos") as bar,
        ThreadPoolExecutor(num_workers) as workers,
    ):
        try:
            for photo in left:
                pending.append(workers.submit(_align_photo, alignment, detector, photo))
                # Few wait for their turn to be noted: a killed alignment does only these again.
                if len(pending) >= 4 * num_workers:
                    yield pending.popleft().result()
                    bar.update()
            while pending:
                yield pending.popleft().result()
                bar.update()
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def _align_photo(
    alignment: Alignment, detector: Detector, photo: str
) -> tuple[str, dict[str, Any]]:
    path = alignment.root / photo
    entry = _stamp(path)
    is_large = count_pixels(path) > _LARGE_PIXELS
    with _large_photo if is_large else contextlib.nullcontext():
        try:
            picture = read_photo(path)
        except InputError as error:
            return photo, {**entry, "rows": [photo_row(photo, f"can't be read: {error}")]}
        return photo, {**entry, "rows": _align_faces(alignment, detector, photo, picture)}


def _stamp(path: Path) -> dict[str, int]:
    """Returns what tells whether a file has changed: its bytes and time of change, -1 if gone."""
    try:
        found = os.stat(path)
    except OSError:
        return {"bytes": -1, "changed": -1}
    return {"bytes": found.st_size, "changed": found.st_mtime_ns}


def _align_faces(
    alignment: Alignment, detector: Detector, photo: str, picture: Image.Image
) -> list[Row]:
    """Writes the faces of a photo; returns its rows of the report."""
    options = alignment.options
    faces, turned = find_faces(
        detector,
        picture,
        min_confidence=options.min_confidence,
        longest_side=options.detection_size,
    )
    sure = [face for face in faces if face.confidence >= options.min_confidence]
    if not faces:
        return [photo_row(photo, "no face found")]
    if not sure:
        best = max(faces, key=lambda face: face.confidence)
        reason = f"confidence below {options.min_confidence:g}"
        return [face_row(photo, best, number=None, num_faces=0, turned=turned, reason=reason)]
    reasons = [why_unusable(face, picture.size, options.min_size) for face in sure]
    # Faces of use come first, so that their numbers have no gaps.
    order = sorted(range(len(sure)), key=lambda number: reasons[number] != "")
    rows = []
    for number, (face, reason) in enumerate(((sure[i], reasons[i]) for i in order), 1):
        output = ""
        if not reason and number > 1 and not options.all_faces:
            reason = "another face is larger or nearer to the center"
        if not reason:
            output = _output_name(photo, options, number)
            aligned = align_face(picture, face.landmarks, options.height, options.width)
            _write(aligned, alignment.output / output, options)
        told = {"turned": turned, "output": output, "reason": reason}
        rows.append(face_row(photo, face, number=number, num_faces=len(sure), **told))
    return rows


def _write(aligned: Image.Image, path: Path, options: Options) -> None:
    # Faces are small: their colors are not halved in resolution.
    settings = {"quality": options.quality, "subsampling": 0} if options.format == "jpeg" else {}
    with creating(path) as temporary:
        aligned.save(temporary, format=options.format, **settings)


def _output_name(photo: str, options: Options, number: int) -> str:
    stem, ending = os.path.splitext(photo)
    # "Dr. X at home" ends in nothing.
    if " " in ending.strip():
        stem = photo
    if options.all_faces:
        stem += f"_{number}"
    return _fitting(stem, OUTPUT_FORMATS[options.format])


def _fitting(stem: str, ending: str) -> str:
    """Joins both; a name longer than file systems allow is cut, and told apart by a hash."""
    folder, name = os.path.split(stem)
    encoded = os.fsencode(name)
    if len(encoded) + len(ending) > _LONGEST_NAME:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        kept = encoded[: _LONGEST_NAME - len(ending) - len(digest) - 1]
        name = f"{kept.decode(errors='ignore')}_{digest}"
    return os.path.join(folder, name + ending)


def _photos_of(source: Path) -> tuple[Path, list[str]]:
    if source.is_dir():
        photos = list_photos(source)
        if not photos:
            packed = _archive_in(source)
            raise InputError(
                f"{source}: no photos in it, nor in its sub-folders ({FORMATS}){packed}"
            )
        return source, photos
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    check_regular(source)
    return source.parent, [source.name]


def _archive_in(source: Path) -> str:
    """Says of a folder without photos that they may lie packed in it."""
    for entry in files_below(os.fsencode(source)):
        path = Path(os.fsdecode(entry.path))
        if kind := other_kind_of(path):
            return f"; {path.relative_to(source)} is {kind}"
    return ""


def _check_names(photos: list[str], options: Options) -> None:
    """Raises InputError when two photos would become the same file."""
    readable = [photo for photo in photos if is_readable_format(photo)]
    outputs = Counter(_output_name(photo, options, 1) for photo in readable)
    clashes = [name for name, count in outputs.items() if count > 1]
    if clashes:
        lines = []
        for name in clashes[:_MOST_CLASHES_NAMED]:
            same = [photo for photo in readable if _output_name(photo, options, 1) == name]
            lines.append(f"{' and '.join(same)} would become one file, {name}: rename all but one")
        if len(clashes) > _MOST_CLASHES_NAMED:
            lines.append(f"and {len(clashes) - _MOST_CLASHES_NAMED} more such names")
        raise InputError("\n".join(lines))


def _is_entry(entry: dict[str, Any]) -> bool:
    """Whether an entry of the log is what `_align_photo` returns."""
    rows = entry.get("rows")
    return (
        {"bytes", "changed"} <= entry.keys()
        and isinstance(rows, list)
        and bool(rows)
        and all(
            isinstance(row, dict) and "reason" in row and isinstance(row.get("output", ""), str)
            for row in rows
        )
    )


def _forget_emptied(output: Path, log: ResumableOutput) -> bool:
    """Takes all photos out of the log of an output folder that was emptied; says if there were.

    Faces that are gone beside a report or other faces were removed by hand.
    """
    rows = [row for entry in log.done.values() for row in entry["rows"]]
    faces = [row["output"] for row in rows if row.get("output")]
    if not faces or any((output / name).exists() for name in (REPORT, CONTACT_SHEET_FILE, *faces)):
        return False
    log.done.clear()
    return True


def _forget_changed(
    root: Path, photos: list[str], source: Path, output: Path, log: ResumableOutput
) -> bool:
    """Takes photos without a face that have changed or gone out of the log; says if there were.

    Raises InputError: photos with faces in `output` have changed or gone. Nothing is ever removed.
    """
    known = set(photos)
    changed = [
        photo
        for photo, entry in log.done.items()
        if photo not in known or entry != {**entry, **_stamp(root / photo)}
    ]
    with_faces = [photo for photo in changed if _count_aligned(log.done[photo])]
    if with_faces:
        raise InputError(
            f"{output}: holds faces of {len(with_faces)} photos that {source} no longer has, or "
            f"that have changed (for example {with_faces[0]}): choose another output folder"
        )
    for photo in changed:
        del log.done[photo]
    return bool(changed)


def _count_aligned(entry: dict[str, Any]) -> int:
    return sum(1 for row in entry["rows"] if row.get("output"))


def _rows(alignment: Alignment) -> Iterator[Row]:
    for photo in alignment.photos:
        yield from alignment.log.done[photo]["rows"]


def _summary(alignment: Alignment) -> Summary:
    entries = alignment.log.done.values()
    aligned = [_count_aligned(entry) for entry in entries]
    unreadable = [
        entry for entry in entries if str(entry["rows"][0]["reason"]).startswith("can't be")
    ]
    return Summary(
        num_photos=len(aligned),
        num_faces=sum(aligned),
        num_without=aligned.count(0),
        num_unreadable=len(unreadable),
    )
