"""Galleries of named faces on disk: build, add, remove, identify."""

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tfface.data.sources.folder import images_below
from tfface.errors import InputError, did_you_mean, shown
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.identification import embed_faces
from tfface.evaluation.labeled_faces import LabeledFaces
from tfface.files import check_there
from tfface.gallery.storage import (
    EnrolledFace,
    GalleryContent,
    LoadOptions,
    changing_gallery,
    new_gallery,
    write_gallery,
)
from tfface.images.listing import kind_of_file
from tfface.images.pillow_decoder import FORMATS, is_read
from tfface.metrics.identification import UNKNOWN, num_candidates
from tfface.names import differing_in_case
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE


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
    """

    num_changed: int
    num_known: int
    conflicts: list[tuple[str, str, str, str]]
    case_variants: list[tuple[str, str]]
    num_images: int
    num_names: int
    skipped: Sequence[tuple[str, str]] = ()
    several_faces: Sequence[str] = ()


@dataclass(frozen=True)
class Candidate:
    """A person of the gallery, with the cosine of the query and their most similar image."""

    name: str
    cosine: float
    image: str


def build_gallery(
    embedder: Embedder,
    faces: LabeledFaces,
    folder: Path,
    *,
    kind: str = "flat",
    threshold: float | None = None,
    load_options: LoadOptions | None = None,
) -> GalleryChange:
    """Builds a gallery on disk.

    Args:
        embedder: the model; the gallery accepts queries of the same model only.
        faces: the people to enroll.
        folder: a new or empty folder.
        kind: of the index: flat, or hnsw for hundreds of thousands of images.
        threshold: kept with the gallery: the smallest cosine of a known face.
        load_options: kept with the gallery: how the model was loaded.

    Returns:
        The number of images and names, and skipped images.

    Raises:
        InputError: `folder` isn't empty or can't be written, an image can't be decoded, or its
            embedding is all zeros or not finite.

    Example:
        >>> import tempfile
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> from tfface.evaluation.embedders.embedder import load_embedder
        >>> from tfface.evaluation.labeled_faces import labeled_faces
        >>> from tfface.gallery.storage import read_gallery
        >>> faces = labeled_faces(SyntheticSource(2, 3, size=32))
        >>> embedder = load_embedder("pixels")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     change = build_gallery(embedder, faces, Path(folder) / "gallery")
        ...     gallery = read_gallery(Path(folder) / "gallery")
        >>> change.num_images, change.num_names
        (6, 2)
        >>> [[candidate]] = find_names(gallery, embed_faces(embedder, faces.take(np.array([5]))))
        >>> candidate.name, round(candidate.cosine, 3)
        ('000001', 1.0)
    """
    with new_gallery(folder):
        faces, skipped = _without_known(faces, {})
        embeddings = embed_faces(embedder, faces)
        gallery = GalleryContent(
            model=embedder.name,
            fingerprint=embedder.fingerprint,
            index=FaceIndex.from_embeddings(embeddings, kind),
            faces=_rows(faces),
            threshold=threshold,
            load_options=load_options,
        )
        write_gallery(folder, gallery)
        return _change(gallery, len(faces), *skipped, case_variants=_case_variants(gallery, 0))


def add_to_gallery(embedder: Embedder, faces: LabeledFaces, folder: Path) -> GalleryChange:
    """Adds faces to a gallery; byte-identical images that it contains already are skipped.

    Args:
        embedder: the model that built the gallery.
        faces: the images to add.
        folder: of the gallery.

    Returns:
        As `build_gallery`.

    Raises:
        InputError: there is no gallery, it is damaged, was built by another model, or is being
            written; or as `build_gallery`.
    """
    with changing_gallery(folder) as gallery:
        check_model(embedder, gallery, folder)
        known = {face.sha256: face for face in gallery.faces}
        faces, skipped = _without_known(faces, known)
        num_before = len(gallery.faces)
        if len(faces):
            embeddings = embed_faces(embedder, faces)
            if len(gallery.index):
                gallery.index.add(embeddings)
            else:
                gallery = replace(
                    gallery, index=FaceIndex.from_embeddings(embeddings, gallery.index.kind)
                )
            gallery = replace(gallery, faces=gallery.faces + _rows(faces))
            write_gallery(folder, gallery)
        return _change(
            gallery, len(faces), *skipped, case_variants=_case_variants(gallery, num_before)
        )


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
        )
        write_gallery(folder, smaller)
        return _change(smaller, int(np.count_nonzero(~kept)), 0, [], case_variants=[])


def set_threshold(folder: Path, threshold: float, source: str) -> None:
    """Keeps a threshold with a gallery.

    Args:
        folder: of the gallery.
        threshold: the smallest cosine of a known face.
        source: where it comes from, for messages.

    Raises:
        InputError: there is no gallery, or it is damaged or being written.
    """
    with changing_gallery(folder) as gallery:
        write_gallery(folder, replace(gallery, threshold=threshold, threshold_source=source))


def threshold_for_strangers(cosines: np.ndarray, fpir: float) -> float:
    """Returns the smallest threshold at which at most a share of strangers is named.

    Args:
        cosines: of each stranger with the most similar person of the gallery, float [n].
        fpir: false positive identification rate, the share; in (0, 1).

    Returns:
        The threshold, rounded up to four digits; 1 where no threshold turns them away.

    Raises:
        InputError: fewer strangers than 1 / fpir, which can't measure it.

    Example:
        >>> threshold_for_strangers(np.linspace(0, 0.5, 200), 0.01)
        0.495
    """
    if len(cosines) * fpir < 1:
        raise InputError(
            f"{len(cosines):,} strangers are too few for a false positive rate of {fpir:g}: give "
            f"at least {math.ceil(1 / fpir):,}, or a higher rate"
        )
    number = int(len(cosines) * fpir)
    # The most similar stranger who may not be named.
    refused = np.sort(cosines)[::-1][number]
    return min(1.0, round((math.floor(refused * 10_000) + 1) / 10_000, 4))


def check_model(embedder: Embedder, gallery: GalleryContent, folder: Path) -> None:
    """Checks that a model built the gallery, with the same options.

    Args:
        embedder: the model.
        gallery: the gallery.
        folder: of the gallery, for the message.

    Raises:
        InputError: another model built it, or the same one with other options.
    """
    if embedder.fingerprint == gallery.fingerprint:
        return
    if embedder.name == gallery.model:
        raise InputError(
            f"{folder}: was built by another '{shown(gallery.model)}' than this "
            f"'{embedder.name}': its file differs, or its options (--no-flip, --color-order, "
            "--input-range, --image-size); embeddings of the two can't be compared"
        )
    raise InputError(
        f"{folder}: contains embeddings of the model '{shown(gallery.model)}', and those of "
        f"'{embedder.name}' can't be compared with them: give that model, or build a gallery with "
        "this one"
    )


def find_names(
    gallery: GalleryContent, embeddings: np.ndarray, *, count: int = 1
) -> list[list[Candidate]]:
    """Returns the most similar people of a gallery for each query.

    Args:
        gallery: the gallery.
        embeddings: unit embeddings of the queries, float32 [n, embedding_size].
        count: people for each query, > 0; fewer are returned if the gallery has fewer.

    Returns:
        For each query, candidates sorted by descending cosine.

    Raises:
        InputError: the gallery is empty.
    """
    if not gallery.faces:
        raise InputError("the gallery is empty: add faces to it")
    images = Counter(face.name for face in gallery.faces)
    num_images = num_candidates(np.array(list(images.values())), count)
    found = []
    for similarity, numbers in zip(*gallery.index.search(embeddings, num_images), strict=True):
        nearest: dict[str, Candidate] = {}
        for value, number in zip(similarity.tolist(), numbers.tolist(), strict=True):
            if number != UNKNOWN and len(nearest) < count:
                face = gallery.faces[number]
                nearest.setdefault(face.name, Candidate(face.name, value, face.image))
        found.append(list(nearest.values()))
    return found


def query_results(
    images: Sequence[str], found: Sequence[Sequence[Candidate]], threshold: float | None
) -> list[dict]:
    """Returns the results of queries in the format of `tfface gallery query --json`.

    Args:
        images: names of the query images.
        found: as `find_names` returns it.
        threshold: the smallest cosine of a named person; None always names the most similar one.

    Returns:
        For each image its name, the person (None if unknown) and the candidates.
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
    """Lists image files, and the images in folders, in order.

    Args:
        paths: files and folders.

    Returns:
        The image files.

    Raises:
        InputError: a path does not exist or is not an image, or a folder contains no image or
            can't be listed.
    """
    files = []
    for path in paths:
        check_there(path)
        if path.is_dir():
            below = sorted(images_below(os.fsencode(path)))
            if not below:
                raise InputError(f"{path}: no image ({FORMATS}) in it")
            files += [path / os.fsdecode(name) for name in below]
        elif not path.is_file():
            # Reading a pipe might wait forever.
            raise InputError(f"{path}: not a regular file; give an image or a folder")
        elif path.name == CONTACT_SHEET_FILE:
            raise InputError(f"{path}: a contact sheet of a tool, not an image of a person")
        elif not is_read(kind_of_file(path)):
            raise InputError(f"{path}: not an image that can be read ({FORMATS})")
        else:
            files.append(path)
    return files


def _without_known(
    faces: LabeledFaces, known: dict[str, EnrolledFace]
) -> tuple[LabeledFaces, tuple[int, list[tuple[str, str, str, str]]]]:
    """Skips images that are known, or occur twice.

    Args:
        known: SHA-256 -> face.

    Returns:
        The other images; the number of skipped ones of the same name, and the conflicts of
        `GalleryChange`.
    """
    known = dict(known)
    kept, num_known, conflicts = [], 0, []
    for index, digest in enumerate(faces.images.digests()):
        face = EnrolledFace(
            faces.names[faces.labels[index]], faces.image_names[index], digest.hex()
        )
        same = known.setdefault(face.sha256, face)
        if same is face:
            kept.append(index)
        elif same.name == face.name:
            num_known += 1
        else:
            conflicts.append((face.image, face.name, same.image, same.name))
    return faces.take(np.array(kept, np.int64)), (num_known, conflicts)


def _rows(faces: LabeledFaces) -> list[EnrolledFace]:
    digests = [digest.hex() for digest in faces.images.digests()]
    names = [faces.names[label] for label in faces.labels]
    return [EnrolledFace(*row) for row in zip(names, faces.image_names, digests, strict=True)]


def _case_variants(gallery: GalleryContent, num_before: int) -> list[tuple[str, str]]:
    """Returns new names that differ from another one only by case, and the other one.

    Args:
        num_before: number of faces before the change.
    """
    groups = differing_in_case(face.name for face in gallery.faces)
    before = {face.name for face in gallery.faces[:num_before]}
    return [(name, first) for first, *others in groups for name in others if name not in before]


def _change(
    gallery: GalleryContent,
    num_changed: int,
    num_known: int,
    conflicts: list[tuple[str, str, str, str]],
    *,
    case_variants: list[tuple[str, str]],
) -> GalleryChange:
    return GalleryChange(
        num_changed=num_changed,
        num_known=num_known,
        conflicts=conflicts,
        case_variants=case_variants,
        num_images=len(gallery.faces),
        num_names=len({face.name for face in gallery.faces}),
    )
