"""TensorBoard's event files, written with the `tensorboard` package alone.

TensorFlow's own writer, and tensorboard's `EventFileWriter`, would import TensorFlow, which a run
on another backend has no use for.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tfface.errors import InputError


class TensorBoardEvents:
    """One event file of scalars. Made by `tensorboard_events`, which knows whether it can be."""

    def __init__(self, folder: Path, purge_from_step: int | None):
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        # Two runs into one folder within a second need two names.
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        name += f".{time.monotonic_ns()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter((folder / name).open("wb"))
        except OSError as error:
            raise InputError(f"{folder}: can't be written: {error.strerror or error}") from error
        self._add(file_version="brain.Event:2")
        if purge_from_step is not None:
            # Tells TensorBoard to drop what older files say about this step and later ones.
            self._add(step=purge_from_step, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        values = [self._summary.Value(tag=t, simple_value=v) for t, v in scalars.items()]
        self._add(step=step, summary=self._summary(value=values))

    def close(self) -> None:
        self._writer.close()

    def _add(self, **fields: object) -> None:
        event = self._event(wall_time=time.time(), **fields)
        self._writer.write(event.SerializeToString())
        self._writer.flush()


def tensorboard_events(folder: Path, resume_at_step: int | None) -> TensorBoardEvents | None:
    """Returns a writer of event files into `folder`; None where tensorboard isn't installed.

    Args:
        resume_at_step: the last step that older event files in the folder are right about.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return None
    return TensorBoardEvents(folder, None if resume_at_step is None else resume_at_step + 1)
