"""A folder that one process at a time may write."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfface.errors import InputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes a folder, and keeps other processes that ask for its lock out of it for the block.

    The lock ends with the process, however that ends.

    Raises InputError: another process has the lock, or the folder can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What is a folder's name, but of a file.
        os.listdir(folder)
    except NotADirectoryError:
        raise InputError(f"{folder}: is a file, or lies in one; give a folder") from None
    except FileExistsError:
        raise InputError(f"{folder}: is a file; give a folder") from None
    except OSError as error:
        raise InputError(f"{folder}: can't be made: {error.strerror or error}") from error
    with _lock_file(folder) if sys.platform == "win32" else _lock_folder(folder):
        yield


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Locks the folder itself, so that no file is left."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(folder) from None
        except OSError as error:
            # Some network file systems have no locks; there the user has to take care.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                raise InputError(f"{folder}: can't be locked: {error.strerror}") from error
        yield
    finally:
        os.close(handle)


@contextmanager
def _lock_file(folder: Path) -> Iterator[None]:
    """Locks a file beside the folder, where folders themselves can't be locked."""
    import filelock

    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise _taken(folder) from None
    try:
        yield
    finally:
        lock.release()


def _taken(folder: Path) -> InputError:
    return InputError(f"{folder}: another process is writing it; wait for its end")
