"""What all tools share: finding the package, a quiet TensorFlow, and how they end.

Import it first: it puts the checkout on the path, so that the tools run without installing tfface.
"""

import argparse
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# TensorFlow reads these when it is imported; its start-up notes would bury the tool's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tfface.errors import InputError

# Where the relative paths of recipes start, unless --data-dir says otherwise.
DATA_DIR = Path(os.environ.get("TFFACE_DATA", "data"))


_BACKENDS = ("tensorflow", "jax", "torch")

# Notes that TensorFlow prints before its log level is in force, its word for "no GPU here", and
# what LiteRT prints at whatever log level.
_NOTE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |E\d{4} .*failed call to cuInit|"
    rb"INFO: Created TensorFlow Lite"
)


def with_huge_pages() -> None:
    """Starts the tool again with memory in huge pages, where the system has them for who asks.

    Training takes and gives back arrays of hundreds of megabytes in every step; getting those in
    pages of 4 KiB takes longer than filling them. glibc reads the setting when a process starts.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its start-up notes; anything else it says is passed on.

    Raises InputError: $KERAS_BACKEND names a backend that isn't known or not installed.
    """
    backend = _backend()
    with without_notes():
        import tensorflow

        # Looking for devices prints too, the first time.
        tensorflow.config.list_physical_devices()
        if backend != "tensorflow":
            # It only reads data then, and must not take the accelerator's memory.
            tensorflow.config.set_visible_devices([], "GPU")


@contextmanager
def without_notes() -> Iterator[None]:
    """Holds back what is written to stderr in the block, and passes on what is no known note."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            heard.seek(0)
            for line in heard:
                if not _NOTE.match(line):
                    sys.stderr.write(line.decode(errors="replace"))


def _backend() -> str:
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _BACKENDS:
        raise InputError(f"KERAS_BACKEND={backend}: must be one of {', '.join(_BACKENDS)}")
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"KERAS_BACKEND={backend}: {backend} is not installed here")
    return backend


@contextmanager
def folder_or_temporary(folder: Path | None) -> Iterator[Path]:
    """Yields the folder, or where there's none one that is gone after the block."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tfface-") as temporary:
        yield Path(temporary)


def positive(text: str) -> int:
    """An option's whole number above 0."""
    return _whole_number(text, 1)


def natural(text: str) -> int:
    """An option's whole number of 0 or more."""
    return _whole_number(text, 0)


def quality(text: str) -> int:
    """An option's quality of JPEG."""
    return _whole_number(text, 1, 100)


def image_size(text: str) -> tuple[int, int]:
    """An option's size in pixels, (height, width): 112 means 112x112."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(n.isdecimal() and 1 <= int(n) <= 8192 for n in numbers):
        raise argparse.ArgumentTypeError(
            f"must be a number of pixels from 1 to 8192, or HEIGHTxWIDTH as in 112x96; got '{text}'"
        )
    return int(numbers[0]), int(numbers[-1])


def _whole_number(text: str, lowest: int, highest: int | None = None) -> int:
    if not text.isdecimal() or int(text) < lowest or (highest and int(text) > highest):
        limits = f"from {lowest} to {highest}" if highest else f"of {lowest} or more"
        raise argparse.ArgumentTypeError(f"must be a whole number {limits}, got '{text}'")
    return int(text)


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Says how to go on when the user interrupts the block."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {how_to_go_on}") from None


def warn(text: str) -> None:
    """Tells the user something that doesn't stop the tool."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def run(main: Callable[[], None]) -> None:
    """Calls a tool's `main` and exits: 0 when it returns, 2 with one line when the input is bad."""
    from tfface.parent_process import end_with_parent

    end_with_parent()
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interruption:
        # A tool may say how to go on.
        print(str(interruption) or "interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
