"""Checkpoints hold everything that a run needs to go on."""

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.training import checkpointing, stages
from tfface.training.checkpointing import open_verified, write_with_checksum
from tfface.training.progress import Progress
from tfface.training.recognizer import build_recognizer


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
    write_with_checksum(tmp_path / "file.npz", checkpointing.state_arrays(first, progress))
    train_a_step(first)

    second = make(tmp_path)
    assert checkpointing.read_progress(tmp_path / "file.npz") == progress
    assert checkpointing.load_checkpoint(tmp_path / "file.npz", second) == progress
    train_a_step(second)
    for one, other in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_checkpoint_of_another_model(tmp_path):
    write_with_checksum(
        tmp_path / "file.npz", checkpointing.state_arrays(make(tmp_path), Progress())
    )
    with pytest.raises(InputError, match="the checkpoint of another model"):
        checkpointing.load_checkpoint(
            tmp_path / "file.npz", make(tmp_path, "model.embedding_size=4")
        )


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_checkpoint(tmp_path, share):
    path = tmp_path / "file.npz"
    recognizer = make(tmp_path)
    write_with_checksum(path, checkpointing.state_arrays(recognizer, Progress()))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        checkpointing.load_checkpoint(path, recognizer)


ARRAYS = {
    "weights": np.arange(60, dtype="float32").reshape(3, 20),
    "step": np.array(7),
    "words": np.array('{"epoch": 1}'),
}

DAMAGED = r"arrays\.npz: not a checkpoint: its bytes are not those of its checksum$"


@pytest.fixture
def path(tmp_path):
    write_with_checksum(tmp_path / "arrays.npz", ARRAYS)
    return tmp_path / "arrays.npz"


def read(path) -> dict[str, np.ndarray]:
    with open_verified(path, "not a checkpoint") as file:
        return {name: file[name] for name in file}


def test_arrays_come_back(path):
    found = read(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    # Any NumPy reads it.
    np.testing.assert_array_equal(np.load(path)["weights"], ARRAYS["weights"])


def test_every_byte_counts(path):
    content = path.read_bytes()
    for place in range(len(content)):
        for flip in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=DAMAGED):
                read(path)


def test_every_length_counts(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=DAMAGED):
            read(path)
    for more in (b"\0", b"0" * 64, content):
        path.write_bytes(content + more)
        with pytest.raises(InputError, match=DAMAGED):
            read(path)


def test_a_hole_of_zeros(path):
    """What a machine that lost its power may leave."""
    content = path.read_bytes()
    for start in range(0, len(content) - 64, 64):
        if any(content[start : start + 64]):
            path.write_bytes(content[:start] + bytes(64) + content[start + 64 :])
            with pytest.raises(InputError, match=DAMAGED):
                read(path)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing.npz")
