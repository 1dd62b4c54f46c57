"""Threads that work through images under one progress bar."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfface.progress import progress


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

        def submit(function: Callable, task) -> concurrent.futures.Future:
            return workers.submit(function, task, advance)

        try:
            yield submit, advance
        except BaseException:
            stop.set()
            workers.shutdown(cancel_futures=True)
            raise
