"""What a search for people leaves in a folder: who they are, pictures of them, whom to leave out.

same_people.csv        all that was found, with similarities
exclude.csv            whom to leave out and why; nothing is taken out of the dataset itself
same_people.png        pairs of identities (where there are any)
same_people_SET.png    identities beside the image of a verification set that they are like
"""

import csv
from pathlib import Path

import numpy as np

from tfface.data.records.identity_list import write_exclusion_list
from tfface.data.records.inspection_plots import BLANK, choose_images
from tfface.data.records.manifest import Identity
from tfface.evaluation.identity_search import PeopleSearch
from tfface.files import replacing
from tfface.images.decoding import decode_picture
from tfface.names import safe_row
from tfface.reporting.contact_sheet import draw_contact_sheet, framed
from tfface.reporting.plots import BLUE, ORANGE

_COLUMNS = (
    *("name", "source", "other_name", "other_source"),
    *("verification_set", "verification_image", "similarity"),
)
# Of a sheet: pairs, images of an identity, and what two or three pairs side by side need.
_MOST_PAIRS = 24
_IMAGES_OF_EACH = 3
_COLUMNS_OF_SHEET = 12
_CELL = 112


def write_search(search: PeopleSearch, folder: Path, *, seed: int = 0) -> list[Path]:
    """Writes the files that this module's docstring lists; returns their paths.

    A sheet goes in steps from the most to the least similar, so its last rows tell whether the
    threshold is right.

    Args:
        seed: another seed draws other images of the identities on the sheets.
    Raises InputError: a file can't be written.
    """
    paths = [folder / "same_people.csv", folder / "exclude.csv"]
    _write_rows(paths[0], search)
    write_exclusion_list(paths[1], _reasons(search))
    sheets = {"same_people.png": _Sheet(search, seed).add_pairs()}
    for name in search.found:
        sheets[f"same_people_{name}.png"] = _Sheet(search, seed).add_found(name)
    for file, sheet in sheets.items():
        # One of an earlier search would be taken for one of this.
        (folder / file).unlink(missing_ok=True)
        if sheet.pictures:
            paths.append(folder / file)
            sheet.draw(paths[-1])
    return paths


def _write_rows(path: Path, search: PeopleSearch) -> None:
    identities, pairs = search.inspection.dataset.identities, search.pairs
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, found in search.found.items():
            images = search.pair_sets[name].image_names
            for label, image, similarity in _rows(found.labels, found.images, found.similarity):
                row = [*identities[label], "", "", name, images[image], f"{similarity:.4f}"]
                writer.writerow(safe_row(row))
        for first, second, similarity in _rows(pairs.first, pairs.second, pairs.similarity):
            row = [*identities[first], *identities[second], "", "", f"{similarity:.4f}"]
            writer.writerow(safe_row(row))


def _rows(*columns: np.ndarray) -> zip:
    return zip(*(column.tolist() for column in columns), strict=True)


def _reasons(search: PeopleSearch) -> dict[Identity, str]:
    identities = search.inspection.dataset.identities
    reasons = {}
    for label, why in search.excluded.items():
        if why.other is None:
            image = search.pair_sets[why.set_name].image_names[why.image]
            who = f"{image} of the verification set {why.set_name}"
        else:
            who = f"{identities[why.other].name} of {identities[why.other].source}"
            # Whoever is kept in place of another is not left out, but for this reason.
            if why.other in search.excluded:
                who += f", who is in the verification set {search.excluded[why.other].set_name}"
        reasons[identities[label]] = f"same person as {who} (similarity {why.similarity:.3f})"
    return reasons


class _Sheet:
    """Pictures of people who are alike, side by side; none until they are added.

    Each pair is a run of pictures: those of the one, framed blue, then those of the other, framed
    orange.
    """

    def __init__(self, search: PeopleSearch, seed: int):
        self._search = search
        self._seed = seed
        self._captions: list[str] = []
        self._title = ""
        self.pictures: list[np.ndarray] = []

    def add_pairs(self) -> "_Sheet":
        pairs = self._search.pairs
        shown = _spaced(pairs.similarity)
        for place in shown:
            self._add_identity(int(pairs.first[place]))
            self._add_other(int(pairs.second[place]), pairs.similarity[place])
        self._title = self._say(shown, len(pairs.first), "pairs of identities that are alike")
        return self

    def add_found(self, name: str) -> "_Sheet":
        found, pair_set = self._search.found[name], self._search.pair_sets[name]
        shown = _spaced(found.similarity)
        for place in shown:
            self._add_identity(int(found.labels[place]))
            image = int(found.images[place])
            file = Path(pair_set.image_names[image]).name
            self._add(
                [decode_picture(pair_set.images[image])],
                ORANGE,
                f"{file}\n{name}\nsimilarity {found.similarity[place]:.3f}",
            )
        self._title = self._say(
            shown, len(found.labels), f"identities that look like people of {name}"
        )
        return self

    def draw(self, path: Path) -> None:
        draw_contact_sheet(
            path,
            self.pictures,
            self._captions,
            title=self._title,
            columns=_COLUMNS_OF_SHEET,
            cell=_CELL,
        )

    def _add_identity(self, label: int) -> None:
        """Adds a row's first person, with the empty places in front."""
        pictures, caption = self._pictures_of(label)
        self._add_blanks(_IMAGES_OF_EACH - len(pictures))
        self._add(pictures, BLUE, caption)

    def _add_other(self, label: int, similarity: float) -> None:
        pictures, caption = self._pictures_of(label)
        self._add(pictures, ORANGE, f"{caption}\nsimilarity {similarity:.3f}")
        self._add_blanks(_IMAGES_OF_EACH - len(pictures))

    def _pictures_of(self, label: int) -> tuple[list[np.ndarray], str]:
        inspection = self._search.inspection
        images = choose_images(inspection.labels, label, _IMAGES_OF_EACH, self._seed)
        name, source = inspection.dataset.identities[label]
        caption = f"{name}\n{source}, label {label}"
        if label in self._search.excluded:
            caption += "\nto leave out"
        return [decode_picture(encoded) for encoded in inspection.files.images(images)], caption

    def _add(self, pictures: list[np.ndarray], colour: str, caption: str) -> None:
        self.pictures += [framed(one, colour) for one in pictures]
        self._captions += [caption, *[""] * (len(pictures) - 1)]

    def _add_blanks(self, number: int) -> None:
        self.pictures += [BLANK] * number
        self._captions += [""] * number

    def _say(self, shown: np.ndarray, number: int, what: str) -> str:
        some = f"{len(shown)} of the " if len(shown) < number else ""
        return f"{self._search.inspection.folder.resolve().name}: {some}{number:,} {what}"


def _spaced(similarity: np.ndarray) -> np.ndarray:
    """Returns up to `_MOST_PAIRS` places: half of them evenly by rank, half by similarity.

    Args:
        similarity: falling.
    """
    if len(similarity) <= _MOST_PAIRS:
        return np.arange(len(similarity))
    half = _MOST_PAIRS // 2
    by_rank = np.linspace(0, len(similarity) - 1, half).round().astype(int)
    levels = np.linspace(similarity[0], similarity[-1], half)
    return np.union1d(by_rank, np.searchsorted(-similarity, -levels))
