"""Sanity checks of an evaluation: a wrong color order or pixel range, and unaligned faces.

Both are common reasons for a low accuracy.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
from PIL import Image

from tfface import seeding
from tfface.alignment.faces import by_importance
from tfface.alignment.template import alignment_shift
from tfface.data.pairs import PairSet
from tfface.errors import warn
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.external import ExternalEmbedder
from tfface.evaluation.embedders.options import PixelInput
from tfface.extras import not_installed
from tfface.images.decoding import decode_batches, decode_whole
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
    # A file of `tfface export` says what it takes.
    if not isinstance(external, ExternalEmbedder) or external.metadata is not None:
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


# Enough for a stable median: of 10,000 samples of 16, those of aligned faces of LFW had medians up
# to 3.3, and those of closely cut photos of celebrities from 5.9.
_MAX_IMAGES, _MIN_IMAGES = 16, 8
# Images are resized to this height, so that shifts are in pixels of the usual size.
_HEIGHT = 112
# In smaller images the detector, whose minimum face size is 20 pixels, is too inaccurate.
_MIN_HEIGHT = 32
_MIN_CONFIDENCE = 0.9
# Measured medians of 48 images each: aligned faces of LFW 1.9, shifted by 5 pixels 5.0, by 8 pixels
# 7.5, scaled by 1.3 7.7, rotated by 10 degrees 5.1, closely cut photos 7.6, photos 30.
_MAX_SHIFT = 3.8
# Single ones: aligned faces up to 6.7 (168 of LFW), 95 % of closely cut photos more than 5.2, of
# other photos more than 16.
_MAX_SINGLE_SHIFT = 6.0

_ADVICE = "align it with tfface align, unless the model was trained on such images"


def alignment_warning(
    encoded: Sequence[bytes],
    names: Sequence[str],
    what: str,
    *,
    each: bool = False,
    min_height: int = _MIN_HEIGHT,
    are_faces: bool = True,
    advice: str = _ADVICE,
) -> str | None:
    """Checks whether faces are aligned.

    The largest face is detected in a sample of up to 16 images. The shift of an image is the mean
    distance by which alignment would move its five landmarks, at a height of 112 pixels. The images
    look unaligned if the median shift is above 3.8 pixels, or if no face is found in most of them.

    Fewer than 8 images, or all images with `each`, are checked one by one: an image looks unaligned
    if its shift is above 6 pixels, or if no face is found in it.

    Images that are too small are not checked. The sample depends only on the number of images.
    Without the packages of the extra `align` nothing is checked, and a line says so once.

    Args:
        encoded: encoded images; it may be a lazy sequence, of which only the sample is read.
        names: the images' names.
        what: the name of the set for the message.
        each: check every image by itself.
        min_height: images with a shorter side, in pixels, are not checked.
        are_faces: False if they may be something else; images without a face are then no reason.
        advice: what to do, at the warning's end.

    Returns:
        A warning for the user, or None.

    Raises:
        InputError: an image of the sample can't be decoded.
    """
    if not _has_detector():
        return None
    chosen = np.arange(len(encoded)) if each else seeding.sample(len(encoded), _MAX_IMAGES)
    shifts = _shifts(encoded, names, chosen, min_height)
    large_enough = ~np.isnan(shifts)
    chosen, shifts = chosen[large_enough], shifts[large_enough]
    if each or len(shifts) < _MIN_IMAGES:
        wrong = np.flatnonzero(shifts > _MAX_SINGLE_SHIFT)
        if len(wrong):
            if np.isinf(shifts[wrong[0]]) and not are_faces:
                return None
            line = _line_of_single_images(names, chosen[wrong], shifts[wrong], len(shifts))
            return f"{line}; {advice}"
    if len(shifts) < _MIN_IMAGES:
        return None
    found = shifts[np.isfinite(shifts)]
    if 2 * len(found) < len(shifts):
        if not are_faces:
            return None
        seen = f"no face was found in {len(shifts) - len(found)} of {len(shifts)} sampled images"
    elif np.median(found) > _MAX_SHIFT:
        seen = (
            f"alignment would move eyes, nose and mouth of {len(found)} sampled faces by "
            f"{np.median(found):.0f} pixels (of {_HEIGHT}); 2 is usual"
        )
    else:
        return None
    return f"{what} looks unaligned: {seen}; {advice}"


@cache
def _has_detector() -> bool:
    for package in ("mtcnn", "joblib", "lz4"):
        if find_spec(package) is None:
            warn(f"it is not checked whether faces are aligned: {not_installed(package)}")
            return False
    return True


def _line_of_single_images(
    names: Sequence[str], wrong: np.ndarray, shifts: np.ndarray, num_images: int
) -> str:
    first = names[int(wrong[0])]
    if num_images == 1:
        which = f"{first} looks unaligned"
    else:
        verb = "looks" if len(wrong) == 1 else "look"
        which = f"{len(wrong)} of {num_images} images {verb} unaligned, for example {first}"
    if np.isinf(shifts[0]):
        return f"{which}: no face was found in it"
    return (
        f"{which}: alignment would move its eyes, nose and mouth by {shifts[0]:.0f} pixels (of "
        f"{_HEIGHT}); 2 is usual"
    )


def _shifts(
    encoded: Sequence[bytes], names: Sequence[str], chosen: np.ndarray, min_height: int
) -> np.ndarray:
    """Returns the shift of each chosen image in pixels; infinite if no face is found, NaN for
    images that are too small."""
    indices = progress(chosen.tolist(), description="checking alignment", unit="images")
    images = (Image.fromarray(decode_whole(encoded[i], names[i])) for i in indices)
    return np.array(
        [_shift(image) if min(image.size) >= min_height else np.nan for image in images],
        float,
    )


def _shift(image: Image.Image) -> float:
    # Only here: it needs an extra, and every training and evaluation imports this module.
    from tfface.alignment.detection import shared_detector

    width = max(1, round(image.width * _HEIGHT / image.height))
    image = image.resize((width, _HEIGHT), Image.Resampling.BICUBIC, reducing_gap=3)
    faces = [face for face in shared_detector().detect(image) if face.confidence >= _MIN_CONFIDENCE]
    if not faces:
        return np.inf
    return alignment_shift(by_importance(faces, image.size)[0].landmarks, image.size)
