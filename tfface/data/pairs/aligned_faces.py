"""Faces that are cut out of files by their landmarks when they are asked for."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tfface.alignment.warp import align_face
from tfface.data.pairs.file_images import FileImages
from tfface.errors import InputError
from tfface.images.decoding import decode_picture, undecodable_reason


class AlignedFaces(Sequence):
    """Aligned faces as BMP, which takes no time to encode and loses nothing.

    Args:
        files: the images.
        landmarks: float [files, 5, 2], (x, y) in the pixels of each.
        height, width: of an aligned face.
    Raises InputError: when a face is asked for whose image can't be read or decoded.
    """

    def __init__(self, files: Sequence[Path], landmarks: np.ndarray, height: int, width: int):
        self._files = files
        self._images = FileImages(files)
        self._landmarks = landmarks
        self._size = height, width

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> bytes:
        encoded = self._images[index]
        try:
            photo = Image.fromarray(decode_picture(encoded))
        except tf.errors.InvalidArgumentError:
            raise InputError(f"{self._files[index]}: {undecodable_reason(encoded)}") from None
        written = io.BytesIO()
        align_face(photo, self._landmarks[index], *self._size).save(written, "BMP")
        return written.getvalue()
