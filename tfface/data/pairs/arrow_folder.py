"""Folders of pairs as Hugging Face's `datasets` saves them to disk: CVLface's validation sets.

    state.json            "_data_files": [{"filename": "data-00000-of-00001.arrow"}, ...]
    dataset_info.json     not used
    data-*.arrow          Arrow streams with the columns image (bytes and path), is_same, and index

Rows 2 i and 2 i + 1 by `index` are pair i, and both have its answer in `is_same`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfface.data.arrow_errors import arrow_errors
from tfface.data.pairs.pair_set import PairSet, pairs_of_neighbors, slot_name
from tfface.data.pairs.pixel_array import find_folders, read_json, the_only
from tfface.errors import InputError, shown
from tfface.files import check_regular, is_file_name, os_errors
from tfface.progress import progress

# pyarrow itself is imported where it is needed: it is an extra.

DESCRIPTION = "a folder that Hugging Face's datasets saved (state.json, data-*.arrow)"

_STATE = Path("state.json")
_IMAGE, _ANSWER, _INDEX = "image", "is_same", "index"
# All images are kept in memory, as those of a .bin are.
_LARGEST_BYTES = 1 << 32


def matches(source: str) -> bool:
    return bool(find_folders(Path(source), _STATE))


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a set, given its folder or a folder that contains just this set. Needs pyarrow.

    Byte-identical images are listed once.

    Args:
        source: the folder.
        name: of the set.
        images_dir: not used.

    Returns:
        The pairs.

    Raises:
        InputError: the folder is not as said above, or damaged.
        ModuleNotFoundError: pyarrow is not installed.
    """
    folder = the_only(find_folders(Path(source), _STATE), source, "saved datasets")
    images: list[bytes] = []
    answers: list[bool] = []
    indices: list[int] = []
    for path in progress(_data_files(folder), description=f"reading {name}", unit="files"):
        for columns in _batches(path):
            images += columns[_IMAGE]
            answers += columns[_ANSWER]
            indices += columns.get(_INDEX) or range(len(indices), len(images))
    order = np.argsort(indices, kind="stable")
    if not len(order) or len(order) % 2 or len(np.unique(indices)) != len(order):
        raise InputError(
            f"{folder}: {len(order):,} images with {len(np.unique(indices)):,} indices: expected "
            "two images for each pair, each with an index of its own"
        )
    is_genuine = np.array(answers, bool)[order].reshape(-1, 2)
    if (torn := np.flatnonzero(is_genuine[:, 0] != is_genuine[:, 1])).size:
        raise InputError(f"{folder}: the two images of pair {torn[0]} differ in {_ANSWER}")
    position: dict[bytes, int] = {}
    names, slots = [], []
    for slot, row in enumerate(order):
        if images[row] not in position:
            position[images[row]] = len(position)
            names.append(f"{folder}: {slot_name(slot)}")
        slots.append(position[images[row]])
    return pairs_of_neighbors(name, list(position), names, slots, is_genuine[:, 0])


def _data_files(folder: Path) -> list[Path]:
    listed = read_json(folder / _STATE).get("_data_files")
    try:
        names = [entry["filename"] for entry in listed]
    except (TypeError, KeyError) as error:
        raise InputError(f"{folder / _STATE}: expected _data_files with a filename each") from error
    for name in names:
        if not isinstance(name, str) or not is_file_name(name):
            raise InputError(f"{folder / _STATE}: {shown(str(name))} is not the name of a file")
    files = [folder / name for name in names]
    total = 0
    for path in files:
        check_regular(path)
        with os_errors(path):
            total += path.stat().st_size
    if total > _LARGEST_BYTES:
        raise InputError(f"{folder}: has {total:,} bytes, and {_LARGEST_BYTES:,} are read at most")
    return files


def _batches(path: Path) -> Iterator[dict[str, Sequence]]:
    """Yields the columns of some rows at a time; images as bytes."""
    import pyarrow

    with arrow_errors(path, "an Arrow stream"), pyarrow.memory_map(str(path)) as file:
        stream = pyarrow.ipc.open_stream(file)
        _check_columns(path, stream.schema, pyarrow.types)
        columns = [name for name in (_IMAGE, _ANSWER, _INDEX) if name in stream.schema.names]
        for batch in stream:
            batch.validate(full=True)
            found = {name: batch.column(name).to_pylist() for name in columns}
            if any(value is None for values in found.values() for value in values):
                raise InputError(f"{path}: a row lacks one of {', '.join(columns)}")
            found[_IMAGE] = [image["bytes"] for image in found[_IMAGE]]
            if None in found[_IMAGE]:
                raise InputError(f"{path}: an image has no bytes: save the set with its images")
            if not set(found[_ANSWER]) <= {0, 1}:
                raise InputError(f"{path}: {_ANSWER} holds other numbers than 0 and 1")
            yield found


def _check_columns(path: Path, schema: Any, types: Any) -> None:
    def has(name: str, *checks: Any) -> bool:
        return schema.names.count(name) == 1 and any(
            check(schema.field(name).type) for check in checks
        )

    if not (
        has(_IMAGE, types.is_struct)
        and schema.field(_IMAGE).type.get_field_index("bytes") >= 0
        and types.is_binary(schema.field(_IMAGE).type.field("bytes").type)
        and has(_ANSWER, types.is_boolean, types.is_integer)
        and (_INDEX not in schema.names or has(_INDEX, types.is_integer))
    ):
        raise InputError(
            f"{path}: a set of pairs has the columns {_IMAGE} (with bytes), {_ANSWER} (true or "
            f"false) and perhaps {_INDEX} (a number); got {shown(', '.join(schema.names))}"
        )
