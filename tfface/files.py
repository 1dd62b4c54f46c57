"""Files: writing so that an interrupted command never leaves half of a file."""

import csv
import errno
import filecmp
import json
import lzma
import os
import re
import stat
import tempfile
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfface.errors import InputError, shown
from tfface.paths import did_you_mean_path

_SPECIAL = "is a device, a pipe or a socket, and no regular file; give one"
# Bytes; no usual file system has longer names.
_MOST_IN_NAME = 255
# What `replacing` calls its temporary files; `tempfile` puts eight characters in the middle.
_TEMPORARY_PREFIX, _TEMPORARY_END = ".tfface-", ".partial"
_TEMPORARY = re.compile(r"\.tfface-[a-z0-9_]{8}\.partial(\.\w{1,16})?", re.ASCII)


@contextmanager
def os_errors(path: str | bytes | os.PathLike, action: str = "read") -> Iterator[None]:
    """Turns an error of the system in the block into one line about a file.

    Raises InputError: "PATH: can't be read: No such file or directory".
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        near = ""
        if error.errno == errno.ENOENT and action == "read":
            near = did_you_mean_path(os.fsdecode(path))
        raise InputError(f"{os.fsdecode(path)}: can't be {action}: {reason}{near}") from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends without error.

    The temporary name keeps the suffix, because some writers choose their format by it. Else it
    doesn't depend on the file's, which may be as long as a name can be. Where `path` is a link, the
    file that it leads to is replaced, and the link stays.

    Raises InputError: the folder can't be made or written, the disk is full, or `path` is a device
        or anything else that is no regular file.
    """
    path = _target(Path(path))
    temporary = _make_temporary(path)
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


@contextmanager
def creating(path: str | os.PathLike) -> Iterator[Path]:
    """As `replacing`, for a file that may be there only if it holds what is written.

    So a killed command can be repeated, and no file of the user's is lost.

    Raises InputError: as `replacing`; or a file with another content is there.
    """
    with replacing(path) as temporary:
        yield temporary
        if os.path.exists(path) and not filecmp.cmp(temporary, path, shallow=False):
            raise InputError(
                f"{path}: is there already, and is not what this tool writes: move it elsewhere"
            )


def remove_partial(folder: Path) -> None:
    """Removes what `replacing` leaves in a folder when its process is killed.

    Nobody may be writing there.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if is_temporary(path):
                path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file is one that `replacing` leaves, and no file of the user's, by its name."""
    return _TEMPORARY.fullmatch(path.name) is not None and not path.is_dir()


def write_json(path: str | os.PathLike, content: object) -> None:
    """Writes figures as JSON to be read by people as well.

    Names of files that are no text are read back from it as they were.

    Raises InputError: the file can't be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        # What can't be encoded becomes \udcff, which is how JSON itself would say it.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def write_csv(
    path: str | os.PathLike, header: Iterable[object], rows: Iterable[Iterable[object]]
) -> None:
    """Writes a table; names of files that are no text keep their bytes.

    Raises InputError: the file can't be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def parse_json(text: str | bytes) -> Any:
    """Returns what JSON says that anybody may have written.

    Raises ValueError: it is no JSON, or nested deeper than Python reads it.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    # Python's own words are about a setting of Python.
    except ValueError:
        raise ValueError("a number of too many digits") from None


def is_special(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: a device, a pipe, a socket.

    Reading it may never end.
    """
    return path.exists() and not path.is_file() and not path.is_dir()


def check_regular(path: Path) -> None:
    """Raises InputError: a path is that of a device, a pipe or a socket."""
    if is_special(path):
        raise InputError(f"{path}: {_SPECIAL}")


def read_regular(path: Path) -> bytes:
    """Returns the bytes of a file.

    Raises OSError: it can't be read, or is a device, a pipe or a socket.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return path.read_bytes()


def read_bytes(path: str | bytes | os.PathLike) -> bytes:
    """Returns the bytes of a file; of a small one in half the time that `open` takes.

    Raises OSError: it can't be read.
    """
    descriptor = os.open(path, _READ_ONLY)
    try:
        parts = []
        while part := os.read(descriptor, _READ_AT_ONCE):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


# Windows changes line ends in what isn't said to be binary.
_READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_READ_AT_ONCE = 1 << 16


def seek_and_read(descriptor: int, num_bytes: int, offset: int) -> bytes:
    """As `read_at`, for systems without `pread`: one thread at a time."""
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, num_bytes)


_seeking = threading.Lock()
# Returns bytes of an open file from an offset, whatever other threads read from it meanwhile.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", seek_and_read)


def is_file_name(name: str) -> bool:
    """Whether a text that a file holds can be the name of another in a folder, and no more."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return (
        name not in ("", ".", "..")
        and b"/" not in encoded
        and b"\0" not in encoded
        and len(encoded) <= _MOST_IN_NAME
    )


@contextmanager
def suffix_in_lower_case(path: Path) -> Iterator[Path]:
    """Yields a path of the file that libraries know the format by, which take `.H5` for another.

    It is the file's own, or that of a link, which is gone after the block.
    """
    suffix = re.search(r"(\.weights)?\.\w+$", path.name, re.IGNORECASE)
    if suffix is None or suffix[0] == suffix[0].lower():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        link = Path(folder, f"file{suffix[0].lower()}")
        link.symlink_to(path.resolve())
        yield link


def check_stored(archive: zipfile.ZipFile, num_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Checks that a zip of arrays is no larger unpacked than it is, as who writes them doesn't
    compress them.

    Args:
        num_bytes: the size of the archive's file.
    Returns: its entries by name.
    Raises ValueError: an entry is compressed, encrypted, there twice, or claims what isn't there.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    left = num_bytes
    for entry in archive.infolist():
        name = shown(entry.filename)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ValueError(f"{name} is compressed or encrypted, which such files never are")
        if entry.filename in entries:
            raise ValueError(f"{name} is there twice")
        left -= entry.file_size
        # All together, for several entries may claim the same bytes.
        if left < 0 or entry.compress_size != entry.file_size:
            raise ValueError(
                f"{name} claims {entry.file_size:,} bytes in a file of {num_bytes:,} bytes"
            )
        entries[entry.filename] = entry
    return entries


def check_writable(path: str | os.PathLike) -> None:
    """Finds out before long work whether its result can be written to `path` by `replacing`.

    Raises InputError: the folder can't be made or written, or `path` is a folder, a device or
        anything else that is no regular file.
    """
    _make_temporary(_target(Path(path))).unlink()


def _target(path: Path) -> Path:
    """Returns the regular file, there or not, that `path` is or leads to by links.

    Raises InputError: something else is there, which a rename would put a file in place of.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; give a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: {_SPECIAL}")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _make_temporary(path: Path) -> Path:
    """Makes an empty file beside `path`, and the folders above it if need be."""
    with os_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=_TEMPORARY_PREFIX,
            suffix=f"{_TEMPORARY_END}{_short_suffix(path)}",
            dir=path.parent,
        )
        os.close(handle)
        os.chmod(name, 0o666 & ~_UMASK)
        return Path(name)


def _short_suffix(path: Path) -> str:
    return path.suffix if re.fullmatch(r"\.[A-Za-z0-9_]{1,16}", path.suffix) else ""


def _umask() -> int:
    """The process's file-mode mask (mkstemp ignores it and makes files private)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Once, while there is one thread: to ask for it is to change it for a moment, for all of them.
_UMASK = _umask()


# What reading a damaged or hostile zip of arrays (.npz, .keras) raises: zipfile, its decompressors,
# and NumPy's parser of array headers name no errors of their own.
DAMAGED_ARCHIVE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
)
