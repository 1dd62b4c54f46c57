"""Files of checkpoints: arrays come back, and any damage is found."""

import resource

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.training.old_checkpoints import refit_old_checksum, write_old_arrays
from tfface.errors import InputError
from tfface.training.checkpoint_file import read_arrays, read_text, write_arrays

ARRAYS = {
    "weights": np.arange(60, dtype="float32").reshape(3, 20),
    "transposed": np.arange(6, dtype="float64").reshape(2, 3).T,
    "step": np.array(7),
    "seed": np.array([1, 2], "uint32"),
    "is_on": np.array(True),
    "empty": np.zeros((0, 4), "float32"),
}
TEXT = '{"epoch": 1, "name": "é"}'
DAMAGED = r"arrays\.safetensors: not a readable checkpoint: "


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "arrays.safetensors", ARRAYS, TEXT)
    return tmp_path / "arrays.safetensors"


@pytest.fixture
def old_path(tmp_path):
    arrays = {"progress": np.array(TEXT), "model/00000": ARRAYS["weights"]}
    write_old_arrays(tmp_path / "arrays.npz", arrays)
    return tmp_path / "arrays.npz"


def test_arrays_come_back(path):
    found, text = read_arrays(path)
    assert text == read_text(path) == TEXT
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape


def test_any_reader_of_the_format_opens_it(path):
    np.testing.assert_array_equal(load_file(path)["weights"], ARRAYS["weights"])


def test_the_same_arrays_make_the_same_file(path, tmp_path):
    again = tmp_path / "again.safetensors"
    write_arrays(again, dict(reversed(ARRAYS.items())), TEXT)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("read", [read_arrays, pytest.param(read_text, marks=pytest.mark.slow)])
def test_every_byte_counts(path, read):
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
            read_text(path)
    for more in (b"\0", b"0" * 64, content):
        path.write_bytes(content + more)
        with pytest.raises(InputError, match=DAMAGED):
            read_text(path)


def test_a_hole_of_zeros(path):
    """What a machine that lost its power may leave."""
    content = path.read_bytes()
    for start in range(0, len(content) - 64, 64):
        if any(content[start : start + 64]):
            path.write_bytes(content[:start] + bytes(64) + content[start + 64 :])
            with pytest.raises(InputError, match=DAMAGED):
                read_arrays(path)


def test_the_checksum_is_named(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=rf"{DAMAGED}its bytes are not those of its checksum$"):
        read_arrays(path)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"tfface_checkpoint": "7"}, {"tfface_checkpoint": '{"sha256": 1}'}]
)
def test_a_file_of_another_program(path, metadata):
    save_file({"weights": ARRAYS["weights"]}, path, metadata)
    with pytest.raises(InputError, match=DAMAGED):
        read_arrays(path)


@pytest.mark.parametrize("name", ["missing.safetensors", "missing.npz"])
def test_nothing_there(tmp_path, name):
    with pytest.raises(InputError, match=r"not a readable checkpoint: No such file or directory"):
        read_arrays(tmp_path / name)


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(InputError, match=r"arrays\.safetensors: can't be written: "):
        write_arrays(tmp_path / "folder" / "arrays.safetensors", ARRAYS)


def test_a_full_disk_leaves_the_file_before(path):
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(InputError, match=r"can't be written: File too large$"):
            write_arrays(path, {"weights": np.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


class TestOfVersion01:
    def test_arrays_come_back(self, old_path):
        found, text = read_arrays(old_path)
        assert text == read_text(old_path) == TEXT
        np.testing.assert_array_equal(found["model/00000"], ARRAYS["weights"])
        assert found.keys() == {"model/00000"}

    @pytest.mark.slow
    def test_every_byte_and_length_counts(self, old_path):
        content = old_path.read_bytes()
        for place in range(len(content)):
            flipped = bytes([content[place] ^ 1])
            for damaged in (
                content[:place] + flipped + content[place + 1 :],
                content[:place],
            ):
                old_path.write_bytes(damaged)
                with pytest.raises(InputError, match=r"its bytes are not those of its checksum$"):
                    read_arrays(old_path)

    def test_no_pickle_behind_a_fitting_checksum(self, old_path):
        write_old_arrays(old_path, {"model/00000": np.array([print], object)})
        refit_old_checksum(old_path)
        with pytest.raises(InputError, match="not of numbers or text"):
            read_arrays(old_path)
