"""Loggers of training metrics: metrics.jsonl (one JSON object per line) and TensorBoard."""

import json
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tfface.errors import InputError
from tfface.files import os_errors, parse_json, read_regular, replacing


class NoLog:
    """Has the interface of MetricsLog, and writes nothing."""

    def step(self, step: int, loss: float) -> None:
        """Logs nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Logs nothing."""


class MetricsLog:
    """Appends records to `metrics.jsonl`; each line is written when the call returns.

    There are two kinds of records. Both have `step`, the number of finished training steps:

        {"step": 120, "loss": 3.21}
        {"epoch": 2, "stage": "head", "step": 200, "loss": 3.1, "val_accuracy": 0.4, ..}

    NaN and infinity, which JSON does not have, become null. If the package `tensorboard` is
    installed, numbers are also written as its scalars `step/loss` and `epoch/loss`.

    Args:
        path: the file; created with its folder, or appended to.
        resume_at_step: remove records of later steps, which a resumed run repeats.
        tensorboard_dir: folder of the TensorBoard events; by default `tensorboard` in the folder of
            `path`.

    Raises:
        InputError: the file exists and is not a log, or can't be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "metrics.jsonl")
        >>> with MetricsLog(path) as log:
        ...     log.epoch({"epoch": 1, "step": 10, "loss": 2.5})
        >>> read_metrics(path)
        [{'epoch': 1, 'step': 10, 'loss': 2.5}]
    """

    def __init__(
        self,
        path: Path,
        *,
        resume_at_step: int | None = None,
        tensorboard_dir: Path | None = None,
    ):
        path = Path(path)
        if path.exists():
            _truncate(path, math.inf if resume_at_step is None else resume_at_step)
        with os_errors(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        self._events = _tensorboard_events(
            tensorboard_dir or path.parent / "tensorboard", resume_at_step
        )

    def step(self, step: int, loss: float) -> None:
        """Logs the loss of one training step."""
        self._write({"step": step, "loss": loss}, "step")

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Logs the metrics of one epoch, with `epoch` and `step`."""
        missing = {"epoch", "step"} - record.keys()
        if missing:
            raise ValueError(f"an epoch record needs {sorted(missing)}; got {[*record]}")
        self._write(record, "epoch")

    def close(self) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, record: Mapping[str, Any], kind: str) -> None:
        record = {key: _plain(value) for key, value in record.items()}
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
        if self._events is not None:
            scalars = {
                f"{kind}/{key}": float(value)
                for key, value in record.items()
                if isinstance(value, int | float) and key != "step"
            }
            self._events.write(record["step"], scalars)


def read_metrics(path: Path) -> list[dict]:
    """Returns all records of a `metrics.jsonl`, in order.

    An incomplete last line, which a killed run leaves, is skipped.

    Raises:
        InputError: no such file, or another line is not a record.
    """
    with os_errors(path):
        text = read_regular(Path(path)).decode(errors="replace")
    records = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            record = parse_json(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("step"), int):
            raise InputError(
                f'{path}, line {number}: not a record of a run: it needs an integer "step"'
            )
        records.append(record)
    return records


def epoch_records(records: list[dict]) -> list[dict]:
    """Returns the records of epochs, without those of steps."""
    return [record for record in records if "epoch" in record]


def _truncate(path: Path, after_step: float) -> None:
    """Rewrites the log without an incomplete last line and without later steps."""
    lines = [json.dumps(r) + "\n" for r in read_metrics(path) if r["step"] <= after_step]
    with replacing(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _plain(value: Any) -> Any:
    """Returns a JSON value: array scalars as Python scalars, NaN and infinity as null."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class TensorBoardEvents:
    """Writes scalars to a TensorBoard event file, with the `tensorboard` package only.

    TensorFlow's writer and tensorboard's `EventFileWriter` would import TensorFlow, which runs on
    other backends do not need.
    """

    def __init__(self, folder: Path, purge_from_step: int | None):
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        # Runs that write to the same folder within a second need different names.
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        name += f".{time.monotonic_ns()}"
        with os_errors(folder, "written"):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter((folder / name).open("wb"))
        self._add(file_version="brain.Event:2")
        if purge_from_step is not None:
            # TensorBoard then ignores this step and later ones of older files.
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


def _tensorboard_events(folder: Path, resume_at_step: int | None) -> TensorBoardEvents | None:
    """Returns a writer of event files; None if tensorboard is not installed.

    Args:
        folder: for the files.
        resume_at_step: the last valid step of older event files in the folder.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return None
    return TensorBoardEvents(folder, None if resume_at_step is None else resume_at_step + 1)
