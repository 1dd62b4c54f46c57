"""Every kind of index finds the nearest, exactly or nearly, and survives a file."""

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.face_index import KINDS, METRICS, FaceIndex
from tfface.metrics.identification import UNKNOWN, recall_at_k


def unit(seed: int, count: int, size: int = 16) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture(params=[(kind, metric) for kind in KINDS for metric in METRICS])
def index(request):
    return FaceIndex.from_embeddings(unit(0, 3000), *request.param)


def test_the_nearest_are_found_with_their_cosines(index):
    gallery, queries = unit(0, 3000), unit(1, 50)
    cosines = queries @ gallery.T
    similarity, numbers = index.search(queries, 10)
    assert len(index) == 3000
    np.testing.assert_allclose(
        similarity, np.take_along_axis(cosines, numbers, axis=1), rtol=0, atol=2e-6
    )
    assert (np.diff(similarity, axis=1) <= 0).all()
    exact = -np.sort(-cosines, axis=1)[:, :10]
    share = recall_at_k(similarity, exact, 10)
    assert share == 1 if index.kind == "flat" else share > 0.7
    assert recall_at_k(*[index.search(gallery[:50], 1)[0]] * 2, 1) == 1


def test_a_file_holds_all(index, tmp_path):
    path = tmp_path / "faces.index"
    index.write(path)
    assert path.stat().st_size == index.num_bytes()
    back = FaceIndex.read(path, index.kind, index.metric)
    np.testing.assert_array_equal(back.embeddings(), unit(0, 3000))
    assert back.parameters == index.parameters
    assert back.search_width == index.search_width
    for one, other in zip(back.search(unit(1, 9), 5), index.search(unit(1, 9), 5), strict=True):
        np.testing.assert_array_equal(one, other)
    back.add(unit(2, 7))
    np.testing.assert_array_equal(back.embeddings()[3000:], unit(2, 7))
    assert back.search(unit(2, 7), 1)[1].ravel().tolist() == list(range(3000, 3007))


def test_places_without_a_candidate():
    index = FaceIndex.from_embeddings(unit(0, 3000), "ivf")
    index.effort = 8
    similarity, numbers = index.search(unit(1, 2), 3000)
    assert (numbers[:, -1] == UNKNOWN).all()
    assert (similarity[:, -1] == -np.inf).all()
    assert (similarity[numbers != UNKNOWN] >= -1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_small_indexes(kind, count, tmp_path, capfd):
    if not count:
        index = FaceIndex(kind, 16, 0)
    else:
        index = FaceIndex.from_embeddings(unit(0, count), kind)
        assert index.search(unit(0, 1), 5)[1].shape == (1, min(5, count))
        assert index.search(unit(0, 1), 1)[1].tolist() == [[0]]
    assert len(index) == count
    assert index.embeddings().shape == (count, 16)
    index.write(tmp_path / "index")
    assert len(FaceIndex.read(tmp_path / "index", kind)) == count
    # FAISS says what it thinks of few embeddings.
    assert capfd.readouterr().err == ""


def test_bad_files(tmp_path):
    path = tmp_path / "index"
    with pytest.raises(InputError, match="index: can't be read: No such file"):
        FaceIndex.read(path, "flat")
    path.write_bytes(b"no index at all")
    with pytest.raises(InputError, match="index: not a FAISS index, or damaged"):
        FaceIndex.read(path, "flat")
    FaceIndex.from_embeddings(unit(0, 50), "flat").write(path)
    with pytest.raises(InputError, match="another kind; expected hnsw, cosine"):
        FaceIndex.read(path, "hnsw")
    with pytest.raises(InputError, match="another kind; expected flat, l2"):
        FaceIndex.read(path, "flat", "l2")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a FAISS index, or damaged"):
        FaceIndex.read(path, "flat")
    with pytest.raises(InputError, match="can't be written: "):
        FaceIndex.from_embeddings(unit(0, 50), "flat").write(path / "below" / "index")


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_more_effort_finds_more(kind):
    vectors, queries = unit(0, 3000), unit(1, 50)
    exact, _ = FaceIndex.from_embeddings(vectors).search(queries, 10)
    index = FaceIndex.from_embeddings(vectors, kind)
    shares = []
    for effort in (1, 10**6):
        index.effort = effort
        shares.append(recall_at_k(index.search(queries, 10)[0], exact, 10))
    assert shares[0] < shares[1] > 0.99
    assert kind == "hnsw" or index.effort == index.max_effort < 3000
