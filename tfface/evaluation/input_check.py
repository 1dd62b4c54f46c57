"""Detects a wrong color order or pixel range for an external model."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfface import seeding
from tfface.data.pairs import PairSet
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.external import ExternalEmbedder
from tfface.evaluation.embedders.options import PixelInput
from tfface.images.decoding import decode_batches
from tfface.progress import progress

# Genuine pairs of the sample; fewer than the minimum are not significant.
_MAX_PAIRS, _MIN_PAIRS = 100, 30
# The required difference, in standard errors and as a fraction. Measured on aligned faces with two
# models, 40 samples each: when a model got BGR, or 0..1, instead of its training format, the right
# format was better by at least 8 standard errors (median 12) and by 5 to 9 %.
_MIN_STANDARD_ERRORS, _MIN_GAIN = 5, 0.02
_ORDERS = ("rgb", "bgr")
# Scale and shift; -1..1 and (x-127.5)/128 are practically the same.
_RANGES = ((1 / 128, -127.5 / 128), (1 / 255, 0.0), (1.0, 0.0))
_TOLERANCE = 0.02


@dataclass(frozen=True)
class _Sample:
    """Genuine pairs: images uint8 [n, height, width, 3], and the indices of each pair's images."""

    images: np.ndarray
    first: np.ndarray
    second: np.ndarray


def preprocessing_warning(embedder: Embedder, pair_set: PairSet, *, seed: int = 0) -> str | None:
    """Checks whether another pixel format suits an external model clearly better.

    The other color order and the other usual ranges (-1..1, 0..1, 0..255) are tried on up to 100
    genuine pairs, whose images are embedded once for each format, without flip. With the mean and
    standard deviation of the cosines of all images of different pairs of the sample (practically
    all are impostors), each genuine pair has a

        z = (cosine of the pair - mean) / standard deviation

    Another format is clearly better if the mean z is at least 2 % higher, and the mean difference
    of z, pair by pair, is at least 5 times its standard error. Accuracy and AUC of so small a
    sample don't change between BGR and RGB; this test is sensitive because it compares the same
    pairs, and thousands of impostor pairs come for free.

    Args:
        embedder: the model; only external models are checked.
        pair_set: any faces; with fewer than 30 genuine pairs nothing is checked.
        seed: of the sample.

    Returns:
        A warning for the user, or None.

    Raises:
        InputError: an image of the sample can't be decoded, or the model can't be run.
    """
    external = embedder.inner if isinstance(embedder, CachedEmbedder) else embedder
    if not isinstance(external, ExternalEmbedder):
        return None
    sample = _draw(embedder, pair_set, seed)
    if sample is None:
        return None
    given, others = external.pixels, list(_other_pixels(external))
    with progress(
        [given, *others], description="checking pixel formats", unit="formats"
    ) as formats:
        scores = [_z_scores(embedder, pixels, sample) for pixels in formats]
    best = max(range(len(scores)), key=lambda i: scores[i].mean())
    if best == 0 or not _is_clearly_better(scores[best], scores[0]):
        return None
    pixels = others[best - 1]
    return (
        f"{embedder.name}: {_as_options(pixels)} suits the model better than "
        f"{_as_options(given)}, which was used: {len(scores[0])} genuine pairs of {pair_set.name} "
        f"lie {scores[best].mean():.2f} standard deviations above impostors instead of "
        f"{scores[0].mean():.2f}"
    )


def _draw(embedder: Embedder, pair_set: PairSet, seed: int) -> _Sample | None:
    genuine = np.flatnonzero(pair_set.is_genuine)
    if len(genuine) < _MIN_PAIRS:
        return None
    order = seeding.permutation(seeding.fold(seed), len(genuine))
    pairs = np.sort(genuine[order[:_MAX_PAIRS]])
    both = np.stack([pair_set.first[pairs], pair_set.second[pairs]])
    images, positions = np.unique(both, return_inverse=True)
    first, second = positions.reshape(both.shape)
    images = images.tolist()
    batches = decode_batches(
        [pair_set.images[i] for i in images],
        [pair_set.image_names[i] for i in images],
        embedder.image_size,
        embedder.batch_size,
        keep_aspect=embedder.keeps_aspect,
    )
    return _Sample(np.concatenate(list(batches)), first, second)


def _other_pixels(embedder: ExternalEmbedder) -> Iterator[PixelInput]:
    given = embedder.pixels
    ranges = [(given.scale, given.shift)]
    if not embedder.is_uint8:
        ranges += [other for other in _RANGES if not _are_similar(other, ranges[0])]
    for order in _ORDERS:
        for scale, shift in ranges:
            if (order, scale, shift) != (given.order, given.scale, given.shift):
                yield PixelInput(order, scale, shift)


def _are_similar(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether 0 and 255 are mapped to nearly the same values."""
    ends = np.array([[shift, 255 * scale + shift] for scale, shift in (one, other)])
    return bool(np.abs(ends[0] - ends[1]).max() <= _TOLERANCE * np.ptp(ends[1]))


def _with_pixels(embedder: Embedder, pixels: PixelInput) -> Embedder:
    if isinstance(embedder, CachedEmbedder):
        return embedder.around(_with_pixels(embedder.inner, pixels))
    return embedder.with_pixels(pixels, flip=False)


def _z_scores(embedder: Embedder, pixels: PixelInput, sample: _Sample) -> np.ndarray:
    """Returns z of each genuine pair; -inf if the embeddings are degenerate with such pixels."""
    embeddings = _with_pixels(embedder, pixels).embed(sample.images).astype(np.float64)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        return np.full(len(sample.first), -np.inf)
    embeddings /= norms
    cosines = embeddings[sample.first] @ embeddings[sample.second].T
    # An image may be in several pairs; those combinations are not impostor pairs.
    same = sample.first[:, None] == sample.first
    same |= sample.second[:, None] == sample.second
    same |= sample.first[:, None] == sample.second
    impostors = cosines[~(same | same.T)]
    if not len(impostors) or not impostors.std() > 1e-6:
        return np.full(len(sample.first), -np.inf)
    return (np.diag(cosines) - impostors.mean()) / impostors.std()


def _is_clearly_better(scores: np.ndarray, given: np.ndarray) -> bool:
    if not np.isfinite(given).all():
        # The evaluation will fail with a message.
        return False
    differences = scores - given
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    gain = _MIN_GAIN * abs(given.mean())
    return bool(differences.mean() >= max(gain, _MIN_STANDARD_ERRORS * error))


def _as_options(pixels: PixelInput) -> str:
    return f"--color-order {pixels.order} --input-range {shlex.quote(pixels.range)}"
