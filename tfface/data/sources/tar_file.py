"""Tar archives, read in place: where each file in them lies. Nothing is ever unpacked.

A file in an archive is a header of 512 bytes and its bytes, filled up with zeros to a multiple of
512. Two headers of zeros end the archive. A name too long for its header (100 bytes) is in a file
before it: in a GNU archive as it is, in a POSIX archive as one of several lines `LENGTH KEY=VALUE`.
"""

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from tfface.errors import InputError, shown
from tfface.file_kind import other_kind_of
from tfface.files import os_errors, read_at
from tfface.progress import progress

_BLOCK = 512
# Bytes; names and headers of archives that somebody packed are shorter.
_LONGEST_NAME = 4096
_LONGEST_EXTENSION = 1 << 20
_REGULAR = (b"0", b"\0", b"7")
_FOLDER = b"5"
_LONG_NAME, _LONG_LINK = b"L", b"K"
_OF_NEXT, _OF_ALL = b"x", b"g"
_KINDS = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
_PAX_LINE = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,255})=")


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: bytes, as the archive has it: untrusted, and never used as a path.
        start: offset of its bytes.
        size: in bytes.
    """

    name: bytes
    start: int
    size: int


# A set may have more shards than a process may have files open.
@functools.lru_cache(maxsize=256)
def _opened(path: Path, version: tuple[int, ...]) -> IO[bytes]:
    return path.open("rb", buffering=0)


class TarFile:
    """An archive that is not compressed; threads may read it at once.

    Args:
        path: of the archive.

    Raises:
        InputError: it can't be opened.

    Example:
        >>> import io, tarfile, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "faces.tar")
        ...     with tarfile.open(path, "w") as archive:
        ...         info = tarfile.TarInfo("ann/1.jpg")
        ...         info.size = 5
        ...         archive.addfile(info, io.BytesIO(b"image"))
        ...     opened = TarFile(path)
        ...     [member] = opened.members()
        ...     member.name, opened.read(member.start, member.size)
        (b'ann/1.jpg', b'image')
    """

    def __init__(self, path: Path):
        self.path = path
        with os_errors(path):
            if not path.is_file():
                raise InputError(f"{path}: no regular file")
            found = path.stat()
        self._num_bytes = found.st_size
        self._version = (found.st_dev, found.st_ino, found.st_mtime_ns)

    def read(self, start: int, size: int) -> bytes:
        """Returns bytes of the archive.

        Raises:
            InputError: they can't be read, or the file is shorter than it was.
        """
        parts = []
        while size > 0:
            with os_errors(self.path):
                # The name keeps the file open, whatever is opened meanwhile.
                file = _opened(self.path, self._version)
                part = read_at(file.fileno(), size, start)
            if not part:
                raise InputError(f"{self.path}: has become shorter while it was read")
            parts.append(part)
            start, size = start + len(part), size - len(part)
        return b"".join(parts)

    def members(self) -> Iterator[Member]:
        """Yields the regular files of the archive; folders are passed over.

        Raises:
            InputError: it is damaged, cut short or compressed, or contains a link, a device or a
                sparse file.
        """
        offset = 0
        name: bytes | None = None
        size_of_next: int | None = None
        bar = progress(
            total=self._num_bytes, description=f"indexing {self.path.name}", unit="bytes"
        )
        with bar:
            while (header := self._header(offset)) is not None:
                start = offset + _BLOCK
                kind = header[156:157]
                size = self._number(header[124:136], offset)
                if kind not in (_LONG_NAME, _LONG_LINK, _OF_NEXT, _OF_ALL):
                    size = size if size_of_next is None else size_of_next
                end = start + -(-size // _BLOCK) * _BLOCK
                shown_name = shown(os.fsdecode(name or _name(header)))
                if start + size > self._num_bytes:
                    raise InputError(
                        f"{self.path}: ends inside {shown_name}: it is cut short or damaged"
                    )
                if kind == _LONG_NAME:
                    name = self._long(start, size, _LONGEST_NAME).rstrip(b"\0")
                elif kind == _OF_NEXT:
                    name, size_of_next = self._extension(start, size, name)
                elif kind not in (_LONG_LINK, _OF_ALL):
                    if kind in _REGULAR:
                        yield Member(name or _name(header), start, size)
                    elif kind != _FOLDER:
                        what = _KINDS.get(kind, "no regular file")
                        raise InputError(f"{self.path}: {shown_name} is {what}: pack files alone")
                    name = size_of_next = None
                bar.update(end - offset)
                offset = end

    def _header(self, offset: int) -> bytes | None:
        """Returns the header at an offset; None at the end of the archive."""
        if offset + _BLOCK > self._num_bytes:
            if offset == 0:
                raise InputError(f"{self.path}: no tar archive: it is too short")
            raise InputError(f"{self.path}: has no end: it is cut short, and images may be missing")
        header = self.read(offset, _BLOCK)
        if not any(header):
            self._check_end(offset + _BLOCK)
            return None
        # The checksum counts its own field as blanks.
        wanted = sum(header[:148]) + 8 * 32 + sum(header[156:])
        if _octal(header[148:156]) != wanted:
            if offset == 0 and (kind := other_kind_of(self.path)):
                raise InputError(f"{self.path}: is {kind}")
            what = "no tar archive" if offset == 0 else f"damaged at byte {offset:,}"
            raise InputError(f"{self.path}: {what}: a header has a wrong checksum")
        return header

    def _check_end(self, offset: int) -> None:
        """Raises InputError: another archive follows, whose files would be lost."""
        rest = self.read(offset, min(self._num_bytes - offset, _LONGEST_EXTENSION))
        if any(rest):
            raise InputError(
                f"{self.path}: more follows behind its end: archives that were joined can't be "
                "read: keep them as files of their own"
            )

    def _number(self, field: bytes, offset: int) -> int:
        # GNU tar writes what octal digits have no room for in base 256.
        number = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
        if number is None:
            raise InputError(f"{self.path}: damaged at byte {offset:,}: a size is not a number")
        return number

    def _long(self, start: int, size: int, most: int) -> bytes:
        if size > most:
            raise InputError(f"{self.path}: a name or header in it has {size:,} bytes")
        return self.read(start, size)

    def _extension(
        self, start: int, size: int, name: bytes | None
    ) -> tuple[bytes | None, int | None]:
        """Returns the name and the size that a POSIX header gives to the next file."""
        text = self._long(start, size, _LONGEST_EXTENSION)
        values: dict[bytes, bytes] = {}
        while text:
            found = _PAX_LINE.match(text)
            length = int(found[1]) if found else 0
            if found is None or not found.end() < length <= len(text) or text[length - 1] != 10:
                raise InputError(f"{self.path}: a POSIX header in it is damaged")
            values[found[2]] = text[found.end() : length - 1]
            text = text[length:]
        if any(key.startswith(b"GNU.sparse") for key in values):
            raise InputError(f"{self.path}: a file in it is sparse: pack it without --sparse")
        digits = values.get(b"size")
        if digits is not None and not re.fullmatch(rb"[0-9]{1,18}", digits):
            raise InputError(f"{self.path}: a POSIX header in it is damaged: its size")
        long_name = values.get(b"path", name)
        if long_name is not None and not 0 < len(long_name) <= _LONGEST_NAME:
            raise InputError(f"{self.path}: a name in it has {len(long_name):,} bytes")
        return long_name, None if digits is None else int(digits)


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    # POSIX archives have more room; GNU's have other things there.
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None
