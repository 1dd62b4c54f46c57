"""Notices faces that are not where face networks expect them, before the model is blamed."""

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

# Enough for a median that hardly varies, and looked at within a second or two.
_MOST_IMAGES, _LEAST_IMAGES = 32, 8
# The pictures are brought to this height, so that offsets are in pixels of the usual size.
_HEIGHT = 112
# In smaller pictures a detector that finds faces of 20 pixels can't place eyes and mouths well.
_LEAST_HEIGHT = 32
_LEAST_CONFIDENCE = 0.9
# Median offsets that were measured: aligned faces 2.7 to 3.4 (what the detector and the aligner
# disagree by, and what faces differ by from the template), shifted by 8 pixels 8.1, enlarged by
# 1.3 8.6, turned by 10 degrees or so 7.3, tight crops that are not aligned 7.8 and 8.7, photos 31.
_MOST_OFFSET = 5.5
# A single aligned face was up to 7.0 off (200 of LFW), a photo 11.1 to 51.2 (60, the median 32).
_MOST_OFFSET_OF_ONE = 9.0

_ADVICE = "align it with tools/align_faces.py, unless the model was trained on such images"


def alignment_warning(
    encoded: Sequence[bytes], names: Sequence[str], what: str, *, each: bool = False
) -> str | None:
    """Returns a line for the user where faces look unaligned, None where they look aligned.

    In a sample of up to 32 images the largest face is searched for. Where eyes, nose and mouth lie
    is compared with the template at the image's own shape, all brought to 112 pixels of height: the
    offset of an image is the mean distance of the five points. The images look unaligned when the
    median offset is above 5.5 pixels, or when most of them have no face that is found.

    Of fewer than 8 images, and with `each`, each is looked at by itself: one looks unaligned when
    its offset is above 9 pixels, or when no face is found in it.

    Says nothing (None) of images that are too small to tell. The sample depends on the number of
    images alone.

    Args:
        encoded: images; it may be a lazy sequence, of which those that are looked at are read.
        names: what to call each image.
        what: the images' name in the line.
        each: look at all images, as each stands for itself.

    Raises:
        InputError: an image that is looked at can't be decoded.
    """
    chosen = np.arange(len(encoded)) if each else _sample(len(encoded))
    offsets = _offsets(encoded, names, chosen)
    large_enough = ~np.isnan(offsets)
    chosen, offsets = chosen[large_enough], offsets[large_enough]
    if each or len(offsets) < _LEAST_IMAGES:
        wrong = np.flatnonzero(offsets > _MOST_OFFSET_OF_ONE)
        if len(wrong):
            return _line_of_single_images(names, chosen[wrong], offsets[wrong], len(offsets))
    if len(offsets) < _LEAST_IMAGES:
        return None
    found = offsets[np.isfinite(offsets)]
    if 2 * len(found) < len(offsets):
        seen = f"no face was found in {len(offsets) - len(found)} of {len(offsets)} sampled images"
    elif np.median(found) > _MOST_OFFSET:
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
    return np.sort(seeding.permutation(seeding.fold(0), num_images)[:_MOST_IMAGES])


def _offsets(encoded: Sequence[bytes], names: Sequence[str], chosen: np.ndarray) -> np.ndarray:
    """Returns the offset of each chosen image in pixels; infinite where no face is found, NaN of
    those that are too small to tell."""
    looked_at = progress(chosen.tolist(), description="looking at faces", unit="images")
    pictures = (Image.fromarray(decode_whole(encoded[i], names[i])) for i in looked_at)
    return np.array(
        [
            _offset(picture) if min(picture.size) >= _LEAST_HEIGHT else np.nan
            for picture in pictures
        ],
        float,
    )


@cache
def _detector() -> MtcnnDetector:
    # Its graphs take longer to make than a sample takes to be looked at.
    return MtcnnDetector()


def _offset(picture: Image.Image) -> float:
    width = max(1, round(picture.width * _HEIGHT / picture.height))
    picture = picture.resize((width, _HEIGHT), Image.Resampling.BICUBIC, reducing_gap=3)
    sure = [face for face in _detector().detect(picture) if face.confidence >= _LEAST_CONFIDENCE]
    if not sure:
        return np.inf
    landmarks = by_importance(sure, picture.size)[0].landmarks
    template = template_points(_HEIGHT, width)
    return float(np.linalg.norm(landmarks - template, axis=1).mean())
