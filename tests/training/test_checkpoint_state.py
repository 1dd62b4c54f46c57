"""Checkpoints hold everything that a run needs to resume."""

import keras
import numpy as np
import pytest

from tests.training.old_checkpoints import write_old_arrays, write_old_checkpoint
from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.training import stages
from tfface.training.checkpoint_file import write_arrays
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.checkpoint_state import (
    load_checkpoint,
    load_weights,
    read_progress,
    state_arrays,
    weight_arrays,
)
from tfface.training.recognizer import build_recognizer
from tfface.training.run_progress import RunProgress, parse_progress


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


def assert_same_state(one, other) -> None:
    for a, b in zip(state(one), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_resuming_is_as_if_nothing_had_happened(tmp_path, suffix):
    """Also for dropout's random seeds and the optimizer's moments; from an old file as well."""
    first = make(tmp_path)
    train_a_step(first)
    progress = RunProgress(
        stage=0, epoch=1, total_epochs=1, total_steps=1, best=0.5, metrics=[0.1], left_out=[(0, 2)]
    )
    path = tmp_path / f"file{suffix}"
    if suffix == ".npz":
        write_old_checkpoint(path, first, progress)
    else:
        write_arrays(path, state_arrays(first), progress.to_json())
    train_a_step(first)

    second = make(tmp_path)
    assert read_progress(path) == progress
    assert load_checkpoint(path, second) == progress
    train_a_step(second)
    assert_same_state(first, second)


def test_reused_arrays_hold_the_new_state(tmp_path):
    recognizer = make(tmp_path)
    arrays = state_arrays(recognizer)
    train_a_step(recognizer)
    again = state_arrays(recognizer, arrays)
    for key, array in state_arrays(recognizer).items():
        assert again[key] is arrays[key]
        np.testing.assert_array_equal(again[key], array)


class TestOfAnotherModel:
    def refused(self, tmp_path, *overrides, name="file.safetensors") -> str:
        """Returns why a checkpoint of the tiny recipe is refused by a model of another."""
        path = tmp_path / name
        if path.suffix == ".npz":
            write_old_checkpoint(path, make(tmp_path), RunProgress())
        else:
            write_arrays(path, state_arrays(make(tmp_path)), RunProgress().to_json())
        with pytest.raises(InputError, match="the checkpoint of another model") as error:
            load_checkpoint(path, make(tmp_path, *overrides))
        return str(error.value).partition("optimizer: ")[2]

    @pytest.mark.parametrize("name", ["file.safetensors", "file.npz"])
    def test_other_shapes(self, tmp_path, name):
        assert self.refused(tmp_path, "model.embedding_size=4", name=name) == (
            "model/embedding/kernel is float32 [8, 8] in the file and float32 [8, 4] in the model, "
            "model/neck_batch_norm/gamma is float32 [8] in the file and float32 [4] in the model, "
            "model/neck_batch_norm/beta is float32 [8] in the file and float32 [4] in the model "
            "and 11 more"
        )

    def test_variables_that_are_not_in_the_file(self, tmp_path):
        assert self.refused(tmp_path, "training.stages.0.ema_momentum=0.5") == (
            "not in the file: optimizer/embedding/kernel/average, "
            "optimizer/neck_batch_norm/gamma/average, optimizer/neck_batch_norm/beta/average "
            "and 1 more"
        )

    def test_variables_that_are_not_in_the_model(self, tmp_path):
        assert self.refused(tmp_path, "model.neck.dropout=0") == (
            "not in the model: model/seed_generator/seed_generator_state"
        )

    def test_another_optimizer(self, tmp_path):
        said = self.refused(tmp_path, "training.stages.0.optimizer={name: sgd, momentum: 0}")
        assert said.startswith("not in the model: optimizer/embedding/kernel/momentum, ")
        assert said.endswith(" and 5 more")

    def test_weights(self, tmp_path):
        path = tmp_path / "file.safetensors"
        write_arrays(path, weight_arrays(make(tmp_path)))
        with pytest.raises(InputError, match=r"the weights of another model: not in the file: mo"):
            load_weights(path, make(tmp_path, "model.neck.batch_norm=false"))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_alone(tmp_path, suffix):
    first, second = make(tmp_path), make(tmp_path)
    path = tmp_path / f"file{suffix}"
    if suffix == ".npz":
        write_old_arrays(path, {f"{i:05d}": a for i, a in enumerate(first.get_weights())})
    else:
        write_arrays(path, weight_arrays(first))
    load_weights(path, second)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_checkpoint(tmp_path, share):
    path = tmp_path / "file.safetensors"
    recognizer = make(tmp_path)
    write_arrays(path, state_arrays(recognizer), RunProgress().to_json())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path, recognizer)


def test_a_file_without_progress(tmp_path):
    path = tmp_path / "file.safetensors"
    write_arrays(path, {"a": np.zeros(3)})
    with pytest.raises(InputError, match="not a readable checkpoint: Expecting value"):
        read_progress(path)


def test_the_old_name_of_the_best_epoch():
    assert parse_progress('{"kept_epoch": 3}') == parse_progress('{"best_epoch": 3}')
    assert parse_progress(RunProgress(best_epoch=3).to_json()).best_epoch == 3


def test_old_and_new_files_in_a_folder(tmp_path):
    """What version 0.1 wrote counts until newer files take its place."""
    recognizer = make(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    old = folder / "checkpoint-000007-stage-0-step-3-kept-1.npz"
    write_old_checkpoint(old, recognizer, RunProgress(total_steps=3, best_epoch=1))
    manager = CheckpointManager(folder, keep=1)
    assert manager.newest() == (old, RunProgress(total_steps=3, best_epoch=1))
    manager.save(recognizer, RunProgress(total_steps=4))
    manager.wait()
    assert [path.name for path in folder.iterdir()] == [
        "checkpoint-000008-stage-0-step-4-kept-0.safetensors"
    ]
