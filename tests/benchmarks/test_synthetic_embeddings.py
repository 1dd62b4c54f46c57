"""Synthetic embeddings are distributed like those of models, and their blocks fit together."""

import numpy as np
from synthetic_embeddings import SyntheticEmbeddings


def all_of(synthetic):
    return [np.concatenate(parts) for parts in zip(*synthetic.blocks(), strict=True)]


def test_distribution():
    synthetic = SyntheticEmbeddings(size=10_000, dimension=192, num_queries=300)
    gallery, queries = all_of(synthetic)
    assert gallery.shape == (10_000, 192)
    assert queries.shape == (300, 192)
    assert gallery.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(gallery, axis=1), 1, atol=1e-5)
    cosines = queries @ gallery.T
    same = synthetic.query_identities()[:, None] == synthetic.gallery_identities()[None]
    assert np.count_nonzero(same) == 1200
    assert 0.5 < cosines[same].mean() < 0.7
    assert abs(cosines[~same].mean()) < 0.02
    # As MobileFaceNet's 192 numbers are: 0.145.
    assert 0.13 < cosines[~same].std() < 0.17


def test_all_identities_have_images_and_queries():
    synthetic = SyntheticEmbeddings(size=9999, dimension=8, num_queries=100, images_per_identity=2)
    gallery, queries = all_of(synthetic)
    assert len(gallery) == len(synthetic.gallery_identities()) == 9999
    assert synthetic.num_identities == 5000
    assert synthetic.gallery_identities()[-1] == 4999
    assert np.diff(synthetic.query_identities()).tolist() == [50] * 99
    assert len(queries) == 100


def test_seed():
    one, again, other = (
        all_of(SyntheticEmbeddings(size=50, dimension=8, num_queries=5, seed=seed))
        for seed in (1, 1, 2)
    )
    for first, second, third in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)
