"""InsightFace's `.bin` verification sets: lfw.bin, agedb_30.bin, cfp_fp.bin and their kind.

Such a file is a pickle of (images, labels): 2 n encoded images, of which 2 i and 2 i + 1 are
pair i, and n booleans, true for a genuine pair. Images are Python 2 strings, bytes, or uint8 arrays
of shape [n] or [n, 1], by the tool and the Python that wrote them. Both lists may be arrays.
"""

from pathlib import Path

import numpy as np

from tfface.data.pairs.pair_set import NUM_FOLDS, PairSet
from tfface.data.pairs.pickle_reader import Array, PickleError, read_pickle
from tfface.errors import InputError
from tfface.file_kind import START_BYTES, other_kind

DESCRIPTION = "an InsightFace .bin file"


def matches(source: str) -> bool:
    return source.lower().endswith((".bin", ".bin.gz"))


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a file without ever running code from it.

    Images that are equal byte for byte are listed once. Pairs keep the file's order, in which the
    published figures cut them into folds.

    Raises InputError: the file isn't such a set, is cut short, or would run code.
    """
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if kind := other_kind(data[:START_BYTES]):
        raise InputError(f"{path}: not a verification set, but {kind}")
    try:
        content = read_pickle(data)
    except PickleError as error:
        raise InputError(f"{path}: {error}") from error
    if not (isinstance(content, list | tuple) and len(content) == 2):
        raise InputError(f"{path}: not a verification set: expected a pair (images, labels)")
    images, labels = content
    if isinstance(images, Array) and images.type == "O":
        images = images.items()
    if not isinstance(images, list | tuple):
        raise InputError(f"{path}: not a verification set: the images are no list")
    is_genuine = _labels(path, labels)
    if len(images) != 2 * len(is_genuine) or not len(images):
        raise InputError(
            f"{path}: {len(images)} images and {len(is_genuine)} labels: expected two images for "
            "each label, and at least one label"
        )
    position: dict[bytes, int] = {}
    names, slots = [], []
    for slot, image in enumerate(images):
        encoded = _encoded(path, slot, image)
        if encoded not in position:
            position[encoded] = len(position)
            names.append(f"{path}: {_slot_name(slot)}")
        slots.append(position[encoded])
    return PairSet(
        name=name,
        images=list(position),
        image_names=names,
        first=np.array(slots[0::2]),
        second=np.array(slots[1::2]),
        is_genuine=is_genuine,
        num_folds=NUM_FOLDS,
    )


def _slot_name(slot: int) -> str:
    return f"image {slot} (pair {slot // 2})"


def _encoded(path: Path, slot: int, image: object) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, Array) and image.type == "u1" and image.is_flat:
        return image.data
    what = f"an array of {image.shape}" if isinstance(image, Array) else type(image).__name__
    raise InputError(
        f"{path}: {_slot_name(slot)} is {what}: expected the bytes of an encoded image"
    )


def _labels(path: Path, labels: object) -> np.ndarray:
    if isinstance(labels, Array) and labels.is_flat:
        labels = labels.items()
    if not isinstance(labels, list | tuple) or not all(
        isinstance(label, int) and label in (0, 1) for label in labels
    ):
        raise InputError(f"{path}: the labels are not a list of booleans")
    return np.array(labels, bool)
