"""Images of a verification set that are files of their own."""

from collections.abc import Sequence
from pathlib import Path

from tfface.errors import InputError


class FileImages(Sequence):
    """The content of files, each read when it is asked for, so that none is kept.

    Args:
        files: the images' paths.
    Raises InputError: when an image that is asked for can't be read.
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
