"""A gallery of named faces that is kept: build it, add to it, remove from it, ask it for names."""

import difflib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tfface.data.pairs.pair_set import FileImages
from tfface.data.sources.folder import images_below
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.identification import embed_faces
from tfface.evaluation.labeled_faces import LabeledFaces, faces_of_person
from tfface.gallery.storage import Face, Gallery, changing_gallery, new_gallery, write_gallery
from tfface.images.listing import kind_of_file
from tfface.images.pillow_decoder import FORMATS, is_read
from tfface.metrics.identification import UNKNOWN, num_candidates
from tfface.names import differing_in_case
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE


@dataclass(frozen=True)
class Change:
    """What a change did to a gallery, and what is in it now.

    Attributes:
        num_changed: images that were added, or removed.
        num_known: images that were left out because they are in it already, under the same name.
        conflicts: (image, name, image in the gallery, its name) of those left out because they are
            in it under another name.
        alike: (name, other name) of people who are now in it and whose names differ by upper and
            lower case alone, where the change brought the first.
        num_images, num_names: after the change.
    """

    num_changed: int
    num_known: int
    conflicts: list[tuple[str, str, str, str]]
    alike: list[tuple[str, str]]
    num_images: int
    num_names: int


@dataclass(frozen=True)
class Candidate:
    """Somebody of the gallery, as like a query as their image that is most like it."""

    name: str
    cosine: float
    image: str


def build_gallery(
    embedder: Embedder, faces: LabeledFaces, folder: Path, *, kind: str = "flat"
) -> Change:
    """Makes a gallery of a set of faces.

    Args:
        folder: a new one, or an empty one.
        kind: of its index: flat, or hnsw for hundreds of thousands of images.

    Raises:
        InputError: `folder` isn't empty or can't be written, an image can't be decoded, or its
            embedding has no direction.
    """
    with new_gallery(folder):
        faces, left_out = _without_known(faces, {})
        vectors = embed_faces(embedder, faces)
        gallery = Gallery(
            model=embedder.name,
            fingerprint=embedder.fingerprint,
            index=FaceIndex.from_embeddings(vectors, kind),
            faces=_rows(faces),
        )
        write_gallery(folder, gallery)
        return _change(gallery, len(faces), *left_out, alike=_alike(gallery, 0))


def add_to_gallery(embedder: Embedder, faces: LabeledFaces, folder: Path) -> Change:
    """Adds faces to a gallery; images that are in it already, byte for byte, are left out.

    Raises:
        InputError: there is no gallery, it's damaged, of another model or being written; or as
            `build_gallery`.
    """
    with changing_gallery(folder) as gallery:
        check_model(embedder, gallery, folder)
        known = {face.sha256: face for face in gallery.faces}
        faces, left_out = _without_known(faces, known)
        num_before = len(gallery.faces)
        if len(faces):
            vectors = embed_faces(embedder, faces)
            if len(gallery.index):
                gallery.index.add(vectors)
            else:
                gallery = replace(
                    gallery, index=FaceIndex.from_embeddings(vectors, gallery.index.kind)
                )
            gallery = replace(gallery, faces=gallery.faces + _rows(faces))
            write_gallery(folder, gallery)
        return _change(gallery, len(faces), *left_out, alike=_alike(gallery, num_before))


def remove_from_gallery(names: Sequence[str], folder: Path) -> Change:
    """Removes all images of people from a gallery.

    Raises:
        InputError: there is no gallery, it's damaged or being written; or somebody isn't in it.
    """
    with changing_gallery(folder) as gallery:
        known = {face.name for face in gallery.faces}
        # A gallery of an earlier version may hold names that `clean_name` refuses.
        names = [unicodedata.normalize("NFC", name) for name in names]
        for name in names:
            if name not in known:
                raise InputError(f"{folder}: nobody is called '{name}'{_nearest(name, known)}")
        gone = set(names)
        stay = np.array([face.name not in gone for face in gallery.faces], bool)
        vectors = gallery.index.embeddings()[stay]
        smaller = replace(
            gallery,
            index=FaceIndex.from_embeddings(vectors, gallery.index.kind),
            faces=[face for face, stays in zip(gallery.faces, stay, strict=True) if stays],
        )
        write_gallery(folder, smaller)
        return _change(smaller, int(np.count_nonzero(~stay)), 0, [], alike=[])


def check_model(embedder: Embedder, gallery: Gallery, folder: Path) -> None:
    """Raises InputError unless the gallery's embeddings are of this model, used in this way."""
    if embedder.fingerprint == gallery.fingerprint:
        return
    if embedder.name == gallery.model:
        raise InputError(
            f"{folder}: was built by another '{gallery.model}' than this '{embedder.name}': its "
            "file differs, or how it is used (--no-flip, --color-order, --input-range, "
            "--image-size); embeddings of the two can't be compared"
        )
    raise InputError(
        f"{folder}: holds embeddings of the model '{gallery.model}', and those of "
        f"'{embedder.name}' can't be compared with them: give that model, or build a gallery of "
        "this one"
    )


def find_names(gallery: Gallery, vectors: np.ndarray, *, count: int = 1) -> list[list[Candidate]]:
    """Returns the people of a gallery who are most like each query, the most similar first.

    Args:
        vectors: unit embeddings, float32 [n, embedding_size].
        count: people for each query, > 0; fewer come back when the gallery has fewer.

    Raises:
        InputError: the gallery is empty.
    """
    if not gallery.faces:
        raise InputError("the gallery is empty: add faces to it")
    images = Counter(face.name for face in gallery.faces)
    num_images = num_candidates(np.array(list(images.values())), count)
    found = []
    for similarity, numbers in zip(*gallery.index.search(vectors, num_images), strict=True):
        nearest: dict[str, Candidate] = {}
        for value, number in zip(similarity.tolist(), numbers.tolist(), strict=True):
            if number != UNKNOWN and len(nearest) < count:
                face = gallery.faces[number]
                nearest.setdefault(face.name, Candidate(face.name, value, face.image))
        found.append(list(nearest.values()))
    return found


def answers(
    images: Sequence[str], found: Sequence[Sequence[Candidate]], threshold: float | None
) -> list[dict]:
    """Returns what `gallery.py query --json` says of each image.

    Args:
        images: what they are called.
        found: as `find_names` returns it.
        threshold: nobody is named whose cosine is less; None names the most similar in any case.

    Returns:
        Image, name (None for nobody) and candidates.
    """
    least = -np.inf if threshold is None else threshold
    return [
        {
            "image": image,
            "name": nearest[0].name if nearest and nearest[0].cosine >= least else None,
            "candidates": [asdict(candidate) for candidate in nearest],
        }
        for image, nearest in zip(images, found, strict=True)
    ]


def list_images(paths: Sequence[Path]) -> list[Path]:
    """Returns image files, and the images below folders, in order.

    Raises:
        InputError: a path doesn't exist or is no image, a folder has none, or one can't be listed.
    """
    files = []
    for path in paths:
        if path.is_dir():
            below = sorted(images_below(os.fsencode(path)))
            if not below:
                raise InputError(f"{path}: no image ({FORMATS}) in it")
            files += [path / os.fsdecode(name) for name in below]
        elif not path.exists():
            raise InputError(f"{path}: no such file or folder")
        elif not path.is_file():
            # A pipe would keep who reads it waiting forever.
            raise InputError(f"{path}: no regular file; give an image or a folder")
        elif path.name == CONTACT_SHEET_FILE:
            raise InputError(f"{path}: a tool's sheet of many pictures, no image of a person")
        elif not is_read(kind_of_file(path)):
            raise InputError(f"{path}: not an image that can be read ({FORMATS})")
        else:
            files.append(path)
    return files


def faces_of_files(files: Sequence[Path], name: str) -> LabeledFaces:
    """Returns image files as the faces of one person, or as queries called `name`."""
    return faces_of_person(name, FileImages(files), [str(file) for file in files])


def _without_known(
    faces: LabeledFaces, known: dict[str, Face]
) -> tuple[LabeledFaces, tuple[int, list[tuple[str, str, str, str]]]]:
    """Leaves out images that are known, or come a second time.

    Args:
        known: SHA-256 -> face.

    Returns:
        The others; and of those left out how many are known under the same name, and which under
        another, as in `Change`.
    """
    known = dict(known)
    kept, num_known, conflicts = [], 0, []
    for place, digest in enumerate(faces.images.digests()):
        face = Face(faces.names[faces.labels[place]], faces.image_names[place], digest.hex())
        same = known.setdefault(face.sha256, face)
        if same is face:
            kept.append(place)
        elif same.name == face.name:
            num_known += 1
        else:
            conflicts.append((face.image, face.name, same.image, same.name))
    return faces.take(np.array(kept, np.int64)), (num_known, conflicts)


def _rows(faces: LabeledFaces) -> list[Face]:
    digests = [digest.hex() for digest in faces.images.digests()]
    names = [faces.names[label] for label in faces.labels]
    return [Face(*row) for row in zip(names, faces.image_names, digests, strict=True)]


def _alike(gallery: Gallery, num_before: int) -> list[tuple[str, str]]:
    """Returns the names that differ from one before them by case alone, and that one.

    Args:
        num_before: faces that were in the gallery before the change.
    """
    groups = differing_in_case(face.name for face in gallery.faces)
    before = {face.name for face in gallery.faces[:num_before]}
    return [(name, first) for first, *others in groups for name in others if name not in before]


def _change(
    gallery: Gallery,
    num_changed: int,
    num_known: int,
    conflicts: list[tuple[str, str, str, str]],
    *,
    alike: list[tuple[str, str]],
) -> Change:
    return Change(
        num_changed=num_changed,
        num_known=num_known,
        conflicts=conflicts,
        alike=alike,
        num_images=len(gallery.faces),
        num_names=len({face.name for face in gallery.faces}),
    )


def _nearest(name: str, known: set[str]) -> str:
    alike = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean '{alike[0]}'?" if alike else ""
