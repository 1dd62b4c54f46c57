"""Trains the recipes in `recipes/` and pins their weights and the metrics of every epoch."""

import contextlib
import functools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import keras

from tests.golden import inputs, internals, summaries

FOLDER = Path(__file__).resolve().parent / "recipes"
_DATA = Path("data")
_TIMES = ("seconds", "per_second")


@functools.cache
def trained(name: str) -> dict:
    """Trains a recipe."""
    run = Path("runs") / name
    _make_data()
    internals.run_recipe(FOLDER / f"{name}.yaml", run, _DATA)
    return _describe(run)


def resumed(name: str) -> dict:
    """Trains a recipe, interrupted by SIGTERM in the middle of an epoch and resumed.

    Raises RuntimeError: the run was not interrupted there.
    """
    first, *_, last = trained(name)["values"]["epochs"]
    recipe, run = FOLDER / f"{name}.yaml", Path("runs") / f"{name}-resumed"
    steps_per_epoch, num_steps = first["step"], last["step"]
    with _counting_steps(signal_at=steps_per_epoch + 2) as before:
        try:
            internals.run_recipe(recipe, run, _DATA)
        except KeyboardInterrupt:
            print(f"interrupted after {before.number} steps")
    with _counting_steps() as after:
        internals.run_recipe(recipe, run, _DATA, resume=True)
    if before.number % steps_per_epoch == 0 or before.number + after.number != num_steps:
        raise RuntimeError(
            f"{before.number} steps before and {after.number} after the interruption: expected "
            f"{num_steps} in all, and the interruption within an epoch of {steps_per_epoch} steps"
        )
    return _describe(run)


class _Steps(keras.callbacks.Callback):
    """Counts training steps, and sends SIGTERM to this process during one of them."""

    def __init__(self, signal_at: int | None):
        super().__init__()
        self.number = 0
        self._signal_at = signal_at

    def on_train_batch_begin(self, batch, logs=None):
        self.number += 1
        if self.number == self._signal_at:
            os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _counting_steps(signal_at: int | None = None) -> Iterator[_Steps]:
    """Adds the callback to every `fit` in the block."""
    fit, steps = keras.Model.fit, _Steps(signal_at)

    def counted(self, *args, callbacks=(), **kwargs):
        return fit(self, *args, callbacks=[*callbacks, steps], **kwargs)

    with mock.patch.object(keras.Model, "fit", counted):
        yield steps


@functools.cache
def _make_data() -> None:
    """Writes synthetic faces as records, and a verification set."""
    faces = "faces={source: synthetic, num_identities: 8, images_per_identity: 12, size: 32}"
    internals.run_tool(
        "convert_tfrecord", "--source", faces, "--shards", 3, "--output", _DATA / "faces"
    )
    inputs.write_people(_DATA / "people", range(40), range(4))
    internals.run_tool("make_pairs", _DATA / "people", "--output", _DATA / "pairs.csv")


def _describe(run: Path) -> dict:
    embedder = keras.saving.load_model(run / "model.keras").get_weights()
    head = internals.head_weights(run)
    values = {
        "epochs": _epochs(run),
        "embedder": [summaries.of_array(array) for array in embedder],
        "head": [summaries.of_array(array) for array in head],
    }
    for name in ("classification", "verification"):
        if (run / f"{name}.json").exists():
            values[name] = json.loads((run / f"{name}.json").read_text())
    hashes = {
        "embedder": summaries.sha256_of_arrays(embedder),
        "head": summaries.sha256_of_arrays(head),
    }
    return {"sha256": hashes, "values": values}


def _epochs(run: Path) -> list[dict]:
    """Returns the metrics of every epoch, without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if not key.endswith(_TIMES)}
        for line in lines
        if "epoch" in line
    ]
