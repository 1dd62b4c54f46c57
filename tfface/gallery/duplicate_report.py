"""Report of duplicate identities: tables, contact sheets and the list of identities to exclude.

same_people.csv        all matches with their similarities
exclude.csv            identities to exclude and the reasons; the dataset itself is not changed
same_people.png        pairs of duplicate identities (if any)
same_people_SET.png    identities next to the matching image of a verification set (if any)
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfface.data.records.identity_list import write_exclusion_list
from tfface.data.records.inspection_report import BLANK, choose_images
from tfface.data.records.manifest import Identity
from tfface.files import write_csv
from tfface.gallery.duplicate_identities import DuplicateSearch
from tfface.images.decoding import decode_picture
from tfface.names import safe_row
from tfface.reporting.contact_sheet import draw_contact_sheet, framed
from tfface.reporting.plots import BLUE, ORANGE

_COLUMNS = (
    *("name", "source", "other_name", "other_source"),
    *("verification_set", "verification_image", "similarity"),
)
# Pairs on a contact sheet, images of each identity, and columns for two pairs in a row.
_MAX_PAIRS = 24
_IMAGES_PER_IDENTITY = 3
_SHEET_COLUMNS = 12
_CELL = 112


def write_duplicate_identities(
    search: DuplicateSearch, folder: Path, *, seed: int = 0
) -> list[Path]:
    """Writes the files that this module's docstring lists.

    A contact sheet shows pairs from the most to the least similar one, so its last rows show
    whether the threshold is right.

    Args:
        search: the result.
        folder: existing folder of the files.
        seed: of the sample of images on the contact sheets.

    Returns:
        The paths of the written files.

    Raises:
        InputError: a file can't be written.
    """
    paths = [folder / "same_people.csv", folder / "exclude.csv"]
    write_csv(paths[0], _COLUMNS, map(safe_row, _table_rows(search)))
    write_exclusion_list(paths[1], _reasons(search))
    sheets = {"same_people.png": _Sheet(search, seed).add_pairs()}
    for name in search.overlaps:
        sheets[f"same_people_{name}.png"] = _Sheet(search, seed).add_found(name)
    for file, sheet in sheets.items():
        # Remove the sheet of an earlier search, which may not be written again.
        (folder / file).unlink(missing_ok=True)
        if sheet.images:
            paths.append(folder / file)
            sheet.draw(paths[-1])
    return paths


def _table_rows(search: DuplicateSearch) -> Iterator[list[str]]:
    identities, pairs = search.inspection.dataset.identities, search.pairs
    for name, found in search.overlaps.items():
        images = search.pair_sets[name].image_names
        for label, image, similarity in _rows(found.labels, found.images, found.similarity):
            yield [*identities[label], "", "", name, images[image], f"{similarity:.4f}"]
    for first, second, similarity in _rows(pairs.first, pairs.second, pairs.similarity):
        yield [*identities[first], *identities[second], "", "", f"{similarity:.4f}"]


def _rows(*columns: np.ndarray) -> zip:
    return zip(*(column.tolist() for column in columns), strict=True)


def _reasons(search: DuplicateSearch) -> dict[Identity, str]:
    identities = search.inspection.dataset.identities
    reasons = {}
    for label, why in search.excluded.items():
        if why.other is None:
            image = search.pair_sets[why.set_name].image_names[why.image]
            who = f"{image} of the verification set {why.set_name}"
        else:
            who = f"{identities[why.other].name} of {identities[why.other].source}"
            # A kept identity is only excluded for this reason.
            if why.other in search.excluded:
                who += f", which is in the verification set {search.excluded[why.other].set_name}"
        reasons[identities[label]] = f"same person as {who} (similarity {why.similarity:.3f})"
    return reasons


class _Sheet:
    """A contact sheet of matches; empty until they are added.

    Each match is a run of images: the first identity, framed blue, then the second one or the image
    of a verification set, framed orange.
    """

    def __init__(self, search: DuplicateSearch, seed: int):
        self._search = search
        self._seed = seed
        self._captions: list[str] = []
        self._title = ""
        self.images: list[np.ndarray] = []

    def add_pairs(self) -> "_Sheet":
        pairs = self._search.pairs
        shown = _spaced(pairs.similarity)
        for index in shown:
            self._add_identity(int(pairs.first[index]))
            self._add_other(int(pairs.second[index]), pairs.similarity[index])
        self._title = self._describe(shown, len(pairs.first), "pairs of duplicate identities")
        return self

    def add_found(self, name: str) -> "_Sheet":
        found, pair_set = self._search.overlaps[name], self._search.pair_sets[name]
        shown = _spaced(found.similarity)
        for index in shown:
            self._add_identity(int(found.labels[index]))
            image = int(found.images[index])
            file = Path(pair_set.image_names[image]).name
            self._add(
                [decode_picture(pair_set.images[image])],
                ORANGE,
                f"{file}\n{name}\nsimilarity {found.similarity[index]:.3f}",
            )
        self._title = self._describe(shown, len(found.labels), f"identities that appear in {name}")
        return self

    def draw(self, path: Path) -> None:
        draw_contact_sheet(
            path,
            self.images,
            self._captions,
            title=self._title,
            columns=_SHEET_COLUMNS,
            cell=_CELL,
        )

    def _add_identity(self, label: int) -> None:
        """Adds the first identity of a match, with empty cells in front."""
        images, caption = self._images_of(label)
        self._add_blanks(_IMAGES_PER_IDENTITY - len(images))
        self._add(images, BLUE, caption)

    def _add_other(self, label: int, similarity: float) -> None:
        images, caption = self._images_of(label)
        self._add(images, ORANGE, f"{caption}\nsimilarity {similarity:.3f}")
        self._add_blanks(_IMAGES_PER_IDENTITY - len(images))

    def _images_of(self, label: int) -> tuple[list[np.ndarray], str]:
        inspection = self._search.inspection
        images = choose_images(inspection.labels, label, _IMAGES_PER_IDENTITY, self._seed)
        name, source = inspection.dataset.identities[label]
        caption = f"{name}\n{source}, label {label}"
        if label in self._search.excluded:
            caption += "\nto exclude"
        return [decode_picture(encoded) for encoded in inspection.files.images(images)], caption

    def _add(self, images: list[np.ndarray], color: str, caption: str) -> None:
        self.images += [framed(image, color) for image in images]
        self._captions += [caption, *[""] * (len(images) - 1)]

    def _add_blanks(self, number: int) -> None:
        self.images += [BLANK] * number
        self._captions += [""] * number

    def _describe(self, shown: np.ndarray, number: int, what: str) -> str:
        some = f"{len(shown)} of the " if len(shown) < number else ""
        return f"{self._search.inspection.folder.resolve().name}: {some}{number:,} {what}"


def _spaced(similarity: np.ndarray) -> np.ndarray:
    """Returns up to `_MAX_PAIRS` indices: half of them evenly by rank, half by similarity.

    Args:
        similarity: sorted descending.
    """
    if len(similarity) <= _MAX_PAIRS:
        return np.arange(len(similarity))
    half = _MAX_PAIRS // 2
    by_rank = np.linspace(0, len(similarity) - 1, half).round().astype(int)
    levels = np.linspace(similarity[0], similarity[-1], half)
    return np.union1d(by_rank, np.searchsorted(-similarity, -levels))
