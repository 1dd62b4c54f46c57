"""What a path means that a recipe or a command line names."""

import os
from pathlib import Path

from tfface.errors import InputError

EMPTY_PATH = "an empty path: name a file or folder ('.' is the one that paths start at)"


def expanded(path: str | os.PathLike[str]) -> Path:
    """Returns a path with the home folder in place of a leading ~.

    Shells do that, but neither in a recipe nor in `--option=~/x`.

    Raises InputError: it is empty, as a variable of a shell is that isn't set.
    """
    if not os.fspath(path):
        raise InputError(EMPTY_PATH)
    return Path(os.path.expanduser(path))
