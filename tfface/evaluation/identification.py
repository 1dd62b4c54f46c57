"""Evaluates an embedder on open-set and closed-set identification."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import (
    Embedder,
    comparable_embeddings,
    embed_images,
    identity_centers,
)
from tfface.evaluation.face_index import FaceIndex
from tfface.evaluation.labeled_faces import LabeledFaces, count_shared_images, true_labels
from tfface.metrics.identification import (
    UNKNOWN,
    IdentificationResult,
    identification,
    num_candidates,
    rank_candidates,
    recall_at_k,
)
from tfface.progress import progress
from tfface.reporting import identification_tables
from tfface.reporting.html import notebook_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Length of the CMC curve; more ranks need longer candidate lists.
_RANKS = 50
# Candidates of the queries that are searched together: about 100 MB.
_BLOCK = 1 << 22
_NEAREST = 10


@dataclass(frozen=True, repr=False)
class Identification:
    """The result of `evaluate_identification`, with the data for plots.

    Attributes:
        result: the metrics.
        gallery, queries: the sets.
        index: the index of the gallery.
        recall: of the index compared with an exhaustive search, for the nearest image and the 10
            nearest; both 1 for a flat index.
        one_template: whether each identity has a single embedding in the index.
        num_same_images: number of queries that are byte-identical to an image of the gallery.
        true_labels: int64 [num_queries], the query's label in the gallery, or `UNKNOWN`.
        top: int64 [num_queries], label of the most similar identity; if the right identity is not
            at rank 1, of the most similar wrong one.
        top_similarity: float32 [num_queries], the similarity of `top`.
        gallery_embeddings, query_embeddings: unit embeddings of all images.
    """

    result: IdentificationResult
    gallery: LabeledFaces
    queries: LabeledFaces
    index: FaceIndex
    recall: tuple[float, float]
    one_template: bool
    num_same_images: int
    true_labels: np.ndarray
    top: np.ndarray
    top_similarity: np.ndarray
    gallery_embeddings: np.ndarray
    query_embeddings: np.ndarray

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate identification --json`."""
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

    def plot(self) -> "Figure":
        """Returns a matplotlib figure: CMC, similarities and, with non-mated queries, TPIR."""
        # That module draws what this one defines.
        from tfface.evaluation.identification_plots import identification_figure

        return identification_figure(self)

    def __repr__(self) -> str:
        return identification_tables.to_text(self.to_dict())

    def _repr_html_(self) -> str:
        metrics = self.to_dict()
        tables = [identification_tables.summary_table(metrics)]
        return notebook_html(tables, identification_tables.sentences(metrics))


def check_sets(gallery: LabeledFaces, queries: LabeledFaces) -> None:
    """Checks gallery and queries before anything is embedded.

    Args:
        gallery, queries: the sets.

    Raises:
        InputError: one of the sets is empty, or they have no name in common.
    """
    for faces in (gallery, queries):
        if not len(faces):
            raise InputError(f"{faces.name}: no images are left in it")
    if (true_labels(gallery, queries, UNKNOWN) == UNKNOWN).all():
        raise InputError(
            f"no query of '{queries.name}' shows a person of the gallery '{gallery.name}': people "
            "are matched by name, and the sets have no name in common (for example "
            f"'{queries.names[queries.labels[0]]}' and '{gallery.names[gallery.labels[0]]}')"
        )


def evaluate_identification(
    embedder: Embedder,
    gallery: LabeledFaces,
    queries: LabeledFaces,
    *,
    kind: str = "flat",
    metric: str = "cosine",
    effort: int | None = None,
    one_template: bool = False,
) -> Identification:
    """Embeds both sets, searches each query in the gallery, and returns identification metrics.

    Embeddings are normalized.

    Args:
        embedder: the model, as `load_embedder` returns it.
        gallery: the enrolled faces.
        queries: the faces to identify; people without an image in the gallery are non-mated.
        kind, metric: of the index, see `FaceIndex`.
        effort: of a search in the index; None for the default.
        one_template: represent an identity by the normalized mean of its unit embeddings instead of
            by all of them.

    Returns:
        CMC, TPIR at FPIR and the data for plots.

    Raises:
        InputError: as `check_sets`; or an image can't be decoded, or its embedding is all zeros or
            not finite.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> from tfface.evaluation.embedders.embedder import load_embedder
        >>> from tfface.evaluation.labeled_faces import labeled_faces, split_gallery_and_queries
        >>> source = SyntheticSource(num_identities=3, images_per_identity=3, size=32)
        >>> gallery, queries = split_gallery_and_queries(labeled_faces(source), 2, seed=0)
        >>> found = evaluate_identification(load_embedder("pixels"), gallery, queries)
        >>> found.result.num_mated, 0 <= found.result.cmc[0] <= 1
        (3, True)
    """
    check_sets(gallery, queries)
    labels = true_labels(gallery, queries, UNKNOWN)
    gallery_embeddings = embed_faces(embedder, gallery)
    query_embeddings = embed_faces(embedder, queries)
    entries, entry_labels = gallery_embeddings, gallery.labels
    if one_template:
        entry_labels, positions = np.unique(gallery.labels, return_inverse=True)
        entries, _ = identity_centers(
            [gallery_embeddings],
            positions,
            len(entry_labels),
            gallery.image_names,
            sample=np.empty(0, np.int64),
        )
    exhaustive = FaceIndex.from_embeddings(entries, "flat", metric)
    index = exhaustive if kind == "flat" else FaceIndex.from_embeddings(entries, kind, metric)
    if effort is not None:
        index.effort = effort

    ranking = _rank(index, query_embeddings, entry_labels, labels)
    result = identification(
        ranking.rank,
        ranking.first_similarity,
        labels != UNKNOWN,
        num_identities=len(gallery.identities()),
        ranks=ranking.num_ranks,
    )
    return Identification(
        result=result,
        gallery=gallery,
        queries=queries,
        index=index,
        recall=(1.0, 1.0) if kind == "flat" else _recall(index, exhaustive, query_embeddings),
        one_template=one_template,
        num_same_images=count_shared_images(gallery, queries),
        true_labels=labels,
        top=ranking.top,
        top_similarity=ranking.top_similarity,
        gallery_embeddings=gallery_embeddings,
        query_embeddings=query_embeddings,
    )


def embed_faces(embedder: Embedder, faces: LabeledFaces) -> np.ndarray:
    """Returns unit embeddings of all images: float32 [n, embedding_size].

    Args:
        embedder: the model.
        faces: the images.

    Returns:
        The embeddings.

    Raises:
        InputError: an image can't be decoded, or its embedding is all zeros or not finite.
    """
    embeddings = embed_images(embedder, faces.images, faces.image_names, what=faces.name)
    return comparable_embeddings(embeddings, faces.image_names, what=faces.name)


@dataclass(frozen=True)
class _Ranking:
    rank: np.ndarray
    num_ranks: int
    first_similarity: np.ndarray
    top: np.ndarray
    top_similarity: np.ndarray


def _rank(
    index: FaceIndex, queries: np.ndarray, entry_labels: np.ndarray, labels: np.ndarray
) -> _Ranking:
    """Ranks the right identity of each query.

    Args:
        index: of the gallery.
        queries: unit embeddings.
        entry_labels: int64 [index entries].
        labels: int64 [queries], or `UNKNOWN`.
    """
    images_per_identity = np.unique(entry_labels, return_counts=True)[1]
    num_ranks = min(_RANKS, len(images_per_identity))
    count = min(num_candidates(images_per_identity, num_ranks), index.search_width)
    is_truncated = count < len(index)
    # UNKNOWN, which is -1, points to the last entry.
    entry_labels = np.append(entry_labels, UNKNOWN)
    parts = []
    step = max(1, min(1024, _BLOCK // count))
    for start in progress(range(0, len(queries), step), description="searching", unit="blocks"):
        similarity, numbers = index.search(queries[start : start + step], count)
        # An approximate index may find nothing; -1 is the smallest cosine.
        similarity = np.maximum(similarity, -1)
        identities, own = entry_labels[numbers], labels[start : start + step]
        wrong = np.where(identities == own[:, None], -np.inf, similarity)
        rank = rank_candidates(similarity, identities, own, is_truncated=is_truncated)
        best = np.where(rank == 1, similarity.argmax(axis=1), wrong.argmax(axis=1))
        rows = np.arange(len(own))
        parts.append((rank, similarity.max(axis=1), identities[rows, best], similarity[rows, best]))
    rank, first, top, top_similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Ranking(rank, num_ranks, first, top, top_similarity)


def _recall(index: FaceIndex, exhaustive: FaceIndex, queries: np.ndarray) -> tuple[float, float]:
    found, _ = index.search(queries, _NEAREST)
    nearest, _ = exhaustive.search(queries, _NEAREST)
    return recall_at_k(found, nearest, 1), recall_at_k(found, nearest, nearest.shape[1])
