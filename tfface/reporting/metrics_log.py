"""metrics.jsonl: the figures of a run, one JSON object per line, and the same for TensorBoard."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tfface.errors import InputError
from tfface.files import parse_json, replacing
from tfface.reporting.tensorboard_events import TensorBoardEvents, tensorboard_events


class NoLog:
    """Takes what a MetricsLog takes, and writes nothing."""

    def step(self, step: int, loss: float) -> None:
        """Logs nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Logs nothing."""


class MetricsLog:
    """Appends records to `metrics.jsonl`; each line is on disk when the call returns.

    There are two kinds of record. Both have `step`, the number of training steps made by then:

        {"step": 120, "loss": 3.21}
        {"epoch": 2, "stage": "head", "step": 200, "loss": 3.1, "val_accuracy": 0.4, ..}

    NaN and infinity, which JSON doesn't have, become null. Where the package `tensorboard` is
    installed, numbers are also written as its scalars `step/loss` and `epoch/loss`.

    Args:
        path: the file; made with its folder if it isn't there, else appended to.
        resume_at_step: forget what an interrupted run wrote beyond this step, because these steps
            are made again.
        tensorboard_dir: folder of the TensorBoard events; by default `tensorboard` beside `path`.

    Raises InputError: the file is there and isn't a log, or can't be written.
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
            _forget(path, math.inf if resume_at_step is None else resume_at_step)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
        self._events: TensorBoardEvents | None = tensorboard_events(
            tensorboard_dir or path.parent / "tensorboard", resume_at_step
        )

    def step(self, step: int, loss: float) -> None:
        """Logs the loss of one training step."""
        self._write({"step": step, "loss": loss}, "step")

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Logs the figures of one epoch: `epoch`, `step` and whatever was measured."""
        missing = {"epoch", "step"} - record.keys()
        if missing:
            raise ValueError(f"a record of an epoch needs {sorted(missing)}; it has {[*record]}")
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

    A last line without its end is what a run leaves that was killed while writing: it is left out.

    Raises InputError: no such file, or another line is not a record.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    records = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            record = parse_json(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("step"), int):
            raise InputError(
                f'{path}, line {number}: not a record of a run: it needs a whole number "step"'
            )
        records.append(record)
    return records


def epoch_records(records: list[dict]) -> list[dict]:
    """Returns the records of epochs, without those of steps."""
    return [record for record in records if "epoch" in record]


def _forget(path: Path, after_step: float) -> None:
    """Rewrites the log without a half-written last line and without steps that are made again."""
    lines = [json.dumps(r) + "\n" for r in read_metrics(path) if r["step"] <= after_step]
    with replacing(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _plain(value: Any) -> Any:
    """Returns what JSON can hold: array scalars as Python's, NaN and infinity as null."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
