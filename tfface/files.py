"""Writing files so that an interrupted command never leaves half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfface.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends without error.

    The temporary name keeps the suffixes, because some writers choose their format by it.

    Raises InputError: the folder can't be made or written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}-", suffix=".partial" + "".join(path.suffixes), dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        os.chmod(temporary, 0o666 & ~_umask())
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # Only trouble with this file is about writing it; others keep their own message.
        if error.filename in (str(temporary), str(path), None):
            raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's file-mode mask (mkstemp ignores it and makes files private)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
