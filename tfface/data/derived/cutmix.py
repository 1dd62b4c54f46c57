"""CutMix within identities: new images of a person from two of their images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfface import seeding
from tfface.data.derived.class_folders import class_folders, image_stems
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.opening import OpenedSource
from tfface.errors import InputError
from tfface.folder_lock import locked
from tfface.images.decoding import decode_whole
from tfface.images.encoding import EXTENSIONS, write_encoded, write_picture
from tfface.output_paths import check_output
from tfface.progress import image_workers
from tfface.reporting.contact_sheet import (
    CONTACT_SHEET_FILE,
    PICTURE_MARK,
    draw_contact_sheet,
    side_by_side,
)
from tfface.resumable_output import ResumableOutput

_MOST_PER_CLASS = 1_000_000
# Prefix of the names of new images.
_PREFIX = "cutmix_"
_MOST_SHOWN = 60
_CELL = 112
_PAIRS, _RECTANGLE = 0, 1


@dataclass(frozen=True)
class CutMixOptions:
    """Options of `make_cutmix`.

    Attributes:
        per_class: new images of each person, 1 to 1,000,000.
        area: (low, high), area of a patch as a fraction of the image, within (0, 1).
        with_originals: also copy the images of the source.
        format: of new images, `jpeg` or `png`.
        seed: 0 or more.

    Raises:
        InputError: a value is out of its range.

    Example:
        >>> CutMixOptions(per_class=10, area=(0.2, 1.5))
        Traceback (most recent call last):
        tfface.errors.InputError: area 0.2 1.5: must ascend, above 0 and below 1
    """

    per_class: int
    area: tuple[float, float] = (0.1, 0.5)
    with_originals: bool = True
    format: str = "jpeg"
    seed: int = 0

    def __post_init__(self):
        if not 1 <= self.per_class <= _MOST_PER_CLASS:
            raise InputError(
                f"per class {self.per_class}: must be a whole number from 1 to {_MOST_PER_CLASS:,}"
            )
        low, high = self.area
        if not 0 < low <= high < 1:
            raise InputError(f"area {low:g} {high:g}: must ascend, above 0 and below 1")
        if self.format not in EXTENSIONS:
            raise InputError(f"format '{self.format}': must be one of {', '.join(EXTENSIONS)}")


@dataclass(frozen=True)
class CutMixSummary:
    """What was made.

    Attributes:
        num_made: new images, with those that an interrupted command had made.
        num_originals: that were copied.
        alone: names of the people with one image, of whom nothing can be made.
    """

    num_made: int
    num_originals: int
    alone: list[str]


@dataclass(frozen=True)
class _Exchange:
    """Two images of one person exchange a rectangle, given by shares of height and width."""

    folder: str
    numbers: tuple[int, ...]  # of the new images: one or two
    first: int
    second: int
    top: float
    left: float
    side: float


def make_cutmix(
    opened: OpenedSource, output: Path, options: CutMixOptions, num_workers: int
) -> CutMixSummary:
    """Writes new images of each identity by exchanging rectangles between two of its images.

    Each exchange of two random images gives two new images. All pairs of an identity are used in
    random order before a pair is repeated. The rectangle has the aspect ratio of the image, a
    uniformly distributed area and a random position. If two images differ in size, the patch is
    resized to cover the same part.

    The new images are OUTPUT/IDENTITY/cutmix_00001.jpg and so on. Originals are copied unchanged,
    under their names with the extension of their format. Each new image depends only on the source,
    the options and its number.

    Args:
        output: a new folder, or that of the same command after an interruption.
        num_workers: threads.

    Raises:
        InputError: the output can't be used, or another process is writing it; nobody has two
            images; an image can't be decoded; or an original's name is one that new images have.
    """
    source = opened.source
    check_output(opened.paths, output)
    how = {
        "made by": "make_cutmix",
        "per class": options.per_class,
        "area": list(options.area),
        "originals": options.with_originals,
        "format": options.format,
        "seed": options.seed,
        "source": source.fingerprint,
    }
    counts = np.bincount(source.labels, minlength=source.num_identities)
    if not (counts > 1).any():
        raise InputError(f"{source.name}: no identity has two images, so nothing can be made")
    stems = image_stems(source)
    for stem in stems:
        if stem.rpartition("/")[2].startswith(_PREFIX):
            raise InputError(
                f"{stem}: images called {_PREFIX}... are made by this tool: give it a folder of "
                "originals, or rename it"
            )
    with locked(output):
        made = ResumableOutput(output, how)
        made.check_reports({CONTACT_SHEET_FILE: PICTURE_MARK}, stems)
        made.start()
        exchanges = list(_draw_exchanges(source, options))
        left = [exchange for exchange in exchanges if not _is_done(exchange, options, made)]
        originals = range(source.num_images) if options.with_originals else range(0)
        copies = [index for index in originals if stems[index] not in made.done]
        total = len(copies) + sum(len(exchange.numbers) for exchange in left)

        def copy(index: int, advance) -> list[tuple[str, str]]:
            encoded = source.read(index).encoded
            # Whatever is drawn, no damaged image gets into the output.
            decode_whole(encoded, source.filename(index))
            name = write_encoded(stems[index], output, encoded)
            advance(1)
            return [(stems[index], name)]

        def exchange(task: _Exchange, advance) -> list[tuple[str, str]]:
            pictures = _exchanged(source, task)
            names = _names(task, options)
            for name, picture in zip(names, pictures, strict=False):
                write_picture(output / name, picture, options.format)
            advance(len(names))
            return [(name, name) for name in names]

        with image_workers(num_workers, total, "mixing") as (submit, _):
            futures = [submit(copy, index) for index in copies]
            futures += [submit(exchange, task) for task in left]
            for future in futures:
                for name, image in future.result():
                    made.append(name, {"image": image})
        _draw_sheet(output, source, exchanges, options)
    return CutMixSummary(
        num_made=sum(len(exchange.numbers) for exchange in exchanges),
        num_originals=len(originals),
        alone=[source.identities[label].name for label in np.flatnonzero(counts == 1)],
    )


def _draw_exchanges(source: ImageSource, options: CutMixOptions) -> Iterator[_Exchange]:
    """Yields all exchanges, sorted by identity."""
    folders = class_folders(source.identities)
    by_label = np.split(
        np.argsort(source.labels, kind="stable"),
        np.cumsum(np.bincount(source.labels, minlength=source.num_identities))[:-1],
    )
    for label, images in enumerate(by_label):
        if len(images) < 2:
            continue
        pairs = _draw_pairs(
            len(images), (options.per_class + 1) // 2, seeding.fold(options.seed, label, _PAIRS)
        )
        for number in range(0, options.per_class, 2):
            first, second = pairs[number // 2 % len(pairs)]
            words = seeding.words(seeding.fold(options.seed, label, _RECTANGLE, number), 3)
            area, top, left = (words >> 11) / 2**53
            side = (options.area[0] + (options.area[1] - options.area[0]) * area) ** 0.5
            yield _Exchange(
                folder=folders[label],
                numbers=tuple(range(number, min(number + 2, options.per_class))),
                first=int(images[first]),
                second=int(images[second]),
                top=top * (1 - side),
                left=left * (1 - side),
                side=side,
            )


def _draw_pairs(count: int, wanted: int, key: int) -> np.ndarray:
    """Returns distinct pairs of 0..count-1 in random order, at most `wanted`: int64 [n, 2]."""
    num_pairs = count * (count - 1) // 2
    if num_pairs <= max(1 << 16, 8 * wanted):
        chosen = seeding.permutation(key, num_pairs)[:wanted]
    else:
        # So many that twice the number of samples contains enough distinct ones.
        drawn = (seeding.words(key, 2 * wanted) % np.uint64(num_pairs)).astype(np.int64)
        chosen = drawn[np.sort(np.unique(drawn, return_index=True)[1])][:wanted]
    firsts = np.arange(count)
    begins = firsts * (2 * count - firsts - 1) // 2
    first = np.searchsorted(begins, chosen, side="right") - 1
    return np.stack([first, first + 1 + chosen - begins[first]], axis=1)


def _exchanged(source: ImageSource, task: _Exchange) -> tuple[np.ndarray, np.ndarray]:
    first, second = (
        decode_whole(source.read(index).encoded, source.filename(index))
        for index in (task.first, task.second)
    )
    return _pasted(first, second, task), _pasted(second, first, task)


def _pasted(onto: np.ndarray, other: np.ndarray, task: _Exchange) -> np.ndarray:
    """Returns `onto` with the rectangle of `other`: uint8 [height, width, 3]."""
    rows, columns = _rectangle(onto, task)
    result = onto.copy()
    if onto.shape == other.shape:
        result[rows, columns] = other[rows, columns]
    else:
        patch = Image.fromarray(np.ascontiguousarray(other[_rectangle(other, task)]))
        size = (columns.stop - columns.start, rows.stop - rows.start)
        result[rows, columns] = np.asarray(patch.resize(size, Image.Resampling.BILINEAR))
    return result


def _rectangle(image: np.ndarray, task: _Exchange) -> tuple[slice, slice]:
    """Returns rows and columns of the rectangle, at least one of each."""
    slices = []
    for size, begin in zip(image.shape[:2], (task.top, task.left), strict=True):
        start = min(round(begin * size), size - 1)
        slices.append(slice(start, min(start + max(round(task.side * size), 1), size)))
    return slices[0], slices[1]


def _names(task: _Exchange, options: CutMixOptions) -> list[str]:
    extension = EXTENSIONS[options.format]
    return [f"{task.folder}/{_PREFIX}{number + 1:05d}{extension}" for number in task.numbers]


def _is_done(task: _Exchange, options: CutMixOptions, made: ResumableOutput) -> bool:
    return all(name in made.done for name in _names(task, options))


def _draw_sheet(
    output: Path, source: ImageSource, exchanges: list[_Exchange], options: CutMixOptions
) -> None:
    """Draws originals and new images of a fixed sample of exchanges."""
    chosen = seeding.sample(len(exchanges), _MOST_SHOWN)
    pictures, captions = [], []
    for number in chosen:
        task = exchanges[number]
        originals = [
            decode_whole(source.read(index).encoded, source.filename(index))
            for index in (task.first, task.second)
        ]
        new = [decode_whole((output / name).read_bytes(), name) for name in _names(task, options)]
        pictures.append(side_by_side([*originals, *new], _CELL))
        names = [source.filename(index).rpartition("/")[2] for index in (task.first, task.second)]
        captions.append(f"{task.folder}\n{' + '.join(names)}")
    of = "" if len(chosen) == len(exchanges) else f" of {len(exchanges):,}"
    draw_contact_sheet(
        output / CONTACT_SHEET_FILE,
        pictures,
        captions,
        title=f"{len(chosen):,}{of} exchanges: two images of a person, and the two made of them",
        columns=3,
        cell=(_CELL, 4 * _CELL + 12),
    )
