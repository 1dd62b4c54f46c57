"""Paths that a file gives, which must not lead out of a folder."""

import os
import stat
from pathlib import Path

from tfface.errors import InputError
from tfface.names import spelled_on_disk


class Below:
    """Finds files below a folder by paths that aren't trusted.

    Args:
        root: the folder; relative paths start there.
    Attributes:
        root: without links.
    Raises InputError: there is no such folder.
    """

    def __init__(self, root: Path):
        if not root.is_dir():
            raise InputError(f"{root}: no such folder")
        self.root = root.resolve()
        self._root = os.fsencode(self.root)
        self._prefix = os.path.join(self._root, b"")
        # Path of a folder as given -> without links, as most files share theirs.
        self._folders: dict[bytes, bytes] = {}

    def find(self, path: bytes) -> bytes:
        """Returns where a file is: its path, relative to `root`, through no linked folder.

        Raises InputError: no such file, or it lies outside of `root`, be it by an absolute path,
            by `..` or by a link.
        """
        shown = os.fsdecode(path)
        folder, name = os.path.split(path)
        if b"\0" in path or name in (b"", b".", b".."):
            raise InputError(f"{shown!r}: is no file's path")
        if folder not in self._folders:
            there = os.path.join(self._root, folder)
            self._folders[folder] = os.path.realpath(_spelled_on_disk(there))
        found = os.path.join(self._folders[folder], name)
        if not path.isascii():
            found = _spelled_on_disk(found)
        # First: whether a file outside exists is nobody's business.
        self._check(found, shown)
        try:
            mode = os.lstat(found).st_mode
            if stat.S_ISLNK(mode):
                self._check(os.path.realpath(found), shown)
                mode = os.stat(found).st_mode
        except OSError as error:
            raise InputError(
                f"{shown}: can't be read below {self.root}: {error.strerror or error}"
            ) from None
        if not stat.S_ISREG(mode):
            raise InputError(f"{shown}: is no file")
        return found[len(self._prefix) :]

    def _check(self, found: bytes, shown: str) -> None:
        if not found.startswith(self._prefix):
            raise InputError(f"{shown}: lies outside of {self.root}")


def _spelled_on_disk(path: bytes) -> bytes:
    return os.fsencode(spelled_on_disk(os.fsdecode(path)))
