"""Verification sets in memory, whatever their file format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.metrics.k_fold import NUM_FOLDS


class FileImages(Sequence):
    """The contents of files as a lazy sequence; access raises InputError if a file can't be read.

    Args:
        files: paths of the images.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.jpg").write_bytes(b"encoded image")
        ...     FileImages([Path(folder, "1.jpg")])[0]
        b'encoded image'
    """

    def __init__(self, files: Sequence[Path]):
        self._files = list(files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> bytes:
        file = self._files[index]
        try:
            return file.read_bytes()
        except OSError as error:
            raise InputError(f"{file}: can't be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class PairSet:
    """A verification set: pairs of images, each genuine (one person) or impostor (two).

    Attributes:
        name: in tables and file names.
        images: the distinct images, encoded (`pillow_decoder.FORMATS`); it may be a lazy sequence.
        image_names: the images' names for messages.
        first, second: int64 [num_pairs], indices in `images`.
        is_genuine: bool [num_pairs].
        num_folds: number of folds of the accuracy; pairs are split into them in order.
        identities: int64 [num_images], the person in each image; None if unknown. If known, they
            agree with `is_genuine`.
        groups: the subgroup of each pair, for which metrics are also computed; None without
            subgroups.

    Example:
        >>> pairs = PairSet(
        ...     name="tiny",
        ...     images=[b"encoded image", b"another one"],
        ...     image_names=["a.jpg", "b.jpg"],
        ...     first=np.array([0]),
        ...     second=np.array([1]),
        ...     is_genuine=np.array([False]),
        ... )
        >>> pairs.num_folds
        10
    """

    name: str
    images: Sequence[bytes]
    image_names: Sequence[str]
    first: np.ndarray
    second: np.ndarray
    is_genuine: np.ndarray
    num_folds: int = NUM_FOLDS
    identities: np.ndarray | None = None
    groups: Sequence[str] | None = None


def slot_name(slot: int) -> str:
    """Returns what messages call an image of a list whose images 2 i and 2 i + 1 are pair i."""
    return f"image {slot} (pair {slot // 2})"


def pairs_of_neighbors(
    name: str,
    images: Sequence[bytes],
    image_names: Sequence[str],
    slots: Sequence[int],
    is_genuine: np.ndarray,
) -> PairSet:
    """Returns the pairs of a list whose images 2 i and 2 i + 1 are pair i.

    Args:
        name, images, image_names, is_genuine: see `PairSet`.
        slots: for each place in the list, the index of its image in `images`.

    Example:
        >>> labels = np.array([True])
        >>> pairs_of_neighbors("tiny", [b"one", b"other"], ["a", "b"], [0, 1], labels).second
        array([1])
    """
    return PairSet(
        name=name,
        images=images,
        image_names=image_names,
        first=np.array(slots[0::2]),
        second=np.array(slots[1::2]),
        is_genuine=is_genuine,
    )
