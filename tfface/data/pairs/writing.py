"""Writes verification sets: InsightFace's `.bin`, and CSV with or without images."""

import csv
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfface.data.pairs.folds import fold_indices
from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError
from tfface.files import os_errors, replacing
from tfface.images.header import EXTENSIONS_OF_KINDS, START_BYTES, image_kind
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.names import safe_row
from tfface.output_paths import check_replaceable
from tfface.progress import progress

# They identify files that tfface wrote. Python's own pickles of that protocol have frames.
BIN_MARK = re.compile(rb"\A\x80\x04\]B")
CSV_MARK = re.compile(
    rb'\A"?first"?,"?second"?,"?is_genuine"?,"?fold"?'
    rb'(,"?(first|second)_(identity|name)"?|,"?group"?)*\n'
)
_OUR_IMAGE = re.compile(r"\d{6,}\.(jpg|png|bmp|img)")


def write_bin(pair_set: PairSet, path: Path) -> None:
    """Writes a set as a pickle of (list of bytes, list of bool), the format of InsightFace's tools.

    An image of several pairs is written once and referred to by the pickle's memo. Images are read
    and written one by one. The format has no groups.

    Args:
        pair_set: the pairs.
        path: of the file.

    Raises:
        InputError: the set has another number of folds than the 10 that every reader of `.bin`
            files cuts, or the file can't be written.
    """
    check_bin_folds(pair_set.num_folds)
    slots = np.stack([pair_set.first, pair_set.second], axis=1).ravel()
    memo: dict[int, int] = {}
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"\x80\x04")  # protocol 4
        file.write(b"]")  # an empty list
        for slot in progress(slots.tolist(), description="writing", unit="images"):
            if slot in memo:
                file.write(b"j" + struct.pack("<I", memo[slot]))  # get from the memo
            else:
                encoded = pair_set.images[slot]
                file.write(b"B" + struct.pack("<I", len(encoded)) + encoded)  # bytes
                file.write(b"\x94")  # append to the memo
                memo[slot] = len(memo)
            file.write(b"a")  # append to the list
        file.write(b"]")
        for is_genuine in pair_set.is_genuine:
            file.write((b"\x88" if is_genuine else b"\x89") + b"a")
        file.write(b"\x86.")  # both as a tuple; the end


def check_bin_folds(num_folds: int) -> None:
    """Raises InputError unless the number of folds is that of all `.bin` files."""
    if num_folds != NUM_FOLDS:
        raise InputError(
            f"a .bin file always has {NUM_FOLDS} folds, and these pairs have {num_folds}: write a "
            ".csv, which has a column of folds"
        )


def write_csv(pair_set: PairSet, path: Path, *, overwrite: bool = False) -> None:
    """Writes X.csv and the folder X_images next to it.

    Images are named by number; their original names are in separate columns. Existing files are
    replaced when both are complete.

    Args:
        pair_set: the pairs.
        path: of the CSV.
        overwrite: as for `check_csv_output`.

    Raises:
        InputError: they can't be written, or as `check_csv_output`.
    """
    folder = images_folder(path)
    check_csv_output(path, overwrite=overwrite)
    # As `tempfile` names what is made below.
    killed = re.compile(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}\.partial")
    with os_errors(folder, "written"):
        for leftover in folder.parent.iterdir():
            if killed.fullmatch(leftover.name) and leftover.is_dir():
                shutil.rmtree(leftover)
        partial = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".partial", dir=path.parent)
        )
        # mkdtemp creates a private folder; this one has the permissions of the umask.
        written = partial / folder.name
        written.mkdir()
        try:
            names = []
            bar = progress(range(len(pair_set.images)), description="writing", unit="images")
            for number in bar:
                encoded = pair_set.images[number]
                names.append(f"{number:06d}{_suffix(encoded)}")
                (written / names[-1]).write_bytes(encoded)
            with replacing(path) as temporary:
                _write_list(pair_set, names, temporary, with_names=True)
                # If the process is killed from here on, the list has no images, and the next run
                # replaces it.
                if folder.exists():
                    folder.rename(partial / "replaced")
            written.rename(folder)
        finally:
            shutil.rmtree(partial)


def check_csv_output(path: Path, *, overwrite: bool = False) -> None:
    """Checks that `write_csv` can write to `path`.

    Args:
        path: of the CSV.
        overwrite: replace an existing list, even if tfface didn't write it. A folder of images is
            replaced only if it is one that tfface wrote.

    Raises:
        InputError: it can't; X_images exists without X.csv; or one of them was not written by
            tfface.
    """
    check_replaceable(path, CSV_MARK, overwrite=overwrite)
    folder = images_folder(path)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink() or not _is_ours(path):
        raise InputError(
            f"{folder}: is in the way of the images: remove it, or choose another name"
        )
    others = [name for name in os.listdir(folder) if not _OUR_IMAGE.fullmatch(name)]
    if others:
        raise InputError(
            f"{folder}: would be replaced, and holds what this tool didn't write ({min(others)}): "
            "choose another name, or move it elsewhere"
        )


def _is_ours(path: Path) -> bool:
    """Whether there is a list that `write_csv` may have written."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return CSV_MARK.search(file.read(1 << 16)) is not None


def images_folder(path: Path) -> Path:
    """Returns the folder of the images of a list."""
    return path.with_name(f"{path.stem}_images")


def write_csv_list(pair_set: PairSet, paths: Sequence[str], path: Path) -> None:
    """Writes a list alone, for images in existing files.

    Args:
        pair_set: the pairs.
        paths: of the set's images, relative to the folder for --image-root.
        path: of the CSV.

    Raises:
        InputError: it can't be written.
    """
    with replacing(path) as temporary:
        _write_list(pair_set, paths, temporary, with_names=False)


def _write_list(pair_set: PairSet, paths: Sequence[str], path: Path, *, with_names: bool) -> None:
    folds = fold_indices(len(pair_set.first), pair_set.num_folds)
    columns = {
        "first": [paths[image] for image in pair_set.first],
        "second": [paths[image] for image in pair_set.second],
        "is_genuine": pair_set.is_genuine.astype(int).tolist(),
        "fold": folds.tolist(),
    }
    if pair_set.identities is not None:
        columns["first_identity"] = pair_set.identities[pair_set.first].tolist()
        columns["second_identity"] = pair_set.identities[pair_set.second].tolist()
    if pair_set.groups is not None:
        columns["group"] = pair_set.groups
    if with_names:
        columns["first_name"] = [pair_set.image_names[image] for image in pair_set.first]
        columns["second_name"] = [pair_set.image_names[image] for image in pair_set.second]
    texts = (text for column in columns.values() for text in column if isinstance(text, str))
    # Without quotes, readers would skip a leading space, and a return would end the line.
    bare = not any(text.startswith(" ") or "\r" in text for text in texts)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        quoting = csv.QUOTE_MINIMAL if bare else csv.QUOTE_ALL
        writer = csv.writer(file, lineterminator="\n", quoting=quoting)
        writer.writerow(columns)
        writer.writerows(map(safe_row, zip(*columns.values(), strict=True)))


def _suffix(encoded: bytes) -> str:
    return EXTENSIONS_OF_KINDS.get(image_kind(encoded[:START_BYTES]), ".img")
