"""What a path means that a recipe or a command line names."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Returns a path with the home folder in place of a leading ~.

    Shells do that, but neither in a recipe nor in `--option=~/x`.
    """
    return Path(os.path.expanduser(path))
