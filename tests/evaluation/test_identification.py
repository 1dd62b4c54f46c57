"""From images to identification figures and pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.people import read_people, write_people
from tests.reporting.plot_files import is_plot
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import RawPixelEmbedder
from tfface.evaluation.identification import check_sets, embed_faces, evaluate_identification
from tfface.evaluation.identification_plots import plot_identification
from tfface.evaluation.labeled_faces import split_gallery_and_queries
from tfface.metrics.identification import UNKNOWN


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    counts = {person: range(5) for person in range(20)}
    return read_people(write_people(tmp_path_factory.mktemp("people"), counts, noise=60))


@pytest.fixture(scope="module")
def sets(people):
    return split_gallery_and_queries(people, 2, seed=1, unknown=0.4)


@pytest.fixture(scope="module")
def found(sets):
    return evaluate_identification(RawPixelEmbedder(), *sets)


def test_figures_are_those_of_all_comparisons(sets, found):
    gallery, queries = sets
    cosines = embed_faces(RawPixelEmbedder(), queries) @ embed_faces(RawPixelEmbedder(), gallery).T
    best = np.stack(
        [cosines[:, gallery.labels == label].max(axis=1) for label in gallery.identities()], axis=1
    )
    result = found.result
    assert result.num_identities == 12
    assert result.num_mated == 12 * 3
    assert result.num_non_mated == 8 * 5
    np.testing.assert_allclose(
        found.top_similarity[~result.is_mated], best[~result.is_mated].max(axis=1), atol=1e-6
    )
    place = {int(label): column for column, label in enumerate(gallery.identities())}
    for query in np.flatnonzero(result.is_mated):
        own = place[int(queries.labels[query])]
        others = np.delete(best[query], own)
        assert result.rank[query] == 1 + np.count_nonzero(others >= best[query, own])
        if result.rank[query] == 1:
            assert found.top[query] == found.true_labels[query]
        else:
            assert found.top[query] != found.true_labels[query]
            assert found.top_similarity[query] == pytest.approx(others.max(), abs=1e-6)
    assert 0.5 < result.cmc[0] < 1
    assert result.cmc[-1] == 1
    assert (found.true_labels == UNKNOWN).tolist() == (~result.is_mated).tolist()


def test_l2_tells_the_same(sets, found):
    by_distance = evaluate_identification(RawPixelEmbedder(), *sets, metric="l2")
    assert by_distance.result.cmc == found.result.cmc
    np.testing.assert_allclose(by_distance.top_similarity, found.top_similarity, atol=2e-6)
    assert by_distance.to_dict()["metric"] == "l2"


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_other_indexes_tell_their_recall(sets, found, kind):
    index = evaluate_identification(RawPixelEmbedder(), *sets, kind=kind).to_dict()["index"]
    assert index["kind"] == kind
    assert index["num_embeddings"] == 24
    assert index["recall_at_1"] == index["recall_at_10"] == 1
    assert found.to_dict()["index"]["recall_at_1"] == 1


def test_one_template_is_the_mean(sets):
    gallery, queries = sets
    found = evaluate_identification(RawPixelEmbedder(), gallery, queries, one_template=True)
    assert len(found.index) == 12
    vectors = embed_faces(RawPixelEmbedder(), gallery)
    means = np.stack(
        [vectors[gallery.labels == label].mean(axis=0) for label in gallery.identities()]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    best = (embed_faces(RawPixelEmbedder(), queries) @ means.T).max(axis=1)
    np.testing.assert_allclose(found.result.top_similarity, best, atol=1e-6)
    assert found.result.num_identities == 12
    assert found.to_dict()["one_template"] is True


def test_json(found):
    figures = found.to_dict()
    assert json.loads(json.dumps(figures)) == figures
    assert figures["num_gallery"] == 24
    assert figures["num_queries"] == 76
    assert figures["num_same_images"] == 0
    assert figures["rank1"] == figures["cmc"][0]


def test_the_same_images_are_counted(people):
    found = evaluate_identification(RawPixelEmbedder(), people, people)
    assert found.num_same_images == 100
    assert found.result.cmc[0] == 1
    assert found.result.tpir_at_fpir == []


def test_pictures(found, people, tmp_path):
    pictures = plot_identification(found, tmp_path)
    names = ["cmc", "misidentified", "non_mated", "open_set", "top_similarities"]
    assert sorted(one.path.stem for one in pictures) == names
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    for one in pictures:
        assert is_plot(one.path)
        assert one.caption
    cells = {one.path.stem: one.thumbnails for one in pictures}
    assert cells["cmc"] is None
    # Each two people once: query, found and, of known people, the right one.
    for file, width in (("misidentified", 344), ("non_mated", 228)):
        shown, captions = cells[file]
        assert {one.shape for one in shown} == {(112, width, 3)}
        assert len({(one[:8], one.split("found: ")[1][:8]) for one in captions}) == len(captions)
    # Those of an earlier evaluation don't stay.
    plot_identification(evaluate_identification(RawPixelEmbedder(), people, people), tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["cmc", "top_similarities"]


def test_bad_sets(people, tmp_path):
    strangers = read_people(write_people(tmp_path, {100: range(2)}))
    with pytest.raises(
        InputError, match=r"no name in common \(for example 'person100' and 'person00'"
    ):
        check_sets(people, strangers)
    with pytest.raises(InputError, match="no images are left in it"):
        check_sets(people, people.take(np.empty(0, np.int64)))


def test_an_image_without_a_direction_is_named(people, tmp_path):
    blank = write_people(tmp_path, {0: range(3)})
    Image.new("RGB", (16, 16), "grey").save(blank / "person00" / "1.png")
    with pytest.raises(InputError, match=r"embedding of person00/1\.png is all zeros \(1 of 3"):
        evaluate_identification(RawPixelEmbedder(), people, read_people(blank))
