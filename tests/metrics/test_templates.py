"""Templates against a literal loop of the protocol, cosines against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import paired_cosine_distances

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics import templates as templates_module
from tfface.metrics.roc import roc, tar_at_far
from tfface.metrics.templates import TemplatePool, pair_similarities, template_verification


def slow_templates(embeddings, images, templates, media, scores):
    """As in the reference: for each template, for each of its media."""
    pooled = []
    for template in sorted(set(templates)):
        of_media = []
        own = templates == template
        for medium in sorted(set(media[own])):
            entries = images[own & (media == medium)]
            of_media.append(np.mean(embeddings[entries] * scores[entries, None], axis=0))
        total = np.sum(of_media, axis=0)
        pooled.append(total / np.linalg.norm(total))
    return np.array(pooled)


@st.composite
def entries(draw):
    """Images in templates, some in several, with media numbers that are local to a template."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    num_images, num_templates = draw(st.integers(1, 20)), draw(st.integers(1, 6))
    num_entries = num_templates + draw(st.integers(0, 40))
    templates = np.concatenate([np.arange(num_templates), rng.integers(0, num_templates, 999)])
    templates = rng.permutation(templates[:num_entries])
    images = rng.integers(0, num_images, num_entries)
    media = rng.integers(0, 4, num_entries)
    return rng.normal(size=(num_images, 5)), images, templates, media, rng.random(num_images) + 0.1


@examples(100)
@given(entries(), st.integers(1, 20), st.sampled_from([1, 3, 512]))
def test_pooling_matches_the_reference_protocol(drawn, batch_size, images_at_a_time):
    embeddings, images, templates, media, scores = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates_module, "_IMAGES", images_at_a_time)
        for given_scores, weights in ((scores, scores), (None, np.ones_like(scores))):
            pool = TemplatePool(images, templates, media, scores=given_scores)
            for start in range(0, len(embeddings), batch_size):
                pool.add(embeddings[start : start + batch_size])
            expected = slow_templates(embeddings, images, templates, media, weights)
            pooled = pool.templates()
            assert pooled.dtype == np.float32
            np.testing.assert_allclose(pooled, expected, rtol=0, atol=1e-6)
            norms = np.linalg.norm(embeddings, axis=1)
            assert pool.embedding_norm == pytest.approx(norms.mean())


@examples(100)
@given(
    st.integers(0, 10_000),
    st.integers(1, 30),
    st.integers(1, 200),
    st.sampled_from([1, 20, 1 << 22]),
    st.sampled_from([0, 2, 32]),
    st.booleans(),
)
def test_similarities_are_cosines(seed, num_templates, num_pairs, cells, cells_per_pair, gallery):
    rng = np.random.default_rng(seed)
    templates = rng.normal(size=(num_templates, 6))
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    # In published sets few templates come first.
    first = rng.integers(0, num_templates // 4 + 1 if gallery else num_templates, num_pairs)
    second = rng.integers(0, num_templates, num_pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates_module, "_CELLS", cells)
        patch.setattr(templates_module, "_CELLS_PER_PAIR", cells_per_pair)
        patch.setattr(templates_module, "_ROWS", 7)
        similarity = pair_similarities(
            templates.astype(np.float32), first.astype(np.int32), second.astype(np.int32)
        )
    expected = 1 - paired_cosine_distances(templates[first], templates[second])
    np.testing.assert_allclose(similarity, expected, rtol=0, atol=1e-6)


def test_more_templates_than_16_bits():
    templates = np.zeros((70_000, 2), np.float32)
    templates[:, 0] = 1
    templates[69_999] = (0, 1)
    similarity = pair_similarities(
        templates, np.array([69_999, 3, 69_999]), np.array([69_999, 69_999, 70])
    )
    assert similarity.tolist() == [1, 0, 0]


def test_metrics():
    rng = np.random.default_rng(0)
    people = rng.normal(size=(50, 8))
    templates = (np.repeat(people, 2, axis=0) + rng.normal(size=(100, 8))).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    first, second = rng.integers(0, 100, (2, 5000))
    is_genuine = first // 2 == second // 2
    result = template_verification(templates, first, second, is_genuine, embedding_norm=3.5)
    assert result.accuracy is result.threshold is result.interval_by is result.groups is None
    similarity = np.sum(templates[first] * templates[second], axis=1)
    curve = roc(similarity, is_genuine)
    point = next(point for point in result.tar_at_far if point.far == 1e-2)
    assert point.tar == pytest.approx(tar_at_far(curve, 1e-2).tar, abs=0.02)
    written = result.to_dict()
    assert written["accuracy"] is written["threshold"] is None
    assert written["embedding_norm"] == 3.5
    assert written["num_pairs"] == 5000
    with pytest.raises(InputError, match="0 genuine and 10 impostor pairs"):
        template_verification(
            templates, first[:10], second[:10], np.zeros(10, bool), embedding_norm=1
        )


def test_invalid_embeddings_are_named():
    images, templates, media = np.array([0, 1]), np.array([0, 0]), np.array([1, 2])
    pool = TemplatePool(images, templates, media)
    pool.add(np.ones((1, 3)))
    with pytest.raises(InputError, match="the embedding of image 1 contains NaN or infinity"):
        pool.add(np.full((1, 3), np.nan))
    pool = TemplatePool(images, templates, media, image_names=["a.jpg", "b.jpg"])
    with pytest.raises(InputError, match=r"the embedding of b\.jpg contains NaN or infinity"):
        pool.add(np.array([[1, 2], [np.inf, 1]]))
    pool = TemplatePool(images, templates, media, template_names=[77])
    pool.add(np.array([[1.0, 2], [-1, -2]]))
    with pytest.raises(InputError, match="template 77 can't be normalized: its embeddings sum to"):
        pool.templates()
