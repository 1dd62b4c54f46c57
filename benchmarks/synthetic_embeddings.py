"""Synthetic embeddings of many identities, distributed like those of a trained model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# The effective dimension of MobileFaceNet's 192-dimensional embeddings on LFW's training identities
# is 42 (participation ratio of their covariance). It decides the similarity of impostors.
_EFFECTIVE_SHARE = 42 / 192
# Share of an embedding that its identity explains: mean and standard deviation over images.
_IDENTITY_SHARE_MEAN, _IDENTITY_SHARE_STD = 0.62, 0.1
# Identities in a block; the embeddings depend on it.
_BLOCK_IDENTITIES = 2048


@dataclass(frozen=True)
class SyntheticEmbeddings:
    """A gallery and queries, generated block by block so that only one is in memory.

    An embedding is sqrt(g) * center + sqrt(1 - g) * noise, L2-normalized, with a random g for each
    image. Centers and noise are normal, with standard deviations exp(-i / (2 tau)) in dimension i,
    so that the cosine similarity of different identities is about 0 +- 1 / sqrt(2 tau).

    Attributes:
        size: Embeddings in the gallery, > 0.
        dimension: Dimension of the embeddings, > 1.
        num_queries: Queries, each of another identity; > 0, <= `num_identities`.
        images_per_identity: Gallery embeddings of each identity, > 0; the last may have fewer.
        seed: Seed of the random numbers.
    """

    size: int
    dimension: int
    num_queries: int
    images_per_identity: int = 4
    seed: int = 0

    @property
    def num_identities(self) -> int:
        return -(-self.size // self.images_per_identity)

    def gallery_identities(self) -> np.ndarray:
        """Returns the identities of the gallery, int64 [size]."""
        return np.arange(self.size) // self.images_per_identity

    def query_identities(self) -> np.ndarray:
        """Returns the identities of the queries, int64 [num_queries], in ascending order."""
        return np.arange(self.num_queries) * self.num_identities // self.num_queries

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields blocks of the gallery in order, each with the queries of its identities.

        Both are float32 [n, dimension] and L2-normalized.
        """
        query_identities, images_each = self.query_identities(), self.images_per_identity
        tau = _EFFECTIVE_SHARE * self.dimension / 2
        spread = np.exp(-np.arange(self.dimension) / (2 * tau)).astype(np.float32)
        for start in range(0, self.num_identities, _BLOCK_IDENTITIES):
            stop = min(start + _BLOCK_IDENTITIES, self.num_identities)
            random = np.random.default_rng([self.seed, start])
            centers = random.standard_normal((stop - start, self.dimension), np.float32) * spread
            gallery = _sample_images(random, np.repeat(centers, images_each, axis=0), spread)
            in_block = query_identities[
                np.searchsorted(query_identities, start) : np.searchsorted(query_identities, stop)
            ]
            queries = _sample_images(random, centers[in_block - start], spread)
            yield gallery[: self.size - start * images_each], queries


def _sample_images(
    random: np.random.Generator, centers: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Returns an embedding for each center."""
    share = random.normal(_IDENTITY_SHARE_MEAN, _IDENTITY_SHARE_STD, (len(centers), 1))
    share = np.clip(share, 0.05, 0.95).astype(np.float32)
    noise = random.standard_normal(centers.shape, np.float32) * spread
    mixed = np.sqrt(share) * centers + np.sqrt(1 - share) * noise
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
