"""An embedder that keeps what it has computed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding_store import KEY_BYTES, EmbeddingStore


class CachedEmbedder:
    """Embeds only images that weren't embedded before, by the same model in the same way.

    Embeddings lie in a folder of their own for each `fingerprint` of an embedder, each under the
    hash of the pixels it was computed from. Images that are twice in a batch are embedded once.

    Args:
        embedder: what embeds.
        folder: of all embeddings that are kept; made if need be. It may be removed at any time, or
            one of the folders in it, when no process uses it.
        say: is given a line when damaged files are found, which are removed.
    Attributes: as `Embedder` has them, and
        inner: the embedder.
    Raises InputError: the folder can't be made, read or written.
    """

    def __init__(self, embedder: Embedder, folder: Path, say: Callable[[str], None]):
        self.inner = embedder
        self.name = embedder.name
        self.image_size = embedder.image_size
        self.keeps_aspect = embedder.keeps_aspect
        self.batch_size = embedder.batch_size
        self.fingerprint = embedder.fingerprint
        self._folder = folder
        self._say = say
        self._store = EmbeddingStore(folder / self.fingerprint, say)

    def around(self, embedder: Embedder) -> "CachedEmbedder":
        """Returns another embedder that keeps its embeddings in the same place."""
        return CachedEmbedder(embedder, self._folder, self._say)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns what the embedder returns: float32 [n, embedding_size].

        Args:
            images: uint8 [n, height, width, 3], RGB.
        Raises InputError: what is new can't be written.
        """
        hashes = [hashlib.blake2b(image, digest_size=KEY_BYTES).digest() for image in _rows(images)]
        keys, places, inverse = np.unique(
            np.array(hashes, f"S{KEY_BYTES}"), return_index=True, return_inverse=True
        )
        known, found = self._store.find(keys)
        if not known.all():
            new = self.inner.embed(images[places[~known]])
            self._store.add(keys[~known], new)
            both = np.empty((len(keys), new.shape[1]), np.float32)
            both[~known] = new
            if known.any():
                both[known] = found
            found = both
        return found[inverse]


def _rows(images: np.ndarray) -> list[np.ndarray]:
    return list(np.ascontiguousarray(images))
