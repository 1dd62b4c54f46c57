"""Metrics logs of killed and resumed runs; TensorBoard events."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.reporting.metrics_log import MetricsLog, epoch_records, read_metrics


def test_each_record_is_written_immediately(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.step(10, np.float32(0.5))
        # Before the log is closed: what is written is on disk.
        assert path.read_text() == '{"step": 10, "loss": 0.5}\n'
        log.epoch({"epoch": 1, "stage": "head", "step": np.int64(20), "loss": np.float32(0.25)})
    assert read_metrics(path) == [
        {"step": 10, "loss": 0.5},
        {"epoch": 1, "stage": "head", "step": 20, "loss": 0.25},
    ]
    assert [record["epoch"] for record in epoch_records(read_metrics(path))] == [1]


def test_nan_and_infinity_become_null(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.epoch({"epoch": 1, "step": 1, "loss": float("nan"), "norm": np.float32("inf")})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line, parse_constant=refuse) == {
        "epoch": 1,
        "step": 1,
        "loss": None,
        "norm": None,
    }


def test_an_incomplete_last_line_is_skipped_and_replaced(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]
    with MetricsLog(path) as log:
        log.step(2, 1.0)
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def test_resuming_removes_the_steps_that_are_repeated(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in (10, 20, 30):
            log.step(step, 1.0)
        log.epoch({"epoch": 1, "step": 30, "loss": 1.0})
        log.step(40, 1.0)
    with MetricsLog(path, resume_at_step=30) as log:
        log.step(40, 2.0)
    assert [record["step"] for record in read_metrics(path)] == [10, 20, 30, 30, 40]
    assert read_metrics(path)[-1]["loss"] == 2.0


def test_damaged_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnot json\n{"step": 2}\n')
    with pytest.raises(InputError, match="line 2: not JSON"):
        read_metrics(path)
    path.write_text('{"loss": 1}\n')
    with pytest.raises(InputError, match="line 1: not a record of a run"):
        read_metrics(path)
    with pytest.raises(InputError, match="can't be read: No such file"):
        read_metrics(tmp_path / "nothing.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        MetricsLog(tmp_path / "file" / "metrics.jsonl")


def test_an_epoch_record_needs_epoch_and_step(tmp_path):
    with (
        MetricsLog(tmp_path / "metrics.jsonl") as log,
        pytest.raises(ValueError, match=r"needs \['step'\]"),
    ):
        log.epoch({"epoch": 1, "loss": 0.1})


def test_tensorboard_reads_the_scalars(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.step(10, 0.5)
        log.epoch({"epoch": 1, "stage": "head", "step": 20, "loss": 0.25, "val_loss": None})
    with MetricsLog(tmp_path / "metrics.jsonl", resume_at_step=20) as log:
        log.step(30, 0.125)
    events = [
        event
        for file in sorted((tmp_path / "tensorboard").iterdir())
        for event in loader.LegacyEventFileLoader(str(file)).Load()
    ]
    assert [(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value] == [
        (10, "step/loss", 0.5),
        (20, "epoch/epoch", 1),
        (20, "epoch/loss", 0.25),
        (30, "step/loss", 0.125),
    ]
    assert [e.step for e in events if e.HasField("session_log")] == [21]


def test_works_without_tensorboard(tmp_path):
    code = (
        "import sys; sys.modules['tensorboard'] = None\n"
        "from pathlib import Path; from tfface.reporting.metrics_log import MetricsLog\n"
        f"log = MetricsLog(Path({str(tmp_path)!r}) / 'metrics.jsonl'); log.step(1, 0.5)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 0.5}\n'
    assert not (tmp_path / "tensorboard").exists()


def test_writing_does_not_import_tensorflow(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from tfface.reporting.metrics_log import MetricsLog\n"
        f"log = MetricsLog(Path({str(tmp_path)!r}) / 'metrics.jsonl'); log.step(1, 0.5)\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
