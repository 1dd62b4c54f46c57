"""Embeddings of many people, drawn on the spot, spread as those of a trained model are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Of MobileFaceNet's 192 numbers on LFW's training people, 42 carry the spread of different people
# (the participation ratio of their covariance); how alike strangers are follows from that.
_EFFECTIVE_SHARE = 42 / 192
# How much of an image's embedding is its person, and how much that differs between images.
_PERSON_MEAN, _PERSON_SPREAD = 0.62, 0.1
# Drawn together; embeddings depend on it.
_PEOPLE = 2048


@dataclass(frozen=True)
class DrawnEmbeddings:
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

    def owners(self) -> np.ndarray:
        """Returns whose each embedding of the gallery is: int64 [size]."""
        return np.arange(self.size) // self.images_per_identity

    def asked(self) -> np.ndarray:
        """Returns whose the queries are: int64 [num_queries], rising."""
        return np.arange(self.num_queries) * self.num_identities // self.num_queries

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the gallery in order, and with each part the queries of its people.

        Both float32 [n, dimension], of length 1.
        """
        asked, each = self.asked(), self.images_per_identity
        tau = _EFFECTIVE_SHARE * self.dimension / 2
        spread = np.exp(-np.arange(self.dimension) / (2 * tau)).astype(np.float32)
        for start in range(0, self.num_identities, _PEOPLE):
            stop = min(start + _PEOPLE, self.num_identities)
            random = np.random.default_rng([self.seed, start])
            people = random.standard_normal((stop - start, self.dimension), np.float32) * spread
            gallery = _images(random, np.repeat(people, each, axis=0), spread)
            here = asked[np.searchsorted(asked, start) : np.searchsorted(asked, stop)]
            queries = _images(random, people[here - start], spread)
            yield gallery[: self.size - start * each], queries


def _images(random: np.random.Generator, people: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Draws an image of each person."""
    share = random.normal(_PERSON_MEAN, _PERSON_SPREAD, (len(people), 1))
    share = np.clip(share, 0.05, 0.95).astype(np.float32)
    noise = random.standard_normal(people.shape, np.float32) * spread
    mixed = np.sqrt(share) * people + np.sqrt(1 - share) * noise
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
