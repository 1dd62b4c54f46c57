"""A synthetic training set in the format of InsightFace (RecordIO)."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from tfface import seeding
from tfface.data.sources.recordio_file import HEADER, MAGIC
from tfface.files import replacing
from tfface.progress import progress
from tfface.synthetic import render_faces

_FACES = 400
_SIZE = 112
_QUALITY = 95


def write_synthetic_recordio(folder: Path, num_images: int, num_identities: int) -> None:
    """Writes train.rec, train.idx and property with 112x112 JPEGs.

    The images show 400 different synthetic faces; bytes after the end of each JPEG make its record
    unique. The numbers of images of two identities differ by at most one.

    Args:
        folder: The folder, which is created if it does not exist.
        num_images: Number of images, >= `num_identities`.
        num_identities: Number of identities.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faces = render_faces([i // 4 for i in range(_FACES)], [i % 4 for i in range(_FACES)], _SIZE)
    encoded = [_jpeg(face) for face in faces]
    chosen = seeding.words(seeding.fold(0), num_images) % np.uint64(_FACES)
    bounds = np.linspace(1, num_images + 1, num_identities + 1).astype(int).tolist()
    offset, lines = 0, []
    with (
        replacing(folder / "train.rec") as rec,
        rec.open("wb") as file,
        progress(total=num_images, description="writing", unit="images") as bar,
    ):

        def add(key: int, payload: bytes) -> None:
            nonlocal offset
            lines.append(f"{key}\t{offset}\n")
            offset += file.write(_framed(payload))

        end = num_images + 1
        add(0, HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", end, end + num_identities))
        for identity in range(num_identities):
            for key in range(bounds[identity], bounds[identity + 1]):
                image = encoded[int(chosen[key - 1])] + b"%d" % key
                add(key, HEADER.pack(0, identity, key, 0) + image)
            bar.update(bounds[identity + 1] - bounds[identity])
        for identity in range(num_identities):
            labels = struct.pack("<2f", bounds[identity], bounds[identity + 1])
            add(end + identity, HEADER.pack(2, 0, end + identity, 0) + labels)
    with replacing(folder / "train.idx") as path:
        path.write_text("".join(lines))
    with replacing(folder / "property") as path:
        path.write_text(f"{num_identities},{_SIZE},{_SIZE}")


def _framed(payload: bytes) -> bytes:
    """Returns a record of the file; the payload must not contain the magic number."""
    return struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)


def _jpeg(face: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
