"""What changes a gallery on disk without embedding anything: no TensorFlow is needed.

And what any change reports.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfface.errors import InputError, did_you_mean, shown
from tfface.evaluation.face_index import FaceIndex
from tfface.gallery.storage import GalleryContent, changing_gallery, write_gallery


@dataclass(frozen=True)
class GalleryChange:
    """The effect of a change on a gallery.

    Attributes:
        num_changed: images that were added or removed.
        num_known: images that were skipped because the gallery contains them under the same name.
        conflicts: (image, name, image in the gallery, its name) for images that were skipped
            because the gallery contains them under another name.
        case_variants: (new name, other name) for new names that differ from another one only by
            upper and lower case.
        num_images, num_names: after the change.
        skipped: (photo, reason) for photos without a face to align.
        several_faces: photos with several faces, of which the most important one was added.
        num_uncalibrated_names: people who were added after the threshold was chosen by strangers.
    """

    num_changed: int
    num_known: int
    conflicts: list[tuple[str, str, str, str]]
    case_variants: list[tuple[str, str]]
    num_images: int
    num_names: int
    skipped: Sequence[tuple[str, str]] = ()
    several_faces: Sequence[str] = ()
    num_uncalibrated_names: int = 0


def remove_from_gallery(names: Sequence[str], folder: Path) -> GalleryChange:
    """Removes all images of people from a gallery.

    Args:
        names: of the people.
        folder: of the gallery.

    Returns:
        The number of removed images, and of those that are left.

    Raises:
        InputError: there is no gallery, it is damaged or being written, or it has no such name.
    """
    with changing_gallery(folder) as gallery:
        known = {face.name for face in gallery.faces}
        # A gallery of an earlier version may hold names that `clean_name` refuses.
        names = [unicodedata.normalize("NFC", name) for name in names]
        for name in names:
            if name not in known:
                raise InputError(
                    f"{folder}: nobody is called '{shown(name)}'{did_you_mean(name, known)}"
                )
        removed = set(names)
        kept = np.array([face.name not in removed for face in gallery.faces], bool)
        embeddings = gallery.index.embeddings()[kept]
        smaller = replace(
            gallery,
            index=FaceIndex.from_embeddings(embeddings, gallery.index.kind),
            faces=[face for face, keep in zip(gallery.faces, kept, strict=True) if keep],
            num_calibrated=None
            if gallery.num_calibrated is None
            else int(np.count_nonzero(kept[: gallery.num_calibrated])),
        )
        write_gallery(folder, smaller)
        return change_of(smaller, int(np.count_nonzero(~kept)), 0, [], case_variants=[])


def set_threshold(folder: Path, threshold: float, source: str) -> None:
    """Keeps a threshold with a gallery, chosen for the people who are in it.

    Args:
        folder: of the gallery.
        threshold: the smallest cosine of a known face.
        source: where it comes from, for messages.

    Raises:
        InputError: there is no gallery, or it is damaged or being written.
    """
    with changing_gallery(folder) as gallery:
        calibrated = replace(
            gallery,
            threshold=threshold,
            threshold_source=source,
            num_calibrated=len(gallery.faces),
        )
        write_gallery(folder, calibrated)


def change_of(
    gallery: GalleryContent,
    num_changed: int,
    num_known: int,
    conflicts: list[tuple[str, str, str, str]],
    *,
    case_variants: list[tuple[str, str]],
) -> GalleryChange:
    """Returns what a change did, of which `gallery` is the result."""
    return GalleryChange(
        num_changed=num_changed,
        num_known=num_known,
        conflicts=conflicts,
        case_variants=case_variants,
        num_images=len(gallery.faces),
        num_names=len({face.name for face in gallery.faces}),
        num_uncalibrated_names=gallery.num_uncalibrated_names,
    )


def people_added(number: int) -> str:
    """Returns what to say of people who were added after the threshold was chosen; "" for none."""
    if not number:
        return ""
    people = "1 person was" if number == 1 else f"{number:,} people were"
    return f"calibrated before {people} added: calibrate again"
