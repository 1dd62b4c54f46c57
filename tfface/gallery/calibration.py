"""The threshold of a gallery, by photos of strangers."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.gallery.storage import GalleryContent
from tfface.metrics.roc import max_false_accepts

# How many strangers a calibration names.
_MOST_NAMED = 3
# A stranger stands out who is so many times as far above the median as the upper quarter begins.
_STANDS_OUT = 6
# The same where nobody has several photos that tell how similar those of a person are.
_STANDS_OUT_ALONE = 7


@dataclass(frozen=True)
class Stranger:
    """A photo of a stranger, and the person of the gallery who is most similar to it."""

    photo: str
    name: str
    cosine: float


@dataclass(frozen=True)
class Calibration:
    """A threshold, and the strangers it was chosen by.

    Attributes:
        threshold: the smallest cosine of a known face.
        before: the gallery's threshold until then; None if it had none.
        num_strangers, num_named: how many there are, and how many of them get a name.
        most_similar: the strangers with the highest cosines, in descending order.
    """

    threshold: float
    before: float | None
    num_strangers: int
    num_named: int
    most_similar: Sequence[Stranger]


def most_similar(strangers: Sequence[Stranger]) -> list[Stranger]:
    """Returns the few strangers with the highest cosines, in descending order."""
    return sorted(strangers, key=lambda stranger: -stranger.cosine)[:_MOST_NAMED]


def check_strangers(strangers: Sequence[Stranger], gallery: GalleryContent, before: str) -> None:
    """Checks that no stranger looks like another photo of a person of the gallery.

    A person is suspected to be among the strangers if one of them is both

    - as similar to the person as the person's own photos are to each other (each photo has a most
      similar other one; the least of these cosines counts, and for a person with one photo the
      median of the others'), and
    - far above the other strangers: six times as far above their median as the quarter of them with
      the highest cosines begins (seven times if nobody has several photos).

    Then all strangers are named who are that far above the others, and most similar to the person.

    Args:
        strangers: all of them.
        gallery: the gallery.
        before: the end of the message: what stays as it was.

    Raises:
        InputError: some do.
    """
    suspects = _suspects(strangers, gallery)
    if not suspects:
        return
    people = ", ".join(dict.fromkeys(stranger.name for stranger in suspects[:_MOST_NAMED]))
    named = ", ".join(
        f"{stranger.photo} (cosine {stranger.cosine:.3f} with {stranger.name})"
        for stranger in suspects[:_MOST_NAMED]
    )
    more = len(suspects) - _MOST_NAMED
    raise InputError(
        f"of {len(strangers):,} strangers {len(suspects):,} may be photos of {people}, far more "
        f"similar than the other strangers: {named}"
        f"{f' and {more:,} more' if more > 0 else ''}; remove them if so, or say --allow-similar "
        f"(allow_similar=True in Python); {before}"
    )


def _suspects(strangers: Sequence[Stranger], gallery: GalleryContent) -> list[Stranger]:
    levels = _own_similarities(gallery)
    cosines = np.array([stranger.cosine for stranger in strangers])
    median, upper_quarter = np.quantile(cosines, [0.5, 0.75])
    times = _STANDS_OUT if levels else _STANDS_OUT_ALONE
    limit = median + times * (upper_quarter - median)
    outstanding = [stranger for stranger in strangers if stranger.cosine > limit]
    usual = float(np.median([*levels.values()])) if levels else -1.0
    people = {one.name for one in outstanding if one.cosine >= levels.get(one.name, usual)}
    return sorted(
        (stranger for stranger in outstanding if stranger.name in people),
        key=lambda stranger: -stranger.cosine,
    )


def _own_similarities(gallery: GalleryContent) -> dict[str, float]:
    """Returns how similar the photos of each person are, for people with several.

    Of each photo, the cosine with the most similar other photo of the person; of these the least.
    """
    rows: dict[str, list[int]] = {}
    for number, face in enumerate(gallery.faces):
        rows.setdefault(face.name, []).append(number)
    embeddings = gallery.index.embeddings()
    found = {}
    for name, numbers in rows.items():
        if len(numbers) > 1:
            cosines = embeddings[numbers] @ embeddings[numbers].T
            np.fill_diagonal(cosines, -np.inf)
            found[name] = float(cosines.max(axis=1).min())
    return found


def check_num_strangers(number: int, fpir: float) -> None:
    """Checks that there are enough strangers to measure a false positive identification rate.

    Args:
        number: of the strangers.
        fpir: the rate, in (0, 1).

    Raises:
        InputError: fewer than 1 / fpir.
    """
    if number == 0 or max_false_accepts(fpir, number) == 0:
        least = next(n for n in itertools.count(math.floor(1 / fpir)) if 1 / n <= fpir)
        raise InputError(
            f"{number:,} strangers are too few for a false positive rate of {fpir:g}: give "
            f"at least {least:,}, or a higher rate (--fpir; fpir= in Python)"
        )


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
    check_num_strangers(len(cosines), fpir)
    number = max_false_accepts(fpir, len(cosines))
    # The most similar stranger who may not be named.
    refused = np.sort(cosines)[::-1][number]
    return min(1.0, round((math.floor(refused * 10_000) + 1) / 10_000, 4))
