import checkpoint
import pytest
from checkpoint import measure_checkpoints, rows

from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.reporting.results import read_rows
from tfface.training.checkpoint_manager import CheckpointManager


@pytest.fixture
def written_at_once(monkeypatch):
    """So that, on a machine that is busy, the steps don't end before a checkpoint is written."""
    save = CheckpointManager.save

    def save_and_wait(self, *args):
        save(self, *args)
        self.wait()

    monkeypatch.setattr(CheckpointManager, "save", save_and_wait)


@pytest.mark.usefixtures("written_at_once")
def test_measures(tmp_path):
    measured = measure_checkpoints(load_tiny(tmp_path), 6, num_steps=4, num_rounds=2)
    assert measured.step_seconds > 0
    assert measured.wait_seconds > 0
    # All weights, and Adam's moments of those that the first stage trains.
    assert 4 * (594 + 2 * 134) < measured.num_bytes < 100_000
    [row] = rows(measured)
    assert (row["num_identities"], row["step_ms"]) == (6, 1000 * measured.step_seconds)
    assert row["checkpoint_cost_fraction"] == measured.cost_seconds / 60


def test_published_weights_are_not_loaded(tmp_path):
    recipe = load_tiny(tmp_path, "model.backbone={name: mobilenet_v2, weights: imagenet}")
    with pytest.raises(InputError, match=r"add --set model\.backbone\.weights=none"):
        measure_checkpoints(recipe, 6, num_steps=1, num_rounds=1)


@pytest.mark.usefixtures("written_at_once")
def test_tool(tmp_path, capsys):
    load_tiny(tmp_path)
    results = tmp_path / "results.csv"
    arguments = [str(tmp_path / "tiny.yaml"), "--steps", "4", "--runs", "1"]
    checkpoint.main([*arguments, "--results", str(results)])
    header, table, where = capsys.readouterr().out.splitlines()
    assert "Checkpoint (MiB)" in header
    assert table.split()[0] == "1,000"
    assert where == f"results: {results}"
    [row] = read_rows(results)
    assert float(row["step_ms"]) > 0
    assert row["num_identities"] == "1000"
