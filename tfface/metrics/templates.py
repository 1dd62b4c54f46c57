"""Template verification (IJB-B, IJB-C): a template is a set of photos and video frames.

A template consists of media: photos, and videos, whose frames together weigh as much as one photo.
Image embeddings e are flip-summed and not normalized (blurred faces have small norms and therefore
less weight). With the detection score of each face,

    media    = mean of (score * e) over its images in the template
    template = sum of its media, L2-normalized

and the similarity of a pair is the cosine of its templates. The protocol has no folds, therefore no
accuracy; the metric is TAR at low FARs.

Reference: InsightFace's `ijb_11.py` with its settings F2, N1, D1, as used for published results.
"""

from collections.abc import Sequence

import numpy as np

from tfface.errors import InputError
from tfface.metrics.verification import VerificationResult, metrics_from_scores

# Images added to templates at a time; float32 cells of a block of similarities.
_IMAGES = 128
_CELLS = 1 << 22
# A block is one matrix product, unless it needs so few of its cells that separate dot products are
# faster.
_CELLS_PER_PAIR = 32
_ROWS = 1024


class TemplatePool:
    """Aggregates embeddings to templates, batch by batch.

    Needs 8 bytes per template and embedding dimension, for any number of images.

    Args:
        images: int [entries], index of the image. An image may be in several templates.
        templates: int [entries], its template: 0, 1 and so on, each at least once.
        media: int [entries], its medium; any numbers, which are local to the template.
        scores: float [num_images], the weight of each image; None for equal weights.
        image_names, template_names: names for error messages; by default the indices.

    Example:
        >>> pool = TemplatePool(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
        >>> pool.add(np.array([[3.0, 0.0], [0.0, 4.0]]))
        >>> pool.templates().round(2).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """

    def __init__(
        self,
        images: np.ndarray,
        templates: np.ndarray,
        media: np.ndarray,
        *,
        scores: np.ndarray | None = None,
        image_names: Sequence | None = None,
        template_names: Sequence | None = None,
    ):
        _, group, sizes = np.unique(
            np.stack([templates, media]), axis=1, return_inverse=True, return_counts=True
        )
        weights = 1 / sizes[group.ravel()]
        if scores is not None:
            weights *= scores[images]
        order = np.argsort(images, kind="stable")
        self._images, self._templates = images[order], templates[order]
        self._weights = weights[order]
        self._num_templates = int(templates.max()) + 1
        self._image_names, self._template_names = image_names, template_names
        self._sums = np.zeros((self._num_templates, 0))
        self._num_added = 0
        self._norms = 0.0

    def add(self, embeddings: np.ndarray) -> None:
        """Adds the embeddings of the next images.

        Args:
            embeddings: float [images, embedding_size].

        Raises:
            InputError: an embedding contains NaN or infinity.
        """
        for start in range(0, len(embeddings), _IMAGES):
            self._add(np.asarray(embeddings[start : start + _IMAGES], np.float64))

    def _add(self, embeddings: np.ndarray) -> None:
        norms = np.linalg.norm(embeddings, axis=1)
        if not np.isfinite(norms).all():
            image = self._num_added + int(np.argmin(np.isfinite(norms)))
            name = f"image {image}" if self._image_names is None else self._image_names[image]
            raise InputError(f"the embedding of {name} contains NaN or infinity")
        if not self._num_added:
            self._sums = np.zeros((self._num_templates, embeddings.shape[1]))
        end = self._num_added + len(embeddings)
        low, high = np.searchsorted(self._images, [self._num_added, end])
        weighted = embeddings[self._images[low:high] - self._num_added]
        weighted *= self._weights[low:high, None]
        # Row by row is faster than `np.add.at`.
        for template, row in zip(self._templates[low:high].tolist(), weighted, strict=True):
            self._sums[template] += row
        self._norms += float(norms.sum())
        self._num_added = end

    @property
    def embedding_norm(self) -> float:
        """The mean norm of the added embeddings."""
        return self._norms / self._num_added

    def templates(self) -> np.ndarray:
        """Returns the L2-normalized templates: float32 [num_templates, embedding_size].

        Raises:
            InputError: the embeddings of a template sum to 0.
        """
        norms = np.sqrt(np.einsum("ij,ij->i", self._sums, self._sums))
        if not norms.all():
            row = int(np.argmin(norms))
            name = row if self._template_names is None else self._template_names[row]
            raise InputError(f"template {name} can't be normalized: its embeddings sum to 0")
        templates = np.empty(self._sums.shape, np.float32)
        return np.divide(self._sums, norms[:, None], out=templates, casting="same_kind")


def template_verification(
    templates: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_genuine: np.ndarray,
    *,
    embedding_norm: float,
) -> VerificationResult:
    """Computes the metrics of pairs of templates, without accuracy, threshold and intervals.

    Args:
        templates: float32 [num_templates, embedding_size], L2-normalized.
        first, second: int [num_pairs], rows of `templates`.
        is_genuine: bool [num_pairs].
        embedding_norm: mean norm of the image embeddings.

    Raises:
        InputError: all pairs are of one kind.
    """
    similarity = pair_similarities(templates, first, second)
    return metrics_from_scores(similarity, is_genuine, embedding_norm=embedding_norm)


def pair_similarities(templates: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the cosine of each pair, with an error of up to 1e-6: float32 [num_pairs].

    Needs 20 bytes per pair.

    Args:
        templates: float32 [num_templates, embedding_size], L2-normalized.
        first, second: int [num_pairs], rows of `templates`.
    """
    similarity = np.empty(len(first), np.float32)
    # 16 bits are sorted in one pass over the pairs.
    short = np.uint16 if len(templates) <= 1 << 16 else np.int32
    order = np.argsort(np.asarray(first).astype(short), kind="stable")
    # Where the pairs of each first template start in that order.
    starts = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(templates)))])
    num_seconds = int(np.count_nonzero(np.bincount(second)))
    column = np.empty(len(templates), np.int32)
    low = 0
    while low < len(templates):
        high = _block_end(starts, low, num_seconds)
        pairs = order[starts[low] : starts[high]]
        num_pairs = np.diff(starts[low : high + 1])
        similarity[pairs] = _block(templates, low, num_pairs, second[pairs], column)
        low = high
    return similarity


def _block_end(starts: np.ndarray, low: int, num_seconds: int) -> int:
    """Returns the end of the block of first templates that starts at `low`."""

    def fits(high: int) -> bool:
        return (high - low) * min(num_seconds, starts[high] - starts[low]) <= _CELLS

    high, last = low + 1, len(starts) - 1
    while high < last and fits(min(2 * high - low, last)):
        high = min(2 * high - low, last)
    too_high = min(2 * high - low, last + 1)
    while too_high - high > 1:
        middle = (high + too_high) // 2
        high, too_high = (middle, too_high) if fits(middle) else (high, middle)
    return high


def _block(
    templates: np.ndarray, low: int, num_pairs: np.ndarray, second: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Returns the similarities of the pairs of a block of first templates: float32 [pairs].

    Args:
        low: the first template of the block.
        num_pairs: int [first templates], number of (consecutive) pairs of each.
        second: int [pairs].
        column: int32 [num_templates], scratch memory.
    """
    rows, columns = np.flatnonzero(num_pairs), np.flatnonzero(np.bincount(second))
    num_cells = len(rows) * len(columns)
    if num_cells > _CELLS_PER_PAIR * len(second):
        first = low + np.repeat(rows, num_pairs[rows])
        return _dot_products(templates, first, second)
    column[columns] = np.arange(len(columns))
    cells = templates[low + rows] @ templates[columns].T
    index = np.repeat(np.arange(len(rows)) * len(columns), num_pairs[rows])
    index += column.take(second)
    return cells.ravel().take(index)


def _dot_products(templates: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    similarity = np.empty(len(first), np.float32)
    for start in range(0, len(first), _ROWS):
        part = slice(start, start + _ROWS)
        np.einsum("ij,ij->i", templates[first[part]], templates[second[part]], out=similarity[part])
    return similarity
