"""Identification of an embedder on a gallery and queries: from images to figures."""

from dataclasses import dataclass, field

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.duplicate_identities import centers, directions
from tfface.evaluation.embedders.embedder import Embedder, embed_images
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.labeled_faces import NamedFaces, right_labels, same_images
from tfface.metrics.identification import (
    UNKNOWN,
    IdentificationResult,
    identification,
    num_candidates,
    rank_candidates,
    recall_at_k,
)
from tfface.progress import progress

# The CMC ends here; more ranks need longer lists of candidates.
_RANKS = 50
# Candidates of the queries that are searched together: some 100 MB.
_BLOCK = 1 << 22
_NEAREST = 10


@dataclass(frozen=True)
class Identification:
    """Figures of an identification, and what pictures are made of.

    Attributes:
        result: the figures.
        gallery, queries: the sets.
        index: what the queries were searched in.
        recall: of that against an exhaustive search, for the nearest image and the 10 nearest;
            both 1 for a flat index.
        one_template: each identity has a single embedding in the index.
        num_same_images: queries that are an image of the gallery, byte for byte.
        right: int64 [num_queries], the query's label in the gallery, or `UNKNOWN`.
        top: int64 [num_queries], label of the most similar identity; of those that are wrong, where
            the right one isn't first.
        top_similarity: float32 [num_queries], of `top`.
        gallery_vectors, query_vectors: unit embeddings of all images.
    """

    result: IdentificationResult
    gallery: NamedFaces
    queries: NamedFaces
    index: FaceIndex
    recall: tuple[float, float]
    one_template: bool
    num_same_images: int
    right: np.ndarray = field(repr=False)
    top: np.ndarray = field(repr=False)
    top_similarity: np.ndarray = field(repr=False)
    gallery_vectors: np.ndarray = field(repr=False)
    query_vectors: np.ndarray = field(repr=False)

    def to_json(self) -> dict:
        """Returns the figures as `eval_identification --json` writes them."""
        return {
            "gallery": self.gallery.name,
            "query": self.queries.name,
            **self.result.to_dict(),
            "num_gallery": len(self.gallery),
            "num_queries": len(self.queries),
            "num_same_images": self.num_same_images,
            "one_template": self.one_template,
            "metric": self.index.metric,
            "index": {
                "kind": self.index.kind,
                "parameters": self.index.parameters,
                "num_embeddings": len(self.index),
                "recall_at_1": self.recall[0],
                "recall_at_10": self.recall[1],
            },
        }


def check_sets(gallery: NamedFaces, queries: NamedFaces) -> None:
    """Finds before anything is embedded what would make `identify` fail.

    Raises InputError: one of the sets is empty, or they have no name in common.
    """
    for faces in (gallery, queries):
        if not len(faces):
            raise InputError(f"{faces.name}: no images are left in it")
    if (right_labels(gallery, queries, UNKNOWN) == UNKNOWN).all():
        raise InputError(
            f"no query of '{queries.name}' is of a person in the gallery '{gallery.name}': people "
            "are matched by their names, and they have none in common (for example "
            f"'{queries.names[queries.labels[0]]}' and '{gallery.names[gallery.labels[0]]}')"
        )


def identify(
    embedder: Embedder,
    gallery: NamedFaces,
    queries: NamedFaces,
    *,
    kind: str = "flat",
    metric: str = "cosine",
    effort: int | None = None,
    one_template: bool = False,
) -> Identification:
    """Embeds both sets, searches each query in the gallery, and returns the figures.

    Embeddings are normalised to length 1.

    Args:
        kind, metric: of the index, as `FaceIndex` knows them.
        effort: of a search in it, likewise; None for the usual.
        one_template: an identity's only entry is the normalised mean of its unit embeddings,
            instead of all of them.
    Raises InputError: as `check_sets`; or an image can't be decoded, or has an embedding without a
        direction.
    """
    check_sets(gallery, queries)
    right = right_labels(gallery, queries, UNKNOWN)
    gallery_vectors = embed_faces(embedder, gallery)
    query_vectors = embed_faces(embedder, queries)
    entries, owners = gallery_vectors, gallery.labels
    if one_template:
        owners, places = np.unique(gallery.labels, return_inverse=True)
        nobody = np.empty(0, np.int64)
        entries, _ = centers([gallery_vectors], places, len(owners), gallery.image_names, nobody)
    exhaustive = FaceIndex.of(entries, "flat", metric)
    index = exhaustive if kind == "flat" else FaceIndex.of(entries, kind, metric)
    if effort is not None:
        index.effort = effort

    found = _search(index, query_vectors, owners, right)
    people = gallery.people()
    result = identification(
        found.rank,
        found.first_similarity,
        right != UNKNOWN,
        num_identities=len(people),
        ranks=found.ranks,
    )
    return Identification(
        result=result,
        gallery=gallery,
        queries=queries,
        index=index,
        recall=(1.0, 1.0) if kind == "flat" else _recall(index, exhaustive, query_vectors),
        one_template=one_template,
        num_same_images=same_images(gallery, queries),
        right=right,
        top=found.top,
        top_similarity=found.top_similarity,
        gallery_vectors=gallery_vectors,
        query_vectors=query_vectors,
    )


def embed_faces(embedder: Embedder, faces: NamedFaces) -> np.ndarray:
    """Returns unit embeddings: float32 [n, embedding_size].

    Raises InputError: an image can't be decoded, or its embedding has no direction.
    """
    embeddings = embed_images(embedder, faces.images, faces.image_names, what=faces.name)
    units = directions(embeddings, faces.image_names)
    blank = np.flatnonzero(~units.any(axis=1))
    if len(blank):
        raise InputError(
            f"the embedding of {faces.image_names[int(blank[0])]} is all 0 ({len(blank)} of "
            f"{len(units)} of '{faces.name}'): it has no direction"
        )
    return units


@dataclass(frozen=True)
class _Found:
    rank: np.ndarray
    ranks: int
    first_similarity: np.ndarray
    top: np.ndarray
    top_similarity: np.ndarray


def _search(index: FaceIndex, queries: np.ndarray, owners: np.ndarray, right: np.ndarray) -> _Found:
    """Ranks the right identities.

    Args:
        owners: int64 [entries of the index], whose each is.
        right: int64 [queries], likewise, or `UNKNOWN`.
    """
    images_per_identity = np.unique(owners, return_counts=True)[1]
    ranks = min(_RANKS, len(images_per_identity))
    count = min(num_candidates(images_per_identity, ranks), index.search_width)
    is_cut = count < len(index)
    # The place behind the last is where UNKNOWN points.
    owners = np.append(owners, UNKNOWN)
    parts = []
    step = max(1, min(1024, _BLOCK // count))
    for start in progress(range(0, len(queries), step), description="searching", unit="blocks"):
        similarity, numbers = index.search(queries[start : start + step], count)
        # An index that isn't exhaustive may find nothing: nothing is less alike than opposites.
        similarity = np.maximum(similarity, -1)
        identities, own = owners[numbers], right[start : start + step]
        wrong = np.where(identities == own[:, None], -np.inf, similarity)
        rank = rank_candidates(similarity, identities, own, is_truncated=is_cut)
        best = np.where(rank == 1, similarity.argmax(axis=1), wrong.argmax(axis=1))
        rows = np.arange(len(own))
        parts.append((rank, similarity.max(axis=1), identities[rows, best], similarity[rows, best]))
    rank, first, top, top_similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Found(rank, ranks, first, top, top_similarity)


def _recall(index: FaceIndex, exhaustive: FaceIndex, queries: np.ndarray) -> tuple[float, float]:
    found, _ = index.search(queries, _NEAREST)
    nearest, _ = exhaustive.search(queries, _NEAREST)
    return recall_at_k(found, nearest, 1), recall_at_k(found, nearest, nearest.shape[1])
