"""`.npz` files of runs that were altered."""

import io
import struct
import zipfile

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.npz_file import reading_npz


def read(path):
    with reading_npz(path, "no run's") as file:
        return {name: file[name] for name in file}


def test_what_savez_writes_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3), text=np.array("é"), empty=np.zeros((0, 2)))
    found = read(tmp_path / "a.npz")
    assert str(found["text"]) == "é"
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    assert found["empty"].shape == (0, 2)


def test_a_bomb_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 24))
    with pytest.raises(InputError, match=r"a\.npz: no run's: a\.npy is compressed"):
        read(tmp_path / "a.npz")


def test_code_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([print], object))
    with pytest.raises(InputError, match="is of type object, not of numbers or text"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", ["(1099511627776,)", "(2,)", "(-1,)", "(1,)" * 1000])
def test_claims_are_refused(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
        archive.writestr("a.npy", start + bytes(4))
    with pytest.raises(InputError, match="no run's: "):
        read(tmp_path / "a.npz")


def test_entries_that_claim_the_same_bytes_are_refused(tmp_path):
    held = io.BytesIO()
    np.save(held, np.zeros(1000))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", held.getvalue())
        # As the list at the end of the file has it: the same place under another name, often.
        for number in range(9):
            entry = zipfile.ZipInfo(f"{number}.npy")
            for slot in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(entry, slot, getattr(archive.filelist[0], slot))
            archive.filelist.append(entry)
    with pytest.raises(InputError, match=r"claims 8,128 bytes in a file of"):
        read(tmp_path / "a.npz")
