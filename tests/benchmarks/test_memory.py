import json

import keras
import memory
import pytest
from memory import Sample, measure_memory, rows

from tests.reporting.plot_files import is_plot
from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.output_paths import check_replaceable, json_mark

MIB = 1 << 20


def test_growth():
    flat = [Sample(epoch, 500 * MIB, 30, 12) for epoch in range(1, 101)]
    [row] = rows(flat)
    assert row == {
        "num_epochs": 100,
        "warmup_epochs": 26,
        "memory_after_warmup_mib": 500,
        "memory_at_end_mib": 500,
        "memory_growth_per_epoch_mib": 0,
        "open_files_after_warmup": 30,
        "open_files_at_end": 30,
        "threads_after_warmup": 12,
        "threads_at_end": 12,
        "backend": keras.backend.backend(),
    }
    leaking = [Sample(epoch, (500 + 2 * epoch) * MIB, 30 + epoch, 12) for epoch in range(1, 101)]
    [row] = rows(leaking)
    assert row["memory_growth_per_epoch_mib"] == 2
    assert (row["open_files_after_warmup"], row["open_files_at_end"]) == (56, 130)


@pytest.mark.slow
def test_a_run_and_the_tool(tmp_path, capsys):
    load_tiny(tmp_path)
    figures = tmp_path / "memory.json"
    arguments = [
        "--set",
        "training.stages.1.epochs=30",
        "--json",
        str(figures),
        "--plots",
        str(tmp_path),
    ]
    memory.main([str(tmp_path / "tiny.yaml"), *arguments])
    assert "Growth per epoch (MiB)" in capsys.readouterr().out
    samples = json.loads(figures.read_text(encoding="utf-8"))
    assert samples[-1]["epoch"] >= 25
    assert all(sample["resident_bytes"] > 100 * MIB for sample in samples)
    assert (tmp_path / "memory.png").stat().st_size > 5000
    # Which it may replace.
    check_replaceable(figures, json_mark(*memory._JSON_LINES), overwrite=False)


def test_plot(tmp_path):
    rows = [{"epoch": i, "resident_bytes": 2**30 + i, "num_files": 20} for i in range(1, 9)]
    memory.plot_memory(tmp_path / "memory.png", rows)
    assert is_plot(tmp_path / "memory.png")


@pytest.mark.slow
def test_a_run_that_fails(tmp_path):
    with pytest.raises(InputError, match="the run failed with exit code 1"):
        measure_memory(load_tiny(tmp_path, "data.train.num_identities=1"), tmp_path)
