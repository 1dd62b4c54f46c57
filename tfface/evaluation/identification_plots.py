"""Pictures of an identification: its curves, and the faces that were mistaken.

cmc.png                 the right identity's rank
top_similarities.png    how similar known people and strangers are to what is found first
open_set.png            TPIR over FPIR (with queries of strangers)
misidentified.png       known faces for which somebody else was found first (where there are any)
strangers.png           strangers who are most like somebody in the gallery (likewise)
"""

from pathlib import Path

import numpy as np

from tfface.evaluation.identification import Identification
from tfface.images.decoding import decode_picture
from tfface.metrics.identification import UNKNOWN
from tfface.reporting.contact_sheet import draw_contact_sheet, framed, side_by_side
from tfface.reporting.page import Picture
from tfface.reporting.plots.identification import draw_cmc, draw_open_set, draw_top_similarities
from tfface.reporting.plots.style import BLUE, GREEN, VERMILION

# Of a sheet.
_MOST_MISTAKES = 24
_WIDTH = 720


def draw_identification(found: Identification, folder: Path) -> list[Picture]:
    """Draws the files that this module's docstring lists; returns them in the order of a report.

    Raises InputError: a picture can't be written.
    """
    result, name = found.result, found.gallery.name
    for file in ("open_set.png", "misidentified.png", "strangers.png"):
        # One of an earlier evaluation would be taken for one of this.
        (folder / file).unlink(missing_ok=True)
    is_first = result.rank == 1
    draw_cmc(folder / "cmc.png", {name: result.cmc})
    draw_top_similarities(
        folder / "top_similarities.png",
        right=result.top_similarity[is_first],
        wrong=result.top_similarity[result.is_mated & ~is_first],
        strangers=result.top_similarity[~result.is_mated],
        threshold=result.threshold.cosine if result.threshold else None,
        title=name,
    )
    pictures = [
        Picture(folder / "cmc.png", "How often the right identity is among the first n."),
        Picture(
            folder / "top_similarities.png", "How similar queries are to the identity found first."
        ),
    ]
    if result.num_non_mated:
        draw_open_set(
            folder / "open_set.png",
            {name: (result.fpir, result.tpir)},
            num_strangers=result.num_non_mated,
        )
        pictures.append(
            Picture(
                folder / "open_set.png",
                "Known faces named rightly, over strangers named at all; further up and left is "
                "better.",
            )
        )
    misidentified = result.is_mated & ~is_first & (found.top != UNKNOWN)
    pictures += _draw_sheet(
        folder / "misidentified.png",
        found,
        np.flatnonzero(misidentified),
        "known faces for which somebody else was found first, the most similar of each two people: "
        "query (blue), found (red), right one (green).",
    )
    pictures += _draw_sheet(
        folder / "strangers.png",
        found,
        np.flatnonzero(~result.is_mated & (found.top != UNKNOWN)),
        "queries of strangers (blue) and whom they are most like in the gallery (red), the most "
        "similar of each two people.",
    )
    return pictures


def _draw_sheet(
    path: Path, found: Identification, queries: np.ndarray, caption: str
) -> list[Picture]:
    """Draws mistakes; of none there is no picture."""
    if not len(queries):
        return []
    shown = _worst(found, queries)
    caption = f"{len(shown):,} of {len(queries):,} {caption}"
    pictures, captions = zip(*(_mistake(found, query) for query in shown.tolist()), strict=True)
    height, width, _ = pictures[0].shape
    draw_contact_sheet(
        path,
        pictures,
        captions,
        title=f"{found.gallery.name}: {caption}",
        columns=_WIDTH // width,
        cell=(height, width),
    )
    return [Picture(path, caption, (pictures, captions))]


def _worst(found: Identification, queries: np.ndarray) -> np.ndarray:
    """Returns the queries most similar to what was found, one of each person and person found."""
    queries = queries[np.argsort(-found.top_similarity[queries], kind="stable")]
    people = np.stack([found.queries.labels[queries], found.top[queries]], axis=1)
    _, first = np.unique(people, axis=0, return_index=True)
    return queries[np.sort(first)[:_MOST_MISTAKES]]


def _mistake(found: Identification, query: int) -> tuple[np.ndarray, str]:
    """Returns a query, what was found and the right one side by side, and a caption."""
    queries, gallery = found.queries, found.gallery
    image, _ = _nearest_of(found, query, found.top[query])
    pictures = [
        framed(decode_picture(queries.images[query]), BLUE),
        framed(decode_picture(gallery.images[image]), VERMILION),
    ]
    lines = [
        f"{queries.names[queries.labels[query]]}: {Path(queries.image_names[query]).name}",
        f"found: {gallery.names[found.top[query]]}, {found.top_similarity[query]:.3f}",
    ]
    if found.right[query] != UNKNOWN:
        image, similarity = _nearest_of(found, query, found.right[query])
        pictures.append(framed(decode_picture(gallery.images[image]), GREEN))
        rank = found.result.rank[query]
        lines.append(f"right: {similarity:.3f}, {f'rank {rank}' if rank else 'not found'}")
    return side_by_side(pictures), "\n".join(lines)


def _nearest_of(found: Identification, query: int, label: int) -> tuple[int, float]:
    """Returns the image of an identity that is most like a query, and how much."""
    images = np.flatnonzero(found.gallery.labels == label)
    similarity = found.gallery_vectors[images] @ found.query_vectors[query]
    best = int(similarity.argmax())
    return int(images[best]), float(similarity[best])
