"""Galleries of named faces on disk: build, add, remove, identify."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tfface.errors import InputError, shown
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.precision import in_bfloat16
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.identification import embed_faces
from tfface.evaluation.labeled_faces import LabeledFaces
from tfface.gallery.changes import GalleryChange, change_of
from tfface.gallery.storage import (
    EnrolledFace,
    GalleryContent,
    LoadOptions,
    changing_gallery,
    new_gallery,
    write_gallery,
)
from tfface.metrics.identification import UNKNOWN, num_candidates
from tfface.names import differing_in_case


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
    load_options: Callable[[], LoadOptions | None] = lambda: None,
) -> GalleryChange:
    """Builds a gallery on disk.

    Args:
        embedder: the model; the gallery accepts queries of the same model only.
        faces: the people to enroll.
        folder: a new or empty folder.
        kind: of the index: flat, or hnsw for hundreds of thousands of images.
        threshold: kept with the gallery: the smallest cosine of a known face.
        load_options: returns what is kept with the gallery on how the model was loaded; is called
            when the faces are embedded, as the first of them may decide about the precision.

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
            load_options=load_options(),
        )
        write_gallery(folder, gallery)
        return change_of(gallery, len(faces), *skipped, case_variants=_case_variants(gallery, 0))


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
        return change_of(
            gallery, len(faces), *skipped, case_variants=_case_variants(gallery, num_before)
        )


def check_model(embedder: Embedder, gallery: GalleryContent, folder: Path) -> None:
    """Checks that a model built the gallery, with the same options.

    A model that has not decided yet about its precision takes that of the gallery.

    Args:
        embedder: the model.
        gallery: the gallery.
        folder: of the gallery, for the message.

    Raises:
        InputError: another model built it, or the same one with other options.
    """
    if (settle := embedder.settle) is not None:
        settle(gallery.fingerprint)
    own = embedder.fingerprint
    if own == gallery.fingerprint:
        return
    kept, ours = None, "float32"
    if gallery.fingerprint == in_bfloat16(own):
        kept = "bfloat16"
    elif own == in_bfloat16(gallery.fingerprint):
        kept, ours = "float32", "bfloat16"
    if kept is not None:
        or_none = ", or name no model" if gallery.load_options is not None else ""
        raise InputError(
            f"{folder}: its embeddings were computed in {kept}, and this '{embedder.name}' "
            f"computes in {ours}: load it with precision='{kept}' (tfface.load_embedder){or_none}"
        )
    if embedder.name == gallery.model:
        raise InputError(
            f"{folder}: was built by a model called '{embedder.name}', too, but with another file "
            "or other options (--no-flip, --color-order, --input-range, --image-size) than the one "
            "loaded now; their embeddings can't be compared: load that one, or build a gallery "
            "with this one"
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
