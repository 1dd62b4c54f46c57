"""Writing pictures as files of single images."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfface.files import replacing
from tfface.images.header import EXTENSIONS_OF_KINDS, START_BYTES, image_kind

EXTENSIONS = {"jpeg": ".jpg", "png": ".png"}
_JPEG_QUALITY = 95


def write_picture(path: Path, picture: np.ndarray, format: str) -> None:
    """Writes uint8 [height, width, 3], RGB; JPEG with quality 95 and colours in full resolution.

    Args:
        format: a key of `EXTENSIONS`.
    Raises InputError: the file can't be written.
    """
    settings = {"quality": _JPEG_QUALITY, "subsampling": 0} if format == "jpeg" else {}
    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format, **settings)


def write_encoded(path_without_extension: str, output: Path, encoded: bytes) -> str:
    """Writes an image's bytes as they are, with the extension of their format.

    Returns: its path in `output`.
    Raises InputError: the file can't be written.
    """
    kind = image_kind(encoded[:START_BYTES])
    name = path_without_extension + EXTENSIONS_OF_KINDS.get(kind, ".jpg")
    with replacing(output / name) as temporary:
        temporary.write_bytes(encoded)
    return name
