"""Pictures of verification: the curves, the similarities, and the pairs a model errs on most."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.pairs import PairSet
from tfface.images.decoding import decode_picture
from tfface.metrics.verification import VerificationResult, hardest_pairs
from tfface.reporting.contact_sheet import draw_contact_sheet, side_by_side
from tfface.reporting.page import Picture
from tfface.reporting.plots.verification import draw_roc, draw_similarities

# Pairs of each kind that are shown.
_NUM_HARDEST = 12
# (Height, width) in pixels.
_CELL = (112, 228)


def draw_verification(
    results: Mapping[str, VerificationResult], pair_sets: Sequence[PairSet], folder: Path
) -> list[Picture]:
    """Draws the ROC curves of all sets, and of each its similarities and its hardest pairs.

    Args:
        results: pair set -> its figures.
        pair_sets: these sets.
        folder: gets `roc.png`, and for each set `similarities_SET.png`,
            `false_accepts_SET.png` and `false_rejects_SET.png`.
    Returns: the pictures, in the order of a report.
    """
    curves = {name: (result.roc.far, result.roc.tar) for name, result in results.items()}
    draw_roc(folder / "roc.png", curves)
    caption = "True accepts over false accepts; further up and left is better."
    pictures = [Picture(folder / "roc.png", caption)]
    for pair_set in pair_sets:
        pictures.append(_draw_similarities(pair_set, results[pair_set.name], folder))
        pictures += _draw_hardest(pair_set, results[pair_set.name], folder)
    return pictures


def _draw_similarities(pair_set: PairSet, result: VerificationResult, folder: Path) -> Picture:
    path = folder / f"similarities_{pair_set.name}.png"
    draw_similarities(
        path,
        genuine=result.similarity[result.is_genuine],
        impostor=result.similarity[~result.is_genuine],
        threshold=result.threshold.cosine,
        title=pair_set.name,
    )
    caption = (
        "The less the two heaps overlap, the better; what lies on the wrong side of the threshold "
        "is judged wrongly."
    )
    return Picture(path, caption, section=pair_set.name)


def _draw_hardest(pair_set: PairSet, result: VerificationResult, folder: Path) -> list[Picture]:
    accepts = result.similarity >= result.threshold.cosine
    impostors, genuine = hardest_pairs(result, _NUM_HARDEST)
    pictures = []
    for kind, what, pairs, wrong in (
        ("false accepts", "Impostor pairs, the most alike", impostors, accepts),
        ("false rejects", "Genuine pairs, the least alike", genuine, ~accepts),
    ):
        of_kind = result.is_genuine == result.is_genuine[pairs[0]]
        path = folder / f"{kind.replace(' ', '_')}_{pair_set.name}.png"
        caption = (
            f"{what}: {np.count_nonzero(wrong & of_kind):,} of {np.count_nonzero(of_kind):,} are "
            f"{kind} at cosine {result.threshold.cosine:.3f}."
        )
        cells = (
            [_pair_picture(pair_set, pair) for pair in pairs],
            [_caption(pair_set, pair, result.similarity[pair], wrong[pair]) for pair in pairs],
        )
        draw_contact_sheet(
            path,
            *cells,
            title=f"{pair_set.name}: {caption}",
            columns=3,
            cell=_CELL,
        )
        pictures.append(Picture(path, caption, cells, pair_set.name))
    return pictures


def _pair_picture(pair_set: PairSet, pair: int) -> np.ndarray:
    images = (pair_set.images[image[pair]] for image in (pair_set.first, pair_set.second))
    return side_by_side([decode_picture(image) for image in images])


def _caption(pair_set: PairSet, pair: int, similarity: float, wrong: bool) -> str:
    names = (pair_set.image_names[image[pair]] for image in (pair_set.first, pair_set.second))
    return "\n".join(
        [f"cosine {similarity:.3f}{'' if wrong else ' (judged rightly)'}", *map(_short, names)]
    )


def _short(name: str) -> str:
    """The end of a path, which tells images apart."""
    return "/".join(name.split("/")[-2:])
