"""Images that a list names, line by line, with a person for each: what all such lists share."""

import os
import sys
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import SafeRoot
from tfface.errors import InputError
from tfface.names import cell_text, clean_name, warn_of_case

_MAX_ERRORS = 20


class FileList:
    """Collects the images of a list's lines, and what is wrong with lines.

    Args:
        path: of the list.
        root: folder of the images, which no path may leave.

    Attributes:
        root: without symbolic links.

    Raises:
        InputError: there is no such folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.jpg").write_bytes(b"")
        ...     files = FileList(Path("faces.csv"), Path(folder))
        ...     files.add(2, "1.jpg", " ann")
        True
        >>> files.paths, files.identities("faces")
        ([b'1.jpg'], ([Identity(name='ann', source='faces')], array([0], dtype=int32)))
    """

    def __init__(self, path: Path, root: Path):
        self._path = path
        self._below = SafeRoot(root)
        self.root = self._below.root
        self._lines: dict[bytes, int] = {}
        self._names: list[str] = []
        self._mistakes: list[str] = []

    def add(self, line: int, image: str, identity: str) -> bool:
        """Adds an image; returns False, and notes why, if the line is wrong.

        Args:
            line: its number.
            image: path of the image, below the folder.
            identity: name of the person, not normalized.

        Raises:
            InputError: 20 lines are wrong; the message names all of them.
        """
        try:
            found = self._below.find(os.fsencode(cell_text(image)))
            if (first := self._lines.get(found)) is not None:
                raise InputError(f"{image}: was listed in line {first} already")
            name = clean_name(cell_text(identity))
        except InputError as error:
            self.note(line, str(error))
            return False
        self._lines[found] = line
        # Interned, because the same few texts are repeated.
        self._names.append(sys.intern(name))
        return True

    def note(self, line: int, mistake: str) -> None:
        """Notes what is wrong with a line.

        Raises:
            InputError: it is the twentieth.
        """
        self._mistakes.append(f"{self._path}: line {line}: {mistake}")
        if len(self._mistakes) == _MAX_ERRORS:
            raise InputError("\n".join([*self._mistakes, "and perhaps more"]))

    @property
    def paths(self) -> list[bytes]:
        """The paths of the images below the folder, in the order of the lines."""
        return list(self._lines)

    def identities(self, source: str) -> tuple[list[Identity], np.ndarray]:
        """Returns the identities, sorted by the bytes of their names, and the labels, int32.

        Args:
            source: becomes `Identity.source`.

        Raises:
            InputError: a line is wrong, or there is none.
        """
        if self._mistakes:
            raise InputError("\n".join(self._mistakes))
        if not self._names:
            raise InputError(f"{self._path}: lists no images")
        known = sorted(set(self._names), key=os.fsencode)
        warn_of_case(known, str(self._path))
        labels = {name: label for label, name in enumerate(known)}
        return (
            [Identity(name, source) for name in known],
            np.array([labels[name] for name in self._names], np.int32),
        )
