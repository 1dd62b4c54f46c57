"""The two caches: right pixels, kept between runs, and clear about what does not fit."""

import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import write_folder
from tfface.data.pipeline import cache
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError
from tfface.images.decoding import decode

INDICES = np.array([7, 0, 3])


@pytest.fixture
def source(tmp_path):
    return FolderSource(write_folder(tmp_path / "faces", {"ann": 4, "bob": 5}))


def expected(source, size):
    return np.stack([decode(tf.constant(source.read(i).encoded), *size) for i in INDICES])


def test_in_memory(source):
    found = cache.decode_into_memory(source, INDICES, (16, 12))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected(source, (16, 12)))


def test_in_a_file_that_is_used_again(source, tmp_path, monkeypatch):
    found = cache.decode_into_file(source, INDICES, (16, 16), tmp_path / "cache")
    np.testing.assert_array_equal(found, expected(source, (16, 16)))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    monkeypatch.setattr(cache, "_fill", None)
    again = cache.decode_into_file(source, INDICES, (16, 16), tmp_path / "cache")
    np.testing.assert_array_equal(again, found)


def test_other_images_are_another_file(source, tmp_path):
    for indices, size in ((INDICES, (16, 16)), (INDICES[::-1], (16, 16)), (INDICES, (8, 16))):
        cache.decode_into_file(source, indices, size, tmp_path / "cache")
    (tmp_path / "faces/ann/0.jpg").touch()
    cache.decode_into_file(FolderSource(tmp_path / "faces"), INDICES, (16, 16), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_file_of_another_length_is_made_anew(source, tmp_path):
    cache.decode_into_file(source, INDICES, (16, 16), tmp_path)
    (file,) = tmp_path.glob("*.uint8")
    file.write_bytes(b"short")
    found = cache.decode_into_file(source, INDICES, (16, 16), tmp_path)
    np.testing.assert_array_equal(found, expected(source, (16, 16)))


def test_nothing_is_left_of_a_failure(source, tmp_path):
    (tmp_path / "faces/ann/3.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"ann/3\.jpg: the file is empty"):
        cache.decode_into_file(source, INDICES, (16, 16), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_too_little_memory(source, monkeypatch):
    monkeypatch.setattr(cache, "_available_memory_bytes", lambda: 1 << 30)
    message = (
        "cache: memory needs 3 x 16 x 16 x 3 = 2,304 bytes and 1.00 GiB to spare, but 1.00 GiB of "
        "memory are available: use cache: disk"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        cache.decode_into_memory(source, INDICES, (16, 16))


@pytest.mark.parametrize(
    ("free", "said"),
    [(0, "0 bytes"), (5000, "5,000 bytes"), (5 << 20, "5.00 MiB"), (3 << 30, "3.00 GiB")],
)
def test_little_that_is_free_is_not_called_nothing(source, tmp_path, monkeypatch, free, said):
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=rf"cache, but {said} are free there: choose another"):
        cache.decode_into_file(source, INDICES, (1_000_000, 100_000), tmp_path / "cache")


def test_too_little_disk(source, tmp_path):
    message = r"disk needs 3 x 1000000 x 100000 x 3 = 838\.19 GiB in .*cache, but .* are free there"
    with pytest.raises(InputError, match=message):
        cache.decode_into_file(source, INDICES, (1_000_000, 100_000), tmp_path / "cache")


def test_memory_that_files_fill_is_available(tmp_path, monkeypatch):
    """A container with a limit of 2 MiB of which 1.75 are used, 1 of it by files that were read."""
    (tmp_path / "memory.max").write_text(f"{2 << 20}\n")
    (tmp_path / "memory.current").write_text(f"{7 << 18}\n")
    (tmp_path / "memory.stat").write_text(f"anon {3 << 18}\ninactive_file {1 << 20}\n")
    monkeypatch.setattr(cache, "_CONTROL_GROUPS", tmp_path)
    assert cache._available_memory_bytes() == 5 << 18


def test_available_memory_is_plausible():
    assert 1 << 20 < cache._available_memory_bytes() < 1 << 50
