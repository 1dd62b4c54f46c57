"""Notices that a model of others is given pixels in the wrong colour order or range."""

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

# Genuine pairs of the sample; with fewer than the least, chance says too much.
_MOST_PAIRS, _LEAST_PAIRS = 100, 30
# How sure it has to be, in standard errors, and how much better. Measured on aligned faces with two
# models, 40 samples each: where BGR, or 0..1, was given in place of what a model was trained with,
# the right pixels were better by 8 standard errors or more (median 12) and by 5 to 9 %.
_LEAST_SURE, _LEAST_GAIN = 5, 0.02
_ORDERS = ("rgb", "bgr")
# By the scale and the shift; -1..1 and (x-127.5)/128 are as good as one.
_RANGES = ((1 / 128, -127.5 / 128), (1 / 255, 0.0), (1.0, 0.0))
_ALIKE = 0.02


@dataclass(frozen=True)
class _Sample:
    """Genuine pairs: images uint8 [n, height, width, 3], and the two images of each pair."""

    images: np.ndarray
    first: np.ndarray
    second: np.ndarray


def preprocessing_warning(embedder: Embedder, pair_set: PairSet, *, seed: int = 0) -> str | None:
    """Returns a line for the user where other pixels suit the model clearly better, else None.

    The other colour order and the other usual ranges (-1..1, 0..1, 0..255) are tried on up to 100
    genuine pairs, drawn by the seed, whose images are embedded once for each, without mirrored
    copies. What is compared is how far genuine pairs stand out: with the mean and standard
    deviation of the cosines of all images of different pairs of the sample (practically all are of
    two people), each genuine pair has a

        z = (cosine of the pair - mean) / standard deviation

    Other pixels are clearly better when the mean z is at least 2 % higher, and the differences of
    z, pair by pair, have a mean of at least 5 of its standard errors. Accuracy and AUC of so small
    a sample don't move when BGR is given for RGB; this does, because the pairs are the same and
    thousands of impostor pairs come for free.

    Args:
        embedder: None is returned of one whose model says itself what it takes.
        pair_set: of any faces; with fewer than 30 genuine pairs there's nothing to say.

    Raises:
        InputError: an image of the sample can't be decoded, or the model fails.
    """
    foreign = embedder.inner if isinstance(embedder, CachedEmbedder) else embedder
    if not isinstance(foreign, ExternalEmbedder):
        return None
    sample = _draw(embedder, pair_set, seed)
    if sample is None:
        return None
    given, others = foreign.pixels, list(_other_pixels(foreign))
    with progress([given, *others], description="checking pixels", unit="kinds") as kinds:
        scores = [_stand_out(embedder, pixels, sample) for pixels in kinds]
    best = max(range(len(scores)), key=lambda i: scores[i].mean())
    if best == 0 or not _is_clearly_better(scores[best], scores[0]):
        return None
    pixels = others[best - 1]
    return (
        f"{embedder.name}: {_as_options(pixels)} suits the model better than "
        f"{_as_options(given)}, which was used: {len(scores[0])} genuine pairs of {pair_set.name} "
        f"lie {scores[best].mean():.2f} standard deviations above impostors, not "
        f"{scores[0].mean():.2f}"
    )


def _draw(embedder: Embedder, pair_set: PairSet, seed: int) -> _Sample | None:
    genuine = np.flatnonzero(pair_set.is_genuine)
    if len(genuine) < _LEAST_PAIRS:
        return None
    order = seeding.permutation(seeding.fold(seed), len(genuine))
    pairs = np.sort(genuine[order[:_MOST_PAIRS]])
    both = np.stack([pair_set.first[pairs], pair_set.second[pairs]])
    places, positions = np.unique(both, return_inverse=True)
    first, second = positions.reshape(both.shape)
    places = places.tolist()
    batches = decode_batches(
        [pair_set.images[i] for i in places],
        [pair_set.image_names[i] for i in places],
        embedder.image_size,
        embedder.batch_size,
        keep_aspect=embedder.keeps_aspect,
    )
    return _Sample(np.concatenate(list(batches)), first, second)


def _other_pixels(embedder: ExternalEmbedder) -> Iterator[PixelInput]:
    given = embedder.pixels
    ranges = [(given.scale, given.shift)]
    if not embedder.is_uint8:
        ranges += [other for other in _RANGES if not _are_alike(other, ranges[0])]
    for order in _ORDERS:
        for scale, shift in ranges:
            if (order, scale, shift) != (given.order, given.scale, given.shift):
                yield PixelInput(order, scale, shift)


def _are_alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether 0 and 255 become nearly the same."""
    ends = np.array([[shift, 255 * scale + shift] for scale, shift in (one, other)])
    return bool(np.abs(ends[0] - ends[1]).max() <= _ALIKE * np.ptp(ends[1]))


def _with_pixels(embedder: Embedder, pixels: PixelInput) -> Embedder:
    if isinstance(embedder, CachedEmbedder):
        return embedder.around(_with_pixels(embedder.inner, pixels))
    return embedder.with_pixels(pixels, flip=False)


def _stand_out(embedder: Embedder, pixels: PixelInput, sample: _Sample) -> np.ndarray:
    """Returns z of each genuine pair; -inf where the embeddings are of no use with such pixels."""
    vectors = _with_pixels(embedder, pixels).embed(sample.images).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        return np.full(len(sample.first), -np.inf)
    vectors /= lengths
    cosines = vectors[sample.first] @ vectors[sample.second].T
    # An image may be in several pairs: what it has with those is no impostor pair.
    same = sample.first[:, None] == sample.first
    same |= sample.second[:, None] == sample.second
    same |= sample.first[:, None] == sample.second
    impostors = cosines[~(same | same.T)]
    if not len(impostors) or not impostors.std() > 1e-6:
        return np.full(len(sample.first), -np.inf)
    return (np.diag(cosines) - impostors.mean()) / impostors.std()


def _is_clearly_better(scores: np.ndarray, given: np.ndarray) -> bool:
    if not np.isfinite(given).all():
        # The figures will fail, and say why.
        return False
    differences = scores - given
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    gain = _LEAST_GAIN * abs(given.mean())
    return bool(differences.mean() >= max(gain, _LEAST_SURE * error))


def _as_options(pixels: PixelInput) -> str:
    return f"--color-order {pixels.order} --input-range {shlex.quote(pixels.range)}"
