"""The GPU benchmark, run on the CPU, where TensorFlow can't be imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_step.py"
RUN = f"""
import runpy, sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
sys.path.insert(0, {str(SCRIPT.parent)!r})
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_gpu_step(tmp_path):
    pytest.importorskip("jax", reason="the script is for JAX, which is not installed")
    figures = tmp_path / "gpu.json"
    arguments = ["--networks", "iresnet18", "--batch-sizes", "2", "--identities", "10"]
    arguments += ["--steps", "1", "--rounds", "1", "--precision", "float32", "--no-compile"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments, "--json", str(figures)],
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
    # With PyTorch, both networks were compared.
    assert all(row["least_cosine"] > 0.999 for row in (ours, *others) if others)


@pytest.mark.slow
def test_what_there_is_no_time_for_is_left_out(tmp_path):
    pytest.importorskip("jax", reason="the script is for JAX, which is not installed")
    arguments = ["--networks", "iresnet18", "--batch-sizes", "2", "3", "--identities", "10"]
    arguments += ["--steps", "1", "--rounds", "1", "--no-compile", "--minutes", "0.01"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "iresnet18, batch 3: left out, because no time is left" in done.stdout
