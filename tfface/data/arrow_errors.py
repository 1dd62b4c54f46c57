"""pyarrow's errors as one line for the user."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfface.errors import InputError, shown


@contextmanager
def arrow_errors(path: Path, kind: str) -> Iterator[None]:
    """Turns errors of pyarrow, while a file is read, into InputError.

    Args:
        path: of the file.
        kind: what it is read as.
    """
    try:
        yield
    except InputError:
        raise
    # pyarrow has errors of Python's types and of its own, and some of C++ that are neither.
    except (OSError, ValueError, TypeError, LookupError, MemoryError, RuntimeError) as error:
        reason = shown(next(iter(str(error).strip().splitlines()), type(error).__name__))
        raise InputError(f"{path}: can't be read as {kind}: {reason}") from error
