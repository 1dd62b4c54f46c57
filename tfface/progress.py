"""How far the work is: a bar on a terminal and in a notebook.

Elsewhere it is a line when nothing was said for a minute.

`image_workers` are threads that move one bar together.
"""

import concurrent.futures
import operator
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_QUIET_SECONDS = 60.0
_clock = time.monotonic
# One line a minute, however many bars there are.
_saying = threading.Lock()
_said_at = _clock()
_is_silent = False


def progress(
    iterable: Iterable | None = None, *, total: int | None = None, description: str, unit: str
) -> "tqdm | Lines":
    """Returns a bar over `iterable`, or one to be moved by `update` (a context manager).

    Args:
        total: how many units there will be; taken from `len(iterable)` where that is known.
        description: what is being done, in a few words.
        unit: the plural noun that is counted, for example "images".
    """
    if total is None and iterable is not None:
        total = operator.length_hint(iterable) or None
    if _is_silent or not (sys.stderr.isatty() or _is_notebook()):
        return Lines(iterable, total, description, unit)
    return _bar()(
        iterable,
        total=total,
        desc=description,
        unit=f" {unit}",
        unit_scale=True,
        dynamic_ncols=True,
    )


def _is_notebook() -> bool:
    """Whether Jupyter runs this process and shows widgets; only it has loaded IPython's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def _bar() -> type[tqdm]:
    if not _is_notebook():
        return tqdm
    # It is a widget, or text where widgets are not installed.
    from tqdm.auto import tqdm as notebook_bar

    return notebook_bar


def said() -> None:
    """Notes that the user was told something just now, so that a line can wait for a minute."""
    global _said_at
    _said_at = _clock()


@contextmanager
def silence() -> Iterator[None]:
    """Within the block nothing is said of progress that begins there."""
    global _is_silent
    before, _is_silent = _is_silent, True
    try:
        yield
    finally:
        _is_silent = before


class Lines:
    """What `progress` returns where there is no terminal: of tqdm, the methods that are used.

    Example:
        >>> list(Lines([1, 2], total=2, description="reading", unit="images"))
        [1, 2]
    """

    def __init__(self, iterable: Iterable | None, total: int | None, description: str, unit: str):
        self._iterable = () if iterable is None else iterable
        self._total = total
        self._description = description
        self._unit = unit
        self._postfix = ""
        self._number = 0
        self._is_silent = _is_silent
        self._began_at = _clock()

    def __iter__(self) -> Iterator:
        for item in self._iterable:
            yield item
            self.update()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def update(self, number: int = 1) -> None:
        self._number += number
        self._say_if_due()

    def set_description(self, description: str) -> None:
        self._description = description

    def set_postfix(self, *, refresh: bool = True, **values: str) -> None:
        self._postfix = ", ".join(f"{name}={value}" for name, value in values.items())

    def set_postfix_str(self, postfix: str) -> None:
        self._postfix = postfix
        self._say_if_due()

    def _say_if_due(self) -> None:
        if self._is_silent or _clock() - _said_at < _QUIET_SECONDS:
            return
        with _saying:
            # Another thread may have said it meanwhile.
            if _clock() - _said_at >= _QUIET_SECONDS:
                print(self._line(), file=sys.stderr, flush=True)
                said()

    def _line(self) -> str:
        seconds = _clock() - self._began_at
        of_all = f" of {self._total:,}" if self._total else ""
        line = f"{self._description}: {self._number:,}{of_all} {self._unit}"
        if self._number and seconds > 0:
            line += f", {self._number / seconds:,.3g} a second"
            if self._total and self._number <= self._total:
                left = (self._total - self._number) * seconds / self._number
                line += f", {tqdm.format_interval(left)} left"
        return f"{line}, {self._postfix}" if self._postfix else line


@contextmanager
def image_workers(
    num_workers: int, num_images: int, description: str
) -> Iterator[tuple[Callable, Callable]]:
    """Starts threads that an error in the block stops, at the next image that they are done with.

    Threads suffice: reading, decoding, hashing and writing all let the others run.

    Yields: submit(function, task) -> a future of function(task, advance); and advance(count), to be
        called for images that are done.
    """
    stop, lock = threading.Event(), threading.Lock()
    with (
        progress(total=num_images, description=description, unit="images") as bar,
        concurrent.futures.ThreadPoolExecutor(num_workers) as workers,
    ):

        def advance(count: int) -> None:
            with lock:
                bar.update(count)
            if stop.is_set():
                raise concurrent.futures.CancelledError

        def submit(function: Callable, task: Any) -> concurrent.futures.Future:
            return workers.submit(function, task, advance)

        try:
            yield submit, advance
        except BaseException:
            stop.set()
            workers.shutdown(cancel_futures=True)
            raise
