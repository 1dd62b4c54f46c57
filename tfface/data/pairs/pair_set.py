"""What every verification set becomes, whatever file it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.errors import InputError


class FileImages(Sequence):
    """The content of files, each read when it is asked for, so that none is kept.

    Args:
        files: the images' paths.

    Raises:
        InputError: when an image that is asked for can't be read.
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


NUM_FOLDS = 10


@dataclass(frozen=True)
class PairSet:
    """Pairs of images, with the answer to each: one person, or two?

    Attributes:
        name: what tables and files call it.
        images: each distinct image once, encoded (`pillow_decoder.FORMATS`); it may be a lazy
            sequence that reads files.
        image_names: what error messages call each image.
        first: int64 [num_pairs], position in `images` of each pair's first image.
        second: int64 [num_pairs], position of the second.
        is_genuine: bool [num_pairs].
        num_folds: folds of the accuracy; pairs are dealt to them in order.
        identities: int64 [num_images], the number of the person in each image; None when unknown.
            Where they are known, pairs are genuine whose images are of one person.
        groups: a text for each pair, by which figures may be told apart; None when there are none.
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
