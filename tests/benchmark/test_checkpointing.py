import benchmark
import pytest

from tests.training.recipes import load_tiny
from tfface.benchmark.checkpointing import as_text, measure_checkpoints, rows
from tfface.errors import InputError


def test_measures(tmp_path):
    measured = measure_checkpoints(load_tiny(tmp_path), 6, num_steps=40, num_rounds=2)
    assert measured.step_seconds > 0
    assert 0 < measured.waited_seconds < 40 * measured.step_seconds + 1
    # Weights and Adam's moments, and the zip around each array.
    assert 4 * 3 * 589 < measured.num_bytes < 100_000
    table = as_text(rows(measured))
    assert "share at one a minute" in table


def test_published_weights_are_not_loaded(tmp_path):
    recipe = load_tiny(tmp_path, "model.backbone={name: mobilenet_v2, weights: imagenet}")
    with pytest.raises(InputError, match=r"add --set model\.backbone\.weights=none"):
        measure_checkpoints(recipe, 6, num_steps=1, num_rounds=1)


def test_tool(tmp_path, capsys):
    load_tiny(tmp_path)
    results = tmp_path / "results.csv"
    arguments = ["checkpoint", str(tmp_path / "tiny.yaml"), "--steps", "40", "--runs", "1"]
    benchmark.main([*arguments, "--results", str(results)])
    assert "checkpoint MiB" in capsys.readouterr().out
    assert len(results.read_text(encoding="utf-8").splitlines()) == 2
