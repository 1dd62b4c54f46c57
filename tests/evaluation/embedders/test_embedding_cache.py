"""An embedder that keeps what it has computed."""

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder


class Counting:
    """Embeds an image as its first pixels, and remembers how many it was given."""

    name = "counting"
    image_size = (4, 4)
    keeps_aspect = True
    batch_size = 8

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
    assert list((tmp_path / "one").iterdir()) == []


def test_damage_is_said_and_mended(tmp_path):
    CachedEmbedder(Counting(), tmp_path, refuse).embed(images([1, 2]))
    (file,) = (tmp_path / "one").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    said = []
    cached = CachedEmbedder(Counting(), tmp_path, said.append)
    np.testing.assert_array_equal(cached.embed(images([2, 1])), Counting().embed(images([2, 1])))
    assert len(said) == 1
    assert said[0].startswith(str(file))


def test_around_a_real_embedder(tmp_path):
    embedder = load_embedder("pixels")
    cached = CachedEmbedder(embedder, tmp_path, refuse)
    some = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    for _ in range(2):
        np.testing.assert_array_equal(cached.embed(some), embedder.embed(some))
    assert len(list((tmp_path / embedder.fingerprint).iterdir())) == 1
