"""The GPU benchmark, run on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_step.py"


@pytest.mark.slow
def test_gpu_step(tmp_path):
    pytest.importorskip("jax", reason="the script is for JAX, which is not installed")
    figures = tmp_path / "gpu.json"
    arguments = ["--network", "iresnet18", "--batch-size", "2", "--identities", "10"]
    arguments += ["--steps", "1", "--rounds", "1", "--precision", "float32", "--no-compile"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--json", str(figures)],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ours, *others = json.loads(figures.read_text(encoding="utf-8"))
    assert ours["name"] == "tfface on JAX"
    assert ours["times_first"] == 1
    assert all(row["images_per_second"]["median"] > 0 for row in (ours, *others))
