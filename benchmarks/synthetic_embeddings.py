"""Embeddings of many people, drawn on the spot, spread as those of a trained model are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Of MobileFaceNet's 192 numbers on LFW's training people, 42 carry the spread of different people
# (the participation ratio of their covariance); how alike strangers are follows from that.
_EFFECTIVE_SHARE = 42 / 192
# How much of an image's embedding is its person, and how much that differs between images.
_IDENTITY_SHARE_MEAN, _IDENTITY_SHARE_STD = 0.62, 0.1
# Drawn together; embeddings depend on it.
_BLOCK_IDENTITIES = 2048


@dataclass(frozen=True)
class SyntheticEmbeddings:
    """A gallery and queries of its people, of which only a part is in memory at any time.

    An image of a person is sqrt(g) person + sqrt(1 - g) noise, scaled to length 1, where g is drawn
    for each image. Persons and noise are normal, with standard deviations that fall off like
    exp(-i / (2 tau)) over the numbers i of an embedding, so that different people have cosines of
    about 0 +- 1 / sqrt(2 tau).

    Attributes:
        size: embeddings in the gallery, > 0.
        dimension: numbers of an embedding, > 1.
        num_queries: further images of as many people, evenly among all; > 0, <= people.
        images_per_identity: of a person in the gallery, > 0; the last may have fewer.
        seed: another draws others.
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
        """Returns whose each embedding of the gallery is: int64 [size]."""
        return np.arange(self.size) // self.images_per_identity

    def query_identities(self) -> np.ndarray:
        """Returns whose the queries are: int64 [num_queries], rising."""
        return np.arange(self.num_queries) * self.num_identities // self.num_queries

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the gallery in order, and with each part the queries of its people.

        Both float32 [n, dimension], of length 1.
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
    """Draws an image of each person."""
    share = random.normal(_IDENTITY_SHARE_MEAN, _IDENTITY_SHARE_STD, (len(centers), 1))
    share = np.clip(share, 0.05, 0.95).astype(np.float32)
    noise = random.standard_normal(centers.shape, np.float32) * spread
    mixed = np.sqrt(share) * centers + np.sqrt(1 - share) * noise
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
