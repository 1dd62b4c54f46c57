"""Detects unaligned faces, a common reason for low accuracy."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from tfface import seeding
from tfface.alignment.detection import MtcnnDetector
from tfface.alignment.faces import by_importance
from tfface.alignment.template import template_points
from tfface.images.decoding import decode_whole
from tfface.progress import progress

# Enough for a stable median; checked within a second or two.
_MAX_IMAGES, _MIN_IMAGES = 32, 8
# Images are resized to this height, so that offsets are in pixels of the usual size.
_HEIGHT = 112
# In smaller images the detector, whose minimum face size is 20 pixels, is too inaccurate.
_MIN_HEIGHT = 32
_MIN_CONFIDENCE = 0.9
# Measured median offsets: aligned faces 2.7 to 3.4 (the detector's error, and the variation of
# faces about the template), shifted by 8 pixels 8.1, scaled by 1.3 8.6, rotated by about 10 degrees
# 7.3, tight unaligned crops 7.8 and 8.7, photos 31.
_MAX_OFFSET = 5.5
# Offsets of single images: aligned faces up to 7.0 (200 of LFW), photos 11.1 to 51.2 (60, the
# median 32).
_MAX_SINGLE_OFFSET = 9.0

_ADVICE = "align it with tfface align, unless the model was trained on such images"


def alignment_warning(
    encoded: Sequence[bytes], names: Sequence[str], what: str, *, each: bool = False
) -> str | None:
    """Checks whether faces are aligned.

    The largest face is detected in a sample of up to 32 images. The offset of an image is the mean
    distance of its five landmarks from the template, at a height of 112 pixels. The images look
    unaligned if the median offset is above 5.5 pixels, or if no face is found in most of them.

    Fewer than 8 images, or all images with `each`, are checked one by one: an image looks unaligned
    if its offset is above 9 pixels, or if no face is found in it.

    Images that are too small are not checked. The sample depends only on the number of images.

    Args:
        encoded: encoded images; it may be a lazy sequence, of which only the sample is read.
        names: the images' names.
        what: the name of the set for the message.
        each: check every image by itself.

    Returns:
        A warning for the user, or None.

    Raises:
        InputError: an image of the sample can't be decoded.
    """
    chosen = np.arange(len(encoded)) if each else _sample(len(encoded))
    offsets = _offsets(encoded, names, chosen)
    large_enough = ~np.isnan(offsets)
    chosen, offsets = chosen[large_enough], offsets[large_enough]
    if each or len(offsets) < _MIN_IMAGES:
        wrong = np.flatnonzero(offsets > _MAX_SINGLE_OFFSET)
        if len(wrong):
            return _line_of_single_images(names, chosen[wrong], offsets[wrong], len(offsets))
    if len(offsets) < _MIN_IMAGES:
        return None
    found = offsets[np.isfinite(offsets)]
    if 2 * len(found) < len(offsets):
        seen = f"no face was found in {len(offsets) - len(found)} of {len(offsets)} sampled images"
    elif np.median(found) > _MAX_OFFSET:
        seen = (
            f"eyes, nose and mouth of {len(found)} sampled faces lie {np.median(found):.0f} pixels "
            f"(of {_HEIGHT}) from where aligned faces have them; 3 is usual"
        )
    else:
        return None
    return f"{what} looks unaligned: {seen}; {_ADVICE}"


def _line_of_single_images(
    names: Sequence[str], wrong: np.ndarray, offsets: np.ndarray, num_images: int
) -> str:
    first = names[int(wrong[0])]
    if num_images == 1:
        which = f"{first} looks unaligned"
    else:
        verb = "looks" if len(wrong) == 1 else "look"
        which = f"{len(wrong)} of {num_images} images {verb} unaligned, for example {first}"
    if np.isinf(offsets[0]):
        return f"{which}: no face was found in it; {_ADVICE}"
    return (
        f"{which}: its eyes, nose and mouth lie {offsets[0]:.0f} pixels (of {_HEIGHT}) from where "
        f"aligned faces have them; 3 is usual; {_ADVICE}"
    )


def _sample(num_images: int) -> np.ndarray:
    return np.sort(seeding.permutation(seeding.fold(0), num_images)[:_MAX_IMAGES])


def _offsets(encoded: Sequence[bytes], names: Sequence[str], chosen: np.ndarray) -> np.ndarray:
    """Returns the offset of each chosen image in pixels; infinite if no face is found, NaN for
    images that are too small."""
    indices = progress(chosen.tolist(), description="checking alignment", unit="images")
    images = (Image.fromarray(decode_whole(encoded[i], names[i])) for i in indices)
    return np.array(
        [_offset(image) if min(image.size) >= _MIN_HEIGHT else np.nan for image in images],
        float,
    )


@cache
def _detector() -> MtcnnDetector:
    # Building its graphs takes longer than a sample.
    return MtcnnDetector()


def _offset(image: Image.Image) -> float:
    width = max(1, round(image.width * _HEIGHT / image.height))
    image = image.resize((width, _HEIGHT), Image.Resampling.BICUBIC, reducing_gap=3)
    faces = [face for face in _detector().detect(image) if face.confidence >= _MIN_CONFIDENCE]
    if not faces:
        return np.inf
    landmarks = by_importance(faces, image.size)[0].landmarks
    template = template_points(_HEIGHT, width)
    return float(np.linalg.norm(landmarks - template, axis=1).mean())
