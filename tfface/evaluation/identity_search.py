"""Searches a dataset for people who are in it twice, or in a verification set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfface import seeding
from tfface.data.pairs import PairSet, check_names
from tfface.data.records.inspection import Inspection
from tfface.data.records.manifest import Identity
from tfface.errors import InputError
from tfface.evaluation import duplicate_identities
from tfface.evaluation.duplicate_identities import Exclusion, Found, Pairs
from tfface.evaluation.embedders.embedder import (
    Embedder,
    embed_batches,
    embed_images,
    images_per_second,
)

# What suits models of 512 floats that were trained on millions of images.
LEAST_THRESHOLD = 0.3
LEAST_AGAINST_THRESHOLD = 0.4
# Identities whose nearest other is looked for, and images of others that they are compared with.
_MOST_PROBES, _MOST_SAMPLED = 2048, 8192
# A larger share than this of identities that are found by chance is warned of.
_TOO_MANY = 0.2


@dataclass(frozen=True)
class PeopleSearch:
    """What a search gave.

    Attributes:
        inspection: of the dataset.
        pair_sets: name -> verification set.
        compared: identities were compared with each other.
        pairs: those that are alike.
        found: pair set -> identities that are in it.
        excluded: label -> why it should be left out.
    """

    inspection: Inspection
    pair_sets: dict[str, PairSet]
    compared: bool
    pairs: Pairs
    found: dict[str, Found]
    excluded: dict[int, Exclusion]

    def as_text(self) -> str:
        """Returns what was found, in lines."""
        lines = [
            f"{name}: {len(found.labels):,} identities look like people of this verification set"
            for name, found in self.found.items()
        ]
        if self.compared:
            lines.append(f"{len(self.pairs.first):,} pairs of identities look like one person each")
        lines.append(
            f"to leave out: {len(self.excluded):,} identities with {self._num_excluded_images:,} "
            "images"
        )
        return "\n".join(lines)

    def to_json(self) -> dict:
        """Returns the counts of what was found."""
        return {
            "in_verification_sets": {n: len(found.labels) for n, found in self.found.items()},
            "pairs": len(self.pairs.first),
            "excluded_identities": len(self.excluded),
            "excluded_images": self._num_excluded_images,
        }

    @property
    def _num_excluded_images(self) -> int:
        return int(self.inspection.images_per_identity[list(self.excluded)].sum())


def check_search(
    identities: Sequence[Identity], pair_sets: Sequence[PairSet], *, within_source: bool
) -> None:
    """Finds before anything is read or embedded what would make a search useless.

    Raises InputError: two verification sets have one name; or there are none, and all identities
        are of one source and those are not compared.
    """
    check_names([pair_set.name for pair_set in pair_sets], "--overlap-with")
    sources = {identity.source for identity in identities}
    if not pair_sets and not within_source and len(sources) < 2:
        raise InputError(
            f"all identities are of one source ({', '.join(sources)}), so there is nobody to "
            "compare them with: add --overlap-with SET, or --within-source"
        )


def search_people(
    inspection: Inspection,
    embedder: Embedder,
    pair_sets: Sequence[PairSet],
    *,
    images_per_identity: int,
    threshold: float | None,
    against_threshold: float | None,
    within_source: bool,
    seed: int,
    say: Callable[[str], None],
) -> PeopleSearch:
    """Embeds a sample of each identity and all images of the sets, each once, and compares.

    How alike different people are depends on the model, and the most alike of many on how many they
    are. So a threshold that isn't given is as high as it has to be for no more than 5 % of the
    identities of the largest source, who are taken for different people, to be like another there;
    but at least `LEAST_THRESHOLD` or `LEAST_AGAINST_THRESHOLD`.

    Args:
        inspection: of a dataset without problems.
        images_per_identity: the most that are embedded of each, > 0; drawn by `seed`.
        threshold: two identities' centers are one person's from this similarity on, in (0, 1].
        against_threshold: an identity's center and a verification image, likewise.
        within_source: compare the identities of one source as well.
        say: is told in a line what will be embedded and how long that takes, and the thresholds.
    Raises InputError: an image can't be decoded, an embedding is not finite, or far too many
        identities are alike.
    """
    identities = inspection.dataset.identities
    indices = duplicate_identities.choose_images(inspection.labels, images_per_identity, seed)
    labels = inspection.labels[indices]
    in_sets = sum(len(pair_set.images) for pair_set in pair_sets)
    say(
        f"embedding {len(indices):,} images of {len(identities):,} identities (at most "
        f"{images_per_identity} of each)"
        + (f" and {in_sets:,} of verification sets" if pair_sets else "")
        + f": about {_duration((len(indices) + in_sets) / images_per_second(embedder))}"
    )
    vectors_of_sets = [_embed_set(embedder, pair_set) for pair_set in pair_sets]
    _, sources = np.unique([identity.source for identity in identities], return_inverse=True)
    sizes = np.bincount(sources)
    in_largest = sources == sizes.argmax()
    sample = _one_image_each(labels, in_largest, seed)
    names = inspection.files.filenames(indices)
    centers, sampled = duplicate_identities.centers(
        embed_batches(
            embedder, inspection.files.images(indices), names, what=inspection.folder.name
        ),
        labels,
        len(identities),
        names,
        sample,
    )

    source = identities[in_largest.argmax()].source
    probes = labels[sample][:_MOST_PROBES]
    found = {}
    for pair_set, vectors in zip(pair_sets, vectors_of_sets, strict=True):
        level, line = _threshold(
            against_threshold,
            LEAST_AGAINST_THRESHOLD,
            duplicate_identities.nearest_other(centers[probes], probes, sampled, labels[sample]),
            num_others=len(sample),
            num_compared=len(vectors),
            source=source,
        )
        say(f"{pair_set.name}: an identity is in it {line}")
        found[pair_set.name] = duplicate_identities.find_among(centers, vectors, level)

    compared = within_source or len(sizes) > 1
    pairs = duplicate_identities.NO_PAIRS
    if compared:
        of_source = np.flatnonzero(in_largest)
        level, line = _threshold(
            threshold,
            LEAST_THRESHOLD,
            duplicate_identities.nearest_other(
                centers[probes], probes, centers[of_source], of_source
            ),
            num_others=len(of_source),
            num_compared=len(identities) - (0 if within_source else int(sizes.min())),
            source=source,
        )
        say(f"two identities are one person {line}")
        pairs = duplicate_identities.similar_pairs(
            centers, sources, level, within_source=within_source
        )
    return PeopleSearch(
        inspection=inspection,
        pair_sets={pair_set.name: pair_set for pair_set in pair_sets},
        compared=compared,
        pairs=pairs,
        found=found,
        excluded=duplicate_identities.choose_exclusions(
            pairs, found, inspection.images_per_identity
        ),
    )


def _embed_set(embedder: Embedder, pair_set: PairSet) -> np.ndarray:
    vectors = embed_images(embedder, pair_set.images, pair_set.image_names, what=pair_set.name)
    return duplicate_identities.directions(vectors, pair_set.image_names)


def _one_image_each(labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Draws an image of each of up to `_MOST_SAMPLED` wanted identities; returns places, rising."""
    _, places = np.unique(labels, return_index=True)
    places = places[wanted[labels[places]]]
    return np.sort(places[seeding.permutation(seeding.fold(seed), len(places))[:_MOST_SAMPLED]])


def _threshold(
    given: float | None,
    least: float,
    nearest: np.ndarray,
    *,
    num_others: int,
    num_compared: int,
    source: str,
) -> tuple[float, str]:
    """Returns the threshold to use, and what is to be said of it.

    Args: as `duplicate_identities.chance_threshold`; `nearest` is of people of `source`.
    """
    level = given or least
    if num_others < 2:
        return level, f"from a similarity of {level:.3f} on"
    if given is None:
        level = max(least, duplicate_identities.chance_threshold(nearest, num_others, num_compared))
    share = float(np.mean(nearest >= level))
    line = (
        f"from a similarity of {level:.3f} on (at which {share:.1%} of the people of '{source}' "
        "would be taken for another of them)"
    )
    if share > _TOO_MANY:
        line += ": much of what is found will be chance, so take a higher threshold"
    return level, line


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
