"""Verification of templates, each some photos and video frames of a person, as in IJB-B and IJB-C.

A template is made of media: photos, and videos whose frames count together as much as one photo.
With image embeddings e (flip-summed and of the length that the model gives them: blurred faces have
short ones and so count less), weighted by how sure the detector was that they are faces,

    media    = mean of (score * e) over its images in the template
    template = sum of its media, scaled to length 1

and a pair's similarity is the cosine of its templates. There is no threshold to choose and so no
accuracy: what counts is TAR at low FARs.

Source: InsightFace's `ijb_11.py` with its settings F2, N1, D1, which published figures go by.
"""

from collections.abc import Sequence

import numpy as np

from tfface.errors import InputError
from tfface.metrics.verification import VerificationResult, figures_of_similarities

# Images that are added to templates at a time; float32 cells of a block of similarities.
_IMAGES = 128
_CELLS = 1 << 22
# A block is made by one product of matrices, unless so few of its cells are wanted that rows
# multiplied one by one are faster.
_CELLS_PER_PAIR = 32
_ROWS = 1024


class TemplatePool:
    """Sums up embeddings to templates, as they come.

    Takes 8 bytes for each template and number of an embedding, however many images there are.

    Args:
        images: int [entries], which image each is of. An image may be in several templates.
        templates: int [entries], the template it belongs to: 0, 1 and so on, each at least once.
        media: int [entries], the medium; any numbers, which mean nothing beyond the template.
        scores: float [num_images], the weight of each image; None for equal weights.
        image_names, template_names: what to call them in an error; by default their positions.
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
        """Adds the embeddings of the images that follow those added before.

        Args:
            embeddings: float [images, embedding_size].
        Raises InputError: one holds NaN or infinity.
        """
        for start in range(0, len(embeddings), _IMAGES):
            self._add(np.asarray(embeddings[start : start + _IMAGES], np.float64))

    def _add(self, embeddings: np.ndarray) -> None:
        norms = np.linalg.norm(embeddings, axis=1)
        if not np.isfinite(norms).all():
            image = self._num_added + int(np.argmin(np.isfinite(norms)))
            name = f"image {image}" if self._image_names is None else self._image_names[image]
            raise InputError(f"the embedding of {name} holds NaN or infinity")
        if not self._num_added:
            self._sums = np.zeros((self._num_templates, embeddings.shape[1]))
        end = self._num_added + len(embeddings)
        low, high = np.searchsorted(self._images, [self._num_added, end])
        weighted = embeddings[self._images[low:high] - self._num_added]
        weighted *= self._weights[low:high, None]
        # Row by row, which is faster than `np.add.at`, in whatever order templates come.
        for template, row in zip(self._templates[low:high].tolist(), weighted, strict=True):
            self._sums[template] += row
        self._norms += float(norms.sum())
        self._num_added = end

    @property
    def embedding_norm(self) -> float:
        """The mean length of the embeddings that were added."""
        return self._norms / self._num_added

    def templates(self) -> np.ndarray:
        """Returns the templates: float32 [num_templates, embedding_size], of length 1.

        Raises InputError: a sum is 0, so that it has no direction.
        """
        norms = np.sqrt(np.einsum("ij,ij->i", self._sums, self._sums))
        if not norms.all():
            row = int(np.argmin(norms))
            name = row if self._template_names is None else self._template_names[row]
            raise InputError(f"template {name} has no direction: its embeddings add up to 0")
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
    """Returns the figures of pairs of templates, without accuracy, threshold and intervals.

    Args:
        templates: float32 [num_templates, embedding_size], of length 1.
        first, second: int [num_pairs], rows of `templates`.
        is_genuine: bool [num_pairs].
        embedding_norm: mean length of the images' embeddings.
    Raises InputError: pairs are of one kind only.
    """
    similarity = pair_similarities(templates, first, second)
    return figures_of_similarities(similarity, is_genuine, embedding_norm=embedding_norm)


def pair_similarities(templates: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the cosine of each pair, with an error of up to 1e-6: float32 [num_pairs].

    Takes 20 bytes for each pair.

    Args:
        templates: float32 [num_templates, embedding_size], of length 1.
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
    """Returns before which first template a block ends that starts at `low`."""

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
    """Returns the similarities of the pairs of some first templates: float32 [pairs].

    Args:
        low: the first of the first templates.
        num_pairs: int [first templates], how many pairs each has, which follow each other.
        second: int [pairs].
        column: int32 [num_templates], to work with.
    """
    rows, columns = np.flatnonzero(num_pairs), np.flatnonzero(np.bincount(second))
    num_cells = len(rows) * len(columns)
    if num_cells > _CELLS_PER_PAIR * len(second):
        first = low + np.repeat(rows, num_pairs[rows])
        return _one_by_one(templates, first, second)
    column[columns] = np.arange(len(columns))
    cells = templates[low + rows] @ templates[columns].T
    place = np.repeat(np.arange(len(rows)) * len(columns), num_pairs[rows])
    place += column.take(second)
    return cells.ravel().take(place)


def _one_by_one(templates: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    similarity = np.empty(len(first), np.float32)
    for start in range(0, len(first), _ROWS):
        part = slice(start, start + _ROWS)
        np.einsum("ij,ij->i", templates[first[part]], templates[second[part]], out=similarity[part])
    return similarity
