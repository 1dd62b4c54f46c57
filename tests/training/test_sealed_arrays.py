"""Checkpoint files: whatever byte of one is changed or missing, it is found."""

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.training.sealed_arrays import reading_sealed, write_sealed

ARRAYS = {
    "weights": np.arange(60, dtype="float32").reshape(3, 20),
    "step": np.array(7),
    "words": np.array('{"epoch": 1}'),
}

DAMAGED = r"arrays\.npz: not a checkpoint: its bytes are not those of its checksum$"


@pytest.fixture
def path(tmp_path):
    write_sealed(tmp_path / "arrays.npz", ARRAYS)
    return tmp_path / "arrays.npz"


def read(path) -> dict[str, np.ndarray]:
    with reading_sealed(path, "not a checkpoint") as file:
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
