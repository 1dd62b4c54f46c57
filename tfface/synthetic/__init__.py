"""Drawn faces: a data set that needs no download.

A face is a function of (seed, identity, image, size) alone. Where to change what:

    people.py    who is who: every trait of a person, its range, and the hair styles
    nuisance.py  what differs between pictures: pose, light, expression, grooming, occlusion, blur
    head.py hair.py   how the parts of a head are drawn
    lighting.py  relief and light, then lens, noise and compression
    portrait.py  the order of painting; background, glasses, hats, scarves, hands
    drawing.py   the tools: colors, curves, camera, canvas
    pool.py      many faces in several processes

`python -m tfface.synthetic docs/synthetic_faces.png` makes the contact sheet of the docs.
"""

import os
from collections.abc import Sequence

import numpy as np

from tfface.errors import InputError
from tfface.progress import progress
from tfface.synthetic.pool import render_in_processes
from tfface.synthetic.portrait import render

# Identities from here on are for verification only; training never draws them.
TEST_IDENTITIES_FROM = 1_000_000

_LEAST_SIZE = 32
# Starting a process costs about as much as drawing this many faces.
_FACES_WORTH_A_PROCESS = 64


def render_face(identity: int, image: int, size: int, seed: int = 0) -> np.ndarray:
    """Draws one picture of one person.

    Args:
        identity: which person, >= 0.
        image: which picture of that person, >= 0.
        size: side in pixels, >= 32. Framed like an ArcFace crop of that size.
        seed: >= 0; another seed is another population.
    Returns: uint8 [size, size, 3], RGB.
    Raises InputError: an argument out of range.
    """
    _check(size=size, seed=seed, identities=[identity], images=[image])
    return render(int(identity), int(image), int(size), int(seed))


def render_faces(
    identities: Sequence[int],
    images: Sequence[int],
    size: int,
    seed: int = 0,
    workers: int | None = None,
) -> np.ndarray:
    """Draws picture `images[i]` of person `identities[i]`, for every i, in several processes.

    Args:
        identities, images: of one length; see `render_face`.
        workers: number of processes; by default one for each core that may be used. The pictures
            are the same bytes for any number.
    Returns: uint8 [n, size, size, 3], RGB.
    Raises InputError: an argument out of range, or lengths that differ.
    """
    _check(size=size, seed=seed, identities=identities, images=images)
    if len(identities) != len(images):
        raise InputError(
            f"render_faces: {len(identities)} identities but {len(images)} images; "
            "give one image number for each identity"
        )
    if workers is not None and workers < 1:
        raise InputError(f"render_faces: workers={workers}; it must be 1 or more")
    faces = [
        (int(identity), int(image)) for identity, image in zip(identities, images, strict=True)
    ]
    useful = len(faces) // _FACES_WORTH_A_PROCESS
    workers = workers if workers is not None else min(_num_cores(), useful)
    with progress(total=len(faces), description="drawing faces", unit="faces") as bar:
        if workers > 1 and len(faces) > 1:
            return render_in_processes(
                faces, int(size), int(seed), min(workers, len(faces)), bar.update
            )
        pictures = np.empty((len(faces), size, size, 3), np.uint8)
        for picture, (identity, image) in zip(pictures, faces, strict=True):
            picture[...] = render(identity, image, int(size), int(seed))
            bar.update()
        return pictures


def contact_sheet(
    identities: int | Sequence[int] = 8,
    images_per_identity: int = 8,
    size: int = 112,
    seed: int = 0,
) -> np.ndarray:
    """Returns uint8 RGB: one row per identity, one column per picture, `size` pixels each.

    Args:
        identities: which people, or how many (then those from 0 on).
    Raises InputError: an argument out of range.
    """
    rows = list(range(identities)) if isinstance(identities, int) else list(identities)
    if not rows or images_per_identity < 1:
        raise InputError(
            f"contact_sheet: {len(rows)} identities with {images_per_identity} images each; "
            "both must be 1 or more"
        )
    faces = render_faces(
        np.repeat(rows, images_per_identity),
        np.tile(np.arange(images_per_identity), len(rows)),
        size,
        seed,
    )
    faces = faces.reshape(len(rows), images_per_identity, size, size, 3)
    return faces.transpose(0, 2, 1, 3, 4).reshape(len(rows) * size, images_per_identity * size, 3)


def _num_cores() -> int:
    """Returns how many cores this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(*, size: int, seed: int, identities: Sequence[int], images: Sequence[int]) -> None:
    if size < _LEAST_SIZE:
        raise InputError(f"synthetic faces: size={size}; it must be {_LEAST_SIZE} or more pixels")
    if seed < 0:
        raise InputError(f"synthetic faces: seed={seed}; it must be 0 or more")
    for name, numbers in (("identity", identities), ("image", images)):
        if len(numbers) and min(numbers) < 0:
            raise InputError(f"synthetic faces: {name}={min(numbers)}; it must be 0 or more")
