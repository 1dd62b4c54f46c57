"""Checking the HDF5 file that Keras keeps weights in, before Keras reads it.

HDF5 files can do more than hold arrays: name other files that data is to be read from, claim
arrays of any size that aren't there, and compress a terabyte of zeros. Keras writes none of that.
"""

from math import prod
from pathlib import Path
from typing import BinaryIO

import h5py

from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE

# Far more than the layers of any network, and far fewer than would take long.
_MOST_OBJECTS = 200_000


def check_published_h5(path: Path) -> None:
    """Checks a file of the kind that keras.applications downloads, before Keras reads it.

    Raises InputError: there is no such file, or it is damaged or of another kind.
    """
    where = f"model.backbone.weights: {path}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    try:
        check_weights_h5(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise ValueError("it has no list of layers, as the files of keras.applications do")
    except DAMAGED_ARCHIVE as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: can't be read as published weights: {reason}") from error


def check_weights_h5(file: Path | BinaryIO, num_bytes: int) -> int:
    """Walks through the file and reads no array.

    Args:
        file: its path, or it, opened.
        num_bytes: its size; all arrays together must not be larger.
    Returns: how many numbers its arrays hold.
    Raises ValueError: there's something in it that Keras doesn't write (the message says what);
        and what h5py raises of a damaged file (one of `files.DAMAGED_ARCHIVE`).
    """
    with h5py.File(file, "r") as opened:
        num_values, left = 0, num_bytes
        seen = {_address(opened)}
        groups: list[h5py.Group] = [opened]
        while groups:
            group = groups.pop()
            for name in group:
                item = _linked(group, name)
                # Once, or it could stand for thousands of arrays, or for a ring without end.
                if _address(item) in seen:
                    raise ValueError(f"holds '{shown(item.name)}' a second time, under this name")
                seen.add(_address(item))
                if len(seen) > _MOST_OBJECTS:
                    raise ValueError(f"holds more than {_MOST_OBJECTS:,} arrays and groups")
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                num_values += _check_array(item)
                left -= item.nbytes
                if left < 0:
                    raise ValueError("its arrays claim more than the file's size")
        return num_values


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(item.id).addr


def _linked(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    kind = group.get(name, getlink=True)
    place = shown(f"{group.name}/{name}")
    if not isinstance(kind, h5py.HardLink):
        raise ValueError(f"'{place}' is a link to elsewhere, which Keras never writes")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ValueError(f"'{place}' is a {type(item).__name__}, neither an array nor a group")
    return item


def _check_array(array: h5py.Dataset) -> int:
    """Returns how many numbers it holds."""
    place = shown(array.name)
    # Of which arrays of other files are made.
    if array.is_virtual or array.external:
        raise ValueError(f"'{place}' lies in another file, which Keras never writes")
    if array.shape is None or array.dtype.kind not in "fiubV" or array.dtype.fields is not None:
        raise ValueError(f"'{place}' is no array of numbers")
    if array.chunks is not None:
        raise ValueError(f"'{place}' is in pieces or compressed, which Keras never writes")
    claimed, stored = prod(array.shape) * array.dtype.itemsize, array.id.get_storage_size()
    if claimed > stored:
        raise ValueError(f"'{place}' claims {claimed:,} bytes, and {stored:,} are there")
    return prod(array.shape)
