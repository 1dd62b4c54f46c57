"""From encoded images to embeddings, for whatever they are compared in."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from tfface.evaluation.embedders.embedder import Embedder
from tfface.images.decoding import decode_batches
from tfface.progress import progress


def embed_batches(
    embedder: Embedder, encoded: Sequence[bytes], names: Sequence[str], *, what: str
) -> Iterator[np.ndarray]:
    """Decodes and embeds images in order, with a progress bar.

    Images of another size than the embedder's are resized to it; `embedder.keeps_aspect` says how.

    Args:
        encoded: may be a lazy sequence; it is read a batch at a time.
        names: what to call each image in an error.
        what: the images' name on the progress bar.
    Yields: flip-summed embeddings, not normalised: float32 [batch, embedding_size].
    Raises InputError: an image can't be decoded.
    """
    batches = decode_batches(
        encoded,
        names,
        embedder.image_size,
        embedder.batch_size,
        keep_aspect=embedder.keeps_aspect,
    )
    with progress(total=len(encoded), description=f"embedding {what}", unit="images") as bar:
        for images in batches:
            yield embedder.embed(images)
            bar.update(len(images))


def embed_images(
    embedder: Embedder, encoded: Sequence[bytes], names: Sequence[str], *, what: str
) -> np.ndarray:
    """As `embed_batches`, all at once: float32 [n, embedding_size]."""
    return np.concatenate(list(embed_batches(embedder, encoded, names, what=what)))


def images_per_second(embedder: Embedder) -> float:
    """Times the embedder on one batch, after one that compiles it."""
    images = np.zeros((embedder.batch_size, *embedder.image_size, 3), np.uint8)
    embedder.embed(images)
    started = time.perf_counter()
    embedder.embed(images)
    return embedder.batch_size / max(time.perf_counter() - started, 1e-9)
