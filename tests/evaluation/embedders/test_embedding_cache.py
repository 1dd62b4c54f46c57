"""Cached embeddings: what is stored is found, as it was, or not at all."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder, EmbeddingStore

ROOT = Path(__file__).resolve().parents[3]
NAME = "embeddings.sqlite"
FLOATS = 6


class Counting:
    """Embeds an image as its first pixels, and remembers how many it was given."""

    name = "counting"
    image_size = (4, 4)
    keeps_aspect = True
    batch_size = 8
    settle = None

    def __init__(self, fingerprint="one", factor=1):
        self.fingerprint = fingerprint
        self.given = []
        self._factor = factor

    def embed(self, images):
        self.given.append(len(images))
        return self._factor * images[:, 0].reshape(len(images), -1).astype(np.float32)


def images(numbers):
    return np.stack(
        [np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8) for i in numbers]
    )


def refuse(line):
    raise AssertionError(line)


def test_each_image_is_embedded_once(tmp_path):
    counting = Counting()
    cached = CachedEmbedder(counting, tmp_path, refuse)
    assert (cached.name, cached.image_size, cached.batch_size) == ("counting", (4, 4), 8)
    assert cached.keeps_aspect
    assert cached.fingerprint == "one"
    expected = Counting().embed
    for numbers, new in (
        ([3, 1, 3, 3, 1], [2]),
        ([1, 2, 3], [1]),
        ([3, 2, 1, 1], []),
        ([9, 1, 8, 2, 8], [2]),
    ):
        counting.given.clear()
        found = cached.embed(images(numbers))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected(images(numbers)))
        assert counting.given == new

    later = Counting()
    np.testing.assert_array_equal(
        CachedEmbedder(later, tmp_path, refuse).embed(images([8, 9, 1])),
        expected(images([8, 9, 1])),
    )
    assert later.given == []


def test_each_model_has_its_own(tmp_path):
    CachedEmbedder(Counting(), tmp_path, refuse).embed(images([1]))
    other = Counting("other", factor=2)
    cached = CachedEmbedder(Counting(), tmp_path, refuse).around(other)
    np.testing.assert_array_equal(cached.embed(images([1])), other.embed(images([1])))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_views_are_hashed_by_their_pixels(tmp_path):
    cached = CachedEmbedder(Counting(), tmp_path, refuse)
    some = images([1, 2])
    mirrored = cached.embed(some[:, :, ::-1])
    np.testing.assert_array_equal(mirrored, Counting().embed(some[:, :, ::-1]))
    np.testing.assert_array_equal(cached.embed(some), Counting().embed(some))


def test_a_model_that_fails_leaves_nothing(tmp_path):
    class Failing(Counting):
        def embed(self, images):
            raise InputError("the model fails")

    with pytest.raises(InputError, match="the model fails"):
        CachedEmbedder(Failing(), tmp_path, refuse).embed(images([1]))
    assert len(EmbeddingStore(tmp_path / "one", refuse)) == 0


def test_damage_is_said_and_mended(tmp_path):
    CachedEmbedder(Counting(), tmp_path, refuse).embed(images([1, 2]))
    changed_row(tmp_path / "one", "checksum", 7, rowid=1)
    said = []
    cached = CachedEmbedder(Counting(), tmp_path, said.append)
    np.testing.assert_array_equal(cached.embed(images([2, 1])), Counting().embed(images([2, 1])))
    assert len(said) == 1
    assert said[0].startswith(str(tmp_path / "one" / NAME))


def test_around_a_real_embedder(tmp_path):
    # Here, so that the processes of other tests start without TensorFlow.
    from tfface.evaluation.embedders.embedder import load_embedder

    embedder = load_embedder("pixels")
    cached = CachedEmbedder(embedder, tmp_path, refuse)
    some = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    for _ in range(2):
        np.testing.assert_array_equal(cached.embed(some), embedder.embed(some))
    assert len(list((tmp_path / embedder.fingerprint).iterdir())) == 1


# ---------------------------------------------------------------- the store


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
    assert [path.name for path in (tmp_path / "new" / "store").iterdir()] == [NAME]


def test_two_stores_of_one_folder_see_what_the_other_adds(tmp_path):
    first, second = EmbeddingStore(tmp_path, refuse), EmbeddingStore(tmp_path, refuse)
    for number in range(4):
        fill(first, [number])
        fill(second, [number, number + 10])
        check(first, [number, number + 10])
    assert len(first) == 8


def changed_row(folder, column, value, rowid=3):
    with sqlite3.connect(folder / NAME) as database:
        database.execute(f"UPDATE embeddings SET {column} = ? WHERE rowid = ?", (value, rowid))
    database.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("embedding", bytes(4 * FLOATS)),
        ("embedding", b""),
        ("embedding", b"abc"),
        ("checksum", 7),
        ("checksum", b"x"),
    ],
)
def test_damaged_rows_are_removed(tmp_path, column, value):
    fill(EmbeddingStore(tmp_path, refuse), range(10))
    changed_row(tmp_path, column, value)
    said = []
    store = EmbeddingStore(tmp_path, said.append)
    assert store.find(keys_of(range(10)))[0].tolist() == [True] * 2 + [False] + [True] * 7
    assert said == [f"{tmp_path / NAME}: 1 embeddings were damaged, and are removed and recomputed"]
    assert len(store) == 9
    fill(store, range(10))
    check(store, range(10))


def test_a_key_that_was_changed_is_not_found(tmp_path):
    fill(EmbeddingStore(tmp_path, refuse), range(10))
    changed_row(tmp_path, "key", keys_of([77]).tobytes())
    said = []
    store = EmbeddingStore(tmp_path, said.append)
    check(store, [2, 77], there=False)
    assert len(said) == 1


def middle_of(content):
    """All but the first page is damaged, so that only reading finds it out."""
    return content[:16384] + bytes(len(content) - 16384)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-17000],
        lambda content: content[:50],
        lambda content: b"something else, not of SQLite" * 999,
        middle_of,
    ],
    ids=["cut", "start", "other", "pages"],
)
def test_damaged_and_foreign_files_are_kept_under_another_name(tmp_path, damage):
    fill(EmbeddingStore(tmp_path, refuse), range(200))
    broken = damage((tmp_path / NAME).read_bytes())
    (tmp_path / NAME).write_bytes(broken)
    said = []
    store = EmbeddingStore(tmp_path, said.append)
    check(store, range(200), there=False)
    fill(store, range(200))
    check(store, range(200))
    check(EmbeddingStore(tmp_path, refuse), range(200))
    assert said == [
        f"{tmp_path / NAME}: was damaged, and is renamed to {NAME}.damaged-1; its embeddings are "
        "recomputed"
    ]
    assert (tmp_path / f"{NAME}.damaged-1").read_bytes() == broken
    assert len(list(tmp_path.iterdir())) == 2


def test_another_database_is_kept_under_another_name(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as database:
        database.execute("CREATE TABLE embeddings (name TEXT)")
        database.execute("INSERT INTO embeddings VALUES ('of others')")
    database.close()
    said = []
    store = EmbeddingStore(tmp_path, said.append)
    check(store, range(3), there=False)
    fill(store, range(3))
    check(store, range(3))
    assert len(said) == 1
    with sqlite3.connect(tmp_path / f"{NAME}.damaged-1") as database:
        assert database.execute("SELECT name FROM embeddings").fetchall() == [("of others",)]
    database.close()


def test_no_flipped_bit_gives_wrong_embeddings(tmp_path):
    fill(EmbeddingStore(tmp_path, refuse), range(5))
    content = (tmp_path / NAME).read_bytes()
    right = embeddings_of(range(5)).astype(np.float32)
    # The header, the schema, and all that is not zero.
    places = [place for place, value in enumerate(content) if value or place < 100]
    assert len(places) > 300
    num_lost = 0
    for place in places:
        folder = tmp_path / f"{place}"
        folder.mkdir()
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        (folder / NAME).write_bytes(changed)
        try:
            known, found = EmbeddingStore(folder, lambda line: None).find(keys_of(range(5)))
        except InputError as error:
            assert str(error).startswith(f"{folder / NAME}: can't be used: ")  # noqa: PT017
            num_lost += 1
            continue
        np.testing.assert_array_equal(found, right[known].reshape(found.shape))
        num_lost += not known.all()
    assert num_lost > 100


def test_files_of_the_format_before_are_left_alone(tmp_path):
    (tmp_path / "0123456789abcdef.chunk").write_bytes(b"tfface-embeddings-1")
    said = []
    store = EmbeddingStore(tmp_path, said.append)
    fill(store, range(3))
    check(store, range(3))
    assert said == [
        f"{tmp_path}: its *.chunk files were written by tfface 0.1 and are not read: embeddings "
        "are recomputed, and you may delete these files"
    ]
    assert (tmp_path / "0123456789abcdef.chunk").read_bytes() == b"tfface-embeddings-1"


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
from tests.evaluation.embedders.test_embedding_cache import EmbeddingStore, fill, refuse
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


@pytest.mark.faults
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


@pytest.mark.slow
def test_several_processes_at_once(tmp_path):
    processes = [writer(tmp_path, start, most=120) for start in (0, 0, 10**6)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = EmbeddingStore(tmp_path, refuse)
    assert len(store) == 240
    check(store, range(120))
    check(store, range(10**6, 10**6 + 120))


def test_folders_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't be written"):
        EmbeddingStore(tmp_path / "file", refuse)
    (tmp_path / "store" / NAME).mkdir(parents=True)
    with pytest.raises(InputError, match=r"embeddings\.sqlite: .*(folder|directory|can't be used)"):
        EmbeddingStore(tmp_path / "store", refuse)
    monkeypatch.setattr("tfface.evaluation.embedders.embedding_cache._TIMEOUT", 0.1)
    store = EmbeddingStore(tmp_path / "locked", refuse)
    other = sqlite3.connect(tmp_path / "locked" / NAME)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match=r"embeddings\.sqlite: can't be used: database is locked"):
        fill(store, [1])
    other.close()
    fill(store, [1])
    check(store, [1])
