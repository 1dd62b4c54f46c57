"""Embeddings on disk: what is stored is found, as it was, or not at all."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.embedders.embedding_store import EmbeddingStore

ROOT = Path(__file__).resolve().parents[3]
FLOATS = 6


def keys_of(numbers):
    """Some end with zeros, which NumPy takes for no part of a text."""
    hashes = [hashlib.blake2b(b"%d" % number, digest_size=16).digest() for number in numbers]
    hashes = [
        one[:14] + bytes(2) if number % 5 == 0 else one
        for number, one in zip(numbers, hashes, strict=True)
    ]
    return np.array(hashes, "S16")


def embeddings_of(numbers):
    return np.stack([np.random.default_rng(number).normal(size=FLOATS) for number in numbers])


def fill(store, numbers):
    store.add(keys_of(numbers), embeddings_of(numbers))


def check(store, numbers, there=True):
    known, found = store.find(keys_of(numbers))
    assert known.tolist() == [there] * len(numbers)
    if there:
        np.testing.assert_array_equal(found, embeddings_of(numbers).astype(np.float32))


def refuse(line):
    raise AssertionError(line)


def chunks(folder):
    return sorted(folder.glob("*.chunk"))


def test_what_is_stored_is_found_now_and_later(tmp_path):
    store = EmbeddingStore(tmp_path / "new" / "store", refuse)
    check(store, range(3), there=False)
    fill(store, [7, 0, 5])
    fill(store, [10])
    for one in (store, EmbeddingStore(tmp_path / "new" / "store", refuse)):
        assert len(one) == 4
        check(one, [10, 5, 7, 0])
        known, found = one.find(keys_of([1, 5, 2, 10]))
        assert known.tolist() == [False, True, False, True]
        np.testing.assert_array_equal(found, embeddings_of([5, 10]).astype(np.float32))


def test_chunks_are_merged(tmp_path):
    store = EmbeddingStore(tmp_path, refuse)
    for start in range(0, 600, 3):
        fill(store, range(start, start + 3))
        assert len(chunks(tmp_path)) < 25
    assert len(store) == 600
    check(store, range(600))
    check(EmbeddingStore(tmp_path, refuse), range(600))
    check(store, range(600, 620), there=False)
    assert {path.suffix for path in tmp_path.iterdir()} == {".chunk"}


def test_rows_that_are_stored_twice_are_merged_into_one(tmp_path):
    first, second = EmbeddingStore(tmp_path, refuse), EmbeddingStore(tmp_path, refuse)
    for number in range(4):
        fill(first, [number])
        fill(second, [number])
    both = EmbeddingStore(tmp_path, refuse)
    assert len(both) == 8
    fill(both, [4])
    assert len(both) == 5
    check(both, range(5))
    # Those that were opened before have their chunks still, though the files are gone.
    check(first, range(4))


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "header", "key", "check", "value"])
def test_damaged_chunks_are_removed(tmp_path, damage):
    store = EmbeddingStore(tmp_path, refuse)
    fill(store, range(10))
    (sound,) = chunks(tmp_path)
    fill(store, range(10, 20))
    (broken,) = set(chunks(tmp_path)) - {sound}
    content = bytearray(broken.read_bytes())
    keys_at = len(content) - 10 * (16 + 4 + 4 * FLOATS)
    if damage == "cut":
        content = content[:-5]
    elif damage == "empty":
        content = b""
    elif damage == "longer":
        content += b"1234"
    else:
        of = {"header": 25, "key": keys_at + 3, "check": keys_at + 161, "value": len(content) - 2}
        content[of[damage]] ^= 4
    broken.write_bytes(content)
    said = []
    again = EmbeddingStore(tmp_path, said.append)
    known, found = again.find(keys_of(range(20)))
    assert known[:10].all()
    assert not known[10:].all()
    expected = embeddings_of(range(20)).astype(np.float32)[known]
    np.testing.assert_array_equal(found, expected)
    if damage != "key":  # a key that is none of those asked for may also just not be found
        assert [line.split(": ", 1)[1] for line in said] == [
            "was damaged, and is removed; its embeddings are computed again"
        ]
        assert chunks(tmp_path) == [sound]
    fill(again, range(10, 20))
    check(again, range(20))


def test_no_flipped_bit_gives_wrong_embeddings(tmp_path):
    fill(EmbeddingStore(tmp_path, refuse), range(5))
    (file,) = chunks(tmp_path)
    content = file.read_bytes()
    right = embeddings_of(range(5)).astype(np.float32)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        known, found = EmbeddingStore(tmp_path, lambda line: None).find(keys_of(range(5)))
        np.testing.assert_array_equal(found, right[known].reshape(found.shape))
        assert not known.all()


def test_damaged_rows_are_not_merged(tmp_path):
    store = EmbeddingStore(tmp_path, refuse)
    for number in range(7):
        fill(store, [number])
    broken = chunks(tmp_path)[0]
    content = bytearray(broken.read_bytes())
    content[-1] ^= 1
    broken.write_bytes(content)
    said = []
    again = EmbeddingStore(tmp_path, said.append)
    fill(again, [7])
    assert len(said) == 1
    assert len(again) == 7
    assert again.find(keys_of(range(8)))[0].sum() == 7


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
from tests.evaluation.test_embedding_store import EmbeddingStore, fill, refuse
store = EmbeddingStore(Path(sys.argv[1]), refuse)
start, number = int(sys.argv[2]), 0
while number < int(sys.argv[4]):
    fill(store, range(start + number, start + number + 2))
    number += 2
    print(number, flush=True)
"""


def writer(folder, start, most=10**6):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start), str(ROOT), str(most)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_processes_lose_nothing_that_was_stored(tmp_path):
    processes = [writer(tmp_path, start) for start in (0, 10**6)]
    for process in processes:
        for _ in range(40):
            process.stdout.readline()
    for process in processes:
        process.kill()
    stored = [int((process.communicate()[0].split() or ["80"])[-1]) for process in processes]
    store = EmbeddingStore(tmp_path, refuse)
    for start, count in zip((0, 10**6), stored, strict=True):
        assert count >= 80
        check(store, range(start, start + count))


def test_several_processes_at_once(tmp_path):
    processes = [writer(tmp_path, start, most=120) for start in (0, 0, 10**6)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = EmbeddingStore(tmp_path, refuse)
    check(store, range(120))
    check(store, range(10**6, 10**6 + 120))


def test_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path, monkeypatch):
    leftover = tmp_path / ".0123.chunk-abc.partial.chunk"
    leftover.write_bytes(b"half")
    EmbeddingStore(tmp_path, refuse)
    assert leftover.exists()
    late = time.time() + 25 * 3600
    monkeypatch.setattr("tfface.evaluation.embedders.embedding_store.time.time", lambda: late)
    EmbeddingStore(tmp_path, refuse)
    assert not leftover.exists()


def test_folders_that_cant_be_used(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't be written"):
        EmbeddingStore(tmp_path / "file", refuse)
    (tmp_path / "store" / "odd.chunk").mkdir(parents=True)
    with pytest.raises(InputError, match=r"odd\.chunk: can't be read: Is a directory"):
        EmbeddingStore(tmp_path / "store", refuse)
