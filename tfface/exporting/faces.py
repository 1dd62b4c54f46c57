"""The images that an export is calibrated on and compared by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.images.decoding import decode_batches, resize
from tfface.synthetic import TEST_IDENTITIES_FROM, render_faces

# More images change measured ranges little, and take long with a large network.
_MAX_CALIBRATION = 128
_BATCH = 64
_LEAST_SYNTHETIC = 32


@dataclass(frozen=True)
class ExportFaces:
    """Faces of one kind, no image in both arrays.

    Attributes:
        calibration: uint8 [n, height, width, 3]; empty if none are needed.
        compared: likewise, at least one.
        name: what they are.
    """

    calibration: np.ndarray
    compared: np.ndarray
    name: str


def faces_of(
    encoded: Sequence[bytes],
    names: Sequence[str],
    what: str,
    image_size: tuple[int, int],
    *,
    num_compared: int,
    calibrate: bool,
) -> ExportFaces:
    """Draws faces evenly from images.

    Args:
        encoded: encoded images.
        names: the images' names for error messages.
        what: what the images are.
        image_size: (height, width) that the model takes.
        num_compared: the number of images to compare by; fewer if there are not as many.
        calibrate: other images are needed, too.

    Raises:
        InputError: there are too few images, or one can't be decoded.
    """
    wanted = num_compared + _MAX_CALIBRATION if calibrate else num_compared
    count = min(len(encoded), wanted)
    if count < 1 + calibrate:
        raise InputError(
            f"{what}: {len(encoded)} images are too few to {'calibrate and ' * calibrate}compare"
        )
    chosen = np.linspace(0, len(encoded) - 1, count).astype(int).tolist()
    batches = decode_batches(
        [encoded[index] for index in chosen],
        [names[index] for index in chosen],
        image_size,
        _BATCH,
    )
    return _split(np.concatenate(list(batches)), what, num_compared, calibrate)


def synthetic_faces(
    image_size: tuple[int, int], *, num_compared: int, calibrate: bool
) -> ExportFaces:
    """Draws synthetic faces of people that are in no training set.

    Args:
        image_size: (height, width) that the model takes.
        num_compared: the number of images to compare by.
        calibrate: other images are needed, too.
    """
    count = num_compared + _MAX_CALIBRATION if calibrate else num_compared
    people = TEST_IDENTITIES_FROM + np.arange(count)
    drawn = render_faces(people.tolist(), [0] * count, max(*image_size, _LEAST_SYNTHETIC))
    images = resize(drawn, *image_size, keep_aspect=True)
    return _split(images, "synthetic faces", num_compared, calibrate)


def _split(images: np.ndarray, name: str, num_compared: int, calibrate: bool) -> ExportFaces:
    """Takes the images to compare by from all over the images."""
    if not calibrate:
        return ExportFaces(images[:0], images, name)
    num_compared = min(num_compared, len(images) // 2)
    is_compared = np.zeros(len(images), bool)
    is_compared[np.linspace(0, len(images) - 1, num_compared).astype(int)] = True
    return ExportFaces(images[~is_compared], images[is_compared], name)
