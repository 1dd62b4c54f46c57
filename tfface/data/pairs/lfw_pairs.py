"""LFW's lists of pairs: `pairs.txt` (View 2), `pairsDevTrain.txt` and `pairsDevTest.txt` (View 1).

The first line is "FOLDS<tab>N" (View 2) or "N" (View 1). Then, for each fold or once, there are N
lines of genuine pairs, "NAME<tab>1<tab>4", and N of impostor pairs, "NAME<tab>2<tab>OTHER<tab>3".
Image 4 of NAME is the file NAME/NAME_0004.jpg (or with another suffix, in any case). Names may have
blanks if fields are separated by tabs, and composed or decomposed accents, in the list and on disk.
Empty lines are ignored.
"""

import re
from pathlib import Path

import numpy as np

from tfface.data.pairs.folds import interleave_by_label
from tfface.data.pairs.pair_set import FileImages, PairSet
from tfface.errors import InputError
from tfface.images.listing import EXTENSIONS
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.names import same_name, spelled_on_disk
from tfface.text_file import START_BYTES, check_text

DESCRIPTION = "a list like LFW's pairs.txt (with a folder of images)"

# Of several formats of an image, the first of these is used.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", *sorted(EXTENSIONS))


def matches(source: str) -> bool:
    return Path(source).suffix.lower() == ".txt" and not Path(source).is_dir()


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a list and finds its images.

    View 2 is in the order of its folds. View 1 has no folds (it is for model selection, not for
    final results), and its genuine pairs come first, so that half of 10 folds would have one kind
    of pair only. Its genuine and impostor pairs are therefore interleaved.

    Identities are those of the names, unless the list has an impostor pair of one name.

    Args:
        source: the list.
        name: of the set.
        images_dir: by default the folder `images` next to the list.

    Returns:
        The pairs.

    Raises:
        InputError: the list is not in this format, or an image is missing.
    """
    path = Path(source)
    try:
        data = path.read_bytes()
        check_text(path, data[:START_BYTES])
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read: {getattr(error, 'strerror', error)}") from error
    folds, block = _read_header(path, lines)
    pairs, is_genuine = _read_pairs(path, lines, folds or 1, block)
    if folds is None:
        order = interleave_by_label(is_genuine)
        pairs, is_genuine = [pairs[i] for i in order], is_genuine[order]

    # In order of appearance.
    position = {
        image: i for i, image in enumerate(dict.fromkeys(i for pair in pairs for i in pair))
    }
    files = _find_images(path, list(position), images_dir or path.parent / "images")
    indices = np.array([[position[image] for image in pair] for pair in pairs])
    folders = [image.rpartition("/")[0] for image in position]
    identities = np.unique(folders, return_inverse=True)[1]
    is_consistent = np.array_equal(np.equal(*identities[indices].T), is_genuine)
    return PairSet(
        name=name,
        images=FileImages(files),
        image_names=[str(file) for file in files],
        first=indices[:, 0],
        second=indices[:, 1],
        is_genuine=is_genuine,
        num_folds=folds or NUM_FOLDS,
        identities=identities if is_consistent else None,
    )


def _read_header(path: Path, lines: list[str]) -> tuple[int | None, int]:
    """Returns the number of folds (None for View 1), and of pairs of each kind in a fold."""
    lines = [line for line in lines if line.strip()]
    fields = lines[0].split() if lines else []
    if len(fields) not in (1, 2) or not all(_is_number(field) and int(field) for field in fields):
        raise InputError(
            f"{path}, line 1: expected a number of folds and of pairs, as in '10 300', or a number "
            f"of pairs alone; got '{lines[0][:60] if lines else ''}'"
        )
    return (int(fields[0]) if len(fields) == 2 else None), int(fields[-1])


def _read_pairs(
    path: Path, lines: list[str], folds: int, block: int
) -> tuple[list[list[str]], np.ndarray]:
    """Returns the two images of each pair as "NAME/NAME_0004", and whether it is genuine."""
    rows = [(number, _fields(line)) for number, line in enumerate(lines, start=1) if line.strip()]
    del rows[0]
    if len(rows) != folds * 2 * block:
        raise InputError(
            f"{path}: {len(rows)} pairs, but line 1 says {folds * 2 * block} "
            f"({folds} x {block} genuine and {block} impostor pairs)"
        )
    is_genuine = np.tile(np.repeat([True, False], block), folds)
    pairs = []
    for (number, fields), genuine in zip(rows, is_genuine, strict=True):
        if len(fields) == 3 and genuine:
            fields = [fields[0], fields[1], fields[0], fields[2]]
        elif len(fields) != 4 or genuine:
            raise InputError(
                f"{path}, line {number}: expected "
                + ("'NAME 1 4' (a genuine pair)" if genuine else "'NAME 1 OTHER 4' (impostors)")
                + f"; got '{' '.join(fields)[:80]}'"
            )
        if not (_is_number(fields[1]) and _is_number(fields[3])):
            raise InputError(
                f"{path}, line {number}: expected the numbers of two images; "
                f"got '{fields[1][:80]}' and '{fields[3][:80]}'"
            )
        for name in (fields[0], fields[2]):
            # A name is the name of a folder, and must not lead to another one.
            if name in (".", "..") or "/" in name or "\0" in name:
                raise InputError(f"{path}, line {number}: '{name[:80]}' is not a name")
        pairs.append([_image(fields[0], fields[1]), _image(fields[2], fields[3])])
    return pairs, is_genuine


def _fields(line: str) -> list[str]:
    parts = line.split("\t") if "\t" in line else line.split()
    return [same_name(part) for part in parts if part.strip()]


def _is_number(text: str) -> bool:
    # Python refuses to convert numbers of any length.
    return re.fullmatch("[0-9]{1,9}", text) is not None


def _image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"


def _find_images(path: Path, images: list[str], folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{path}: no folder of images at {folder}; set it with --image-root")
    files, missing = [], []
    files_of: dict[str, dict[str, Path]] = {}
    for image in images:
        name, _, stem = image.partition("/")
        if name not in files_of:
            files_of[name] = _files_of(Path(spelled_on_disk(str(folder / name))))
        found = files_of[name]
        file = next((found[stem + suffix] for suffix in _SUFFIXES if stem + suffix in found), None)
        if file is None:
            missing.append(image)
        else:
            files.append(file)
    if missing:
        raise InputError(
            f"{path}: {len(missing):,} of {len(images):,} images are missing under {folder}, "
            f"the first is {missing[0]}{_SUFFIXES[0]}"
        )
    return files


def _files_of(person: Path) -> dict[str, Path]:
    """Returns the files of a person's folder: stem and lower-case suffix -> path."""
    if not person.is_dir():
        return {}
    return {
        same_name(file.stem) + file.suffix.lower(): file
        for file in sorted(person.iterdir())
        if file.is_file()
    }
