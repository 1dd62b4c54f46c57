"""TensorFlow without the notes that it writes to stderr when it starts."""

import gc
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tfface.errors import harmless

# Notes that TensorFlow prints before its log level is in force, its word for "no GPU here", and
# what LiteRT prints at whatever log level.
_NOTE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |E\d{4} .*failed call to cuInit|"
    rb"INFO: Created TensorFlow Lite|fully_quantize: "
)
_COLOR = re.compile(rb"\x1b\[[0-9;]*m")
# Descriptor 2 is that of the whole process.
_holding = threading.Lock()


# What TensorFlow and Keras import where it is installed, each for a function or two: more than a
# third of the time that importing them takes.
_OPTIONAL = ("IPython", "jax", "matplotlib", "sklearn")


def import_tensorflow(backend: str, *, for_command: bool = False) -> None:
    """Imports TensorFlow without its start-up notes; anything else it says is passed on.

    Args:
        backend: of Keras. TensorFlow only reads data for another than itself, and must not take
            the accelerator's memory.
        for_command: the process has no other program in it: leave out what needs optional packages
            (Keras' wrappers for scikit-learn and its `visualization`, TensorFlow Lite's converter
            of JAX functions). The packages themselves can be imported afterwards.
    """
    # TensorFlow reads it when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    hidden = [name for name in _OPTIONAL if name != backend] if for_command else ()
    with without_notes(), _hidden(hidden), _without_collections():
        import tensorflow

        # Looking for devices prints too, the first time.
        tensorflow.config.list_physical_devices()
        if backend != "tensorflow":
            tensorflow.config.set_visible_devices([], "GPU")
    if for_command:
        # None of it becomes garbage, so nobody needs to look at it again and again.
        gc.freeze()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Looks for no garbage meanwhile: an import makes none, and each search goes over all of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _hidden(packages: Iterable[str]) -> Iterator[None]:
    """Makes packages that aren't imported yet look as if they were not installed."""
    names = [name for name in packages if name not in sys.modules]
    for name in names:
        # What Python itself takes as "is not there".
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@contextmanager
def without_notes() -> Iterator[None]:
    """Holds back what is written to stderr in the block, and passes on what is no known note.

    A block inside of another, or in another thread meanwhile, leaves that to the first one: blocks
    that end in another order than they began in would leave stderr to a file that is gone.
    """
    if not _holding.acquire(blocking=False):
        yield
        return
    try:
        with _held_back():
            yield
    finally:
        _holding.release()


@contextmanager
def _held_back() -> Iterator[None]:
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError):
        # A program without a stderr.
        yield
        return
    heard = _memory_file()
    os.dup2(heard, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.lseek(heard, 0, os.SEEK_SET)
        text = b"".join(iter(lambda: os.read(heard, 1 << 20), b""))
        os.close(heard)
        for line in text.splitlines(keepends=True):
            if not _NOTE.match(line):
                # Some libraries color what they say.
                sys.stderr.write(harmless(_COLOR.sub(b"", line).decode(errors="replace")))


def _memory_file() -> int:
    """Returns the descriptor of an empty file that no folder has."""
    create = getattr(os, "memfd_create", None)
    if create is not None:
        return create("stderr")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
