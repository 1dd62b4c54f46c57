"""Checkpoints hold everything that a run needs to go on."""

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.training import checkpoint, stages
from tfface.training.checkpoint import Progress
from tfface.training.recognizer import build_recognizer
from tfface.training.sealed_arrays import write_sealed


def make(tmp_path, *overrides):
    recipe = load_tiny(tmp_path, *overrides)
    recognizer = build_recognizer(recipe.model, (32, 32), 6, tmp_path)
    stages.prepare(recognizer, recipe.training.stages[0], 1)
    return recognizer


def train_a_step(recognizer) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    identities = np.arange(8, dtype="int32") % 6
    recognizer.fit(images, identities, batch_size=8, verbose=0, shuffle=False)


def state(recognizer) -> list[np.ndarray]:
    variables = [*recognizer.variables, *recognizer.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def test_going_on_is_as_if_nothing_had_happened(tmp_path):
    """Also for dropout's random seeds and the optimizer's moments."""
    first = make(tmp_path)
    train_a_step(first)
    progress = Progress(
        stage=0, epoch=1, total_epochs=1, total_steps=1, best=0.5, metrics=[0.1], left_out=[(0, 2)]
    )
    write_sealed(tmp_path / "file.npz", checkpoint.arrays_of(first, progress))
    train_a_step(first)

    second = make(tmp_path)
    assert checkpoint.read_progress(tmp_path / "file.npz") == progress
    assert checkpoint.load(tmp_path / "file.npz", second) == progress
    train_a_step(second)
    for one, other in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_checkpoint_of_another_model(tmp_path):
    write_sealed(tmp_path / "file.npz", checkpoint.arrays_of(make(tmp_path), Progress()))
    with pytest.raises(InputError, match="the checkpoint of another model"):
        checkpoint.load(tmp_path / "file.npz", make(tmp_path, "model.embedding_size=4"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_checkpoint(tmp_path, share):
    path = tmp_path / "file.npz"
    recognizer = make(tmp_path)
    write_sealed(path, checkpoint.arrays_of(recognizer, Progress()))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        checkpoint.load(path, recognizer)
