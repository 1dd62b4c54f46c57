import json

import benchmark
import pytest

from tests.training.recipes import load_tiny
from tfface.benchmark.long_run import Sample, measure_long_run, rows
from tfface.errors import InputError

MIB = 1 << 20


def test_says_what_grows():
    flat = [Sample(epoch, 500 * MIB, 30, 12) for epoch in range(1, 101)]
    [row] = rows(flat)
    assert row == {
        "epochs": "100",
        "MiB after 26": "500",
        "MiB at the end": "500",
        "MiB an epoch": "+0.000",
        "files": "30 -> 30",
        "threads": "12 -> 12",
    }
    leaking = [Sample(epoch, (500 + 2 * epoch) * MIB, 30 + epoch, 12) for epoch in range(1, 101)]
    [row] = rows(leaking)
    assert row["MiB an epoch"] == "+2.000"
    assert row["files"] == "56 -> 130"


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
    benchmark.main(["memory", str(tmp_path / "tiny.yaml"), *arguments])
    assert "MiB an epoch" in capsys.readouterr().out
    samples = json.loads(figures.read_text(encoding="utf-8"))
    assert samples[-1]["epoch"] >= 25
    assert all(sample["resident_bytes"] > 100 * MIB for sample in samples)
    assert (tmp_path / "memory.png").stat().st_size > 5000


def test_a_run_that_fails(tmp_path):
    with pytest.raises(InputError, match="the run failed with exit code 1"):
        measure_long_run(load_tiny(tmp_path, "data.train.num_identities=1"), tmp_path)
