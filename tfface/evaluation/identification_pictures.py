"""Pictures of an identification: its curves, and the faces that were mistaken.

cmc.png                 the right identity's rank
top_similarities.png    how similar known people and strangers are to what is found first
open_set.png            TPIR over FPIR (with queries of strangers)
misidentified.png       known faces for which somebody else was found first (where there are any)
strangers.png           strangers who are most like somebody in the gallery (likewise)
"""

from pathlib import Path

import numpy as np

from tfface.data.inspection_pictures import picture
from tfface.evaluation.identification import Identification
from tfface.evaluation.named_faces import NamedFaces
from tfface.metrics.identification import NOBODY
from tfface.report.contact_sheet import draw_contact_sheet, framed
from tfface.report.plots.identification import draw_cmc, draw_open_set, draw_top_similarities
from tfface.report.plots.style import BLUE, GREEN, VERMILLION

# Mistakes side by side, few enough to be seen on a phone, and all of a sheet.
_SIDE_BY_SIDE, _MOST_ROWS = 2, 24
_CELL = 112


def draw_identification(found: Identification, folder: Path) -> dict[Path, str]:
    """Draws the files that this module's docstring lists; returns them with captions.

    Raises InputError: a picture can't be written.
    """
    result, name = found.result, found.gallery.name
    for file in ("open_set.png", "misidentified.png", "strangers.png"):
        # One of an earlier evaluation would be taken for one of this.
        (folder / file).unlink(missing_ok=True)
    is_first = result.rank == 1
    captions = {
        folder / "cmc.png": "CMC: how often the right identity is among the first n",
        folder / "top_similarities.png": "How similar queries are to the identity found first",
    }
    draw_cmc(folder / "cmc.png", {name: result.cmc})
    draw_top_similarities(
        folder / "top_similarities.png",
        right=result.top_similarity[is_first],
        wrong=result.top_similarity[result.is_mated & ~is_first],
        strangers=result.top_similarity[~result.is_mated],
        threshold=result.threshold.cosine if result.threshold else None,
        title=name,
    )
    if result.num_non_mated:
        path = folder / "open_set.png"
        draw_open_set(path, {name: (result.fpir, result.tpir)}, num_strangers=result.num_non_mated)
        captions[path] = "Open set: known faces named rightly, over strangers named at all"
    sheets = {
        "misidentified.png": (result.is_mated & ~is_first, _misidentified_title),
        "strangers.png": (~result.is_mated, _strangers_title),
    }
    for file, (wanted, title) in sheets.items():
        queries = np.flatnonzero(wanted & (found.top != NOBODY))
        if len(queries):
            shown = _worst(found, queries)
            captions[folder / file] = title(f"{len(shown):,} of {len(queries):,}")
            _draw_sheet(folder / file, found, shown, captions[folder / file])
    return captions


def _misidentified_title(some: str) -> str:
    return (
        f"{some} known faces for which somebody else was found first, the most similar of each two "
        "people: query (blue), found (red), right one (green)"
    )


def _strangers_title(some: str) -> str:
    return (
        f"{some} queries of strangers (blue) and whom they are most like in the gallery (red), the "
        "most similar of each two people"
    )


def _worst(found: Identification, queries: np.ndarray) -> np.ndarray:
    """Returns the queries most similar to what was found, one of each person and person found."""
    queries = queries[np.argsort(-found.top_similarity[queries], kind="stable")]
    people = np.stack([found.queries.labels[queries], found.top[queries]], axis=1)
    _, first = np.unique(people, axis=0, return_index=True)
    return queries[np.sort(first)[:_MOST_ROWS]]


def _draw_sheet(path: Path, found: Identification, queries: np.ndarray, title: str) -> None:
    """Draws queries, each beside what was found and the right one."""
    pictures, captions = [], []

    def add(faces: NamedFaces, image: int, says: str, colour: str) -> None:
        pictures.append(framed(picture(faces.images[image]), colour))
        captions.append(f"{faces.names[faces.labels[image]]}\n{says}")

    for query in queries.tolist():
        add(found.queries, query, Path(found.queries.image_names[query]).name, BLUE)
        image, _ = _nearest_of(found, query, found.top[query])
        add(found.gallery, image, f"found: {found.top_similarity[query]:.3f}", VERMILLION)
        if found.right[query] != NOBODY:
            image, similarity = _nearest_of(found, query, found.right[query])
            rank = found.result.rank[query]
            place = f"rank {rank}" if rank else "not found"
            add(found.gallery, image, f"right: {similarity:.3f}\n{place}", GREEN)
    each = len(pictures) // len(queries)
    draw_contact_sheet(
        path,
        pictures,
        captions,
        title=title,
        columns=each * min(_SIDE_BY_SIDE, len(queries)),
        cell=_CELL,
    )


def _nearest_of(found: Identification, query: int, label: int) -> tuple[int, float]:
    """Returns the image of an identity that is most like a query, and how much."""
    images = np.flatnonzero(found.gallery.labels == label)
    similarity = found.gallery_vectors[images] @ found.query_vectors[query]
    best = int(similarity.argmax())
    return int(images[best]), float(similarity[best])
