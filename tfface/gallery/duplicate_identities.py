"""Finds identities of a dataset that are the same person, or appear in a verification set.

An identity's center is the normalized mean of its images' normalized embeddings; similarities are
cosines of centers. Memory is bounded: one embedding for each identity, and blocks of similarities.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfface import seeding
from tfface.data.pairs import PairSet, check_names
from tfface.data.records.inspection import Inspection
from tfface.data.records.manifest import Identity
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import (
    Embedder,
    embed_batches,
    embed_images,
    identity_centers,
    images_per_second,
    unit_embeddings,
)
from tfface.evaluation.labeled_faces import sample_images
from tfface.progress import progress

# They suit models with 512-dimensional embeddings that were trained on millions of images.
MIN_THRESHOLD = 0.3
MIN_AGAINST_THRESHOLD = 0.4
# Rows and columns of a block of similarities: 64 MB.
_BLOCK = 4096
# Accepted fraction of identities with a false match, and the smallest that is aimed at.
_FALSE_MATCHES, _MIN_FALSE_MATCHES = 0.05, 0.02
# More than anybody will review; a model that can't tell people apart makes billions.
MAX_PAIRS = 1_000_000
# Identities whose most similar impostor is searched, and images that they are compared with.
_MAX_PROBES, _MAX_SAMPLED = 2048, 8192
# A larger fraction of false matches than this is reported.
_TOO_MANY = 0.2


# ---------------------------------------------------------------- results


@dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of similar identities, sorted by descending similarity.

    Attributes:
        first, second: int64 [pairs], labels; first < second.
        similarity: float32 [pairs], cosine of the centers.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray


NO_PAIRS = DuplicatePairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True)
class Overlap:
    """Identities that match an image of a verification set, sorted by descending similarity.

    Attributes:
        labels: int64 [matches].
        images: int64 [matches], index of the most similar image in the set.
        similarity: float32 [matches], cosine of center and image.
    """

    labels: np.ndarray
    images: np.ndarray
    similarity: np.ndarray


@dataclass(frozen=True)
class Exclusion:
    """Why an identity should be excluded.

    Attributes:
        other: label of the duplicate identity; None for a match in a verification set.
        set_name: the verification set; None for a duplicate identity.
        image: index of the matching image in that set.
        similarity: to the other identity or to the image.
    """

    other: int | None
    set_name: str | None
    image: int | None
    similarity: float


@dataclass(frozen=True)
class DuplicateSearch:
    """The result of `find_duplicate_identities`.

    Attributes:
        inspection: the inspected dataset.
        pair_sets: name -> verification set.
        compared: whether identities were compared with each other.
        pairs: duplicate identities.
        overlaps: pair set -> identities that appear in it.
        excluded: label -> why it should be excluded.
    """

    inspection: Inspection
    pair_sets: dict[str, PairSet]
    compared: bool
    pairs: DuplicatePairs
    overlaps: dict[str, Overlap]
    excluded: dict[int, Exclusion]

    def as_text(self) -> str:
        """Returns a summary, one line for each kind of match."""
        lines = [
            f"{name}: {len(found.labels):,} identities appear in this verification set"
            for name, found in self.overlaps.items()
        ]
        if self.compared:
            lines.append(f"{len(self.pairs.first):,} pairs of duplicate identities")
        lines.append(
            f"to exclude: {len(self.excluded):,} identities with {self._num_excluded_images:,} "
            "images"
        )
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Returns the counts as `tfface inspect` writes them."""
        return {
            "in_verification_sets": {n: len(found.labels) for n, found in self.overlaps.items()},
            "pairs": len(self.pairs.first),
            "excluded_identities": len(self.excluded),
            "excluded_images": self._num_excluded_images,
        }

    @property
    def _num_excluded_images(self) -> int:
        return int(self.inspection.images_per_identity[list(self.excluded)].sum())


# ---------------------------------------------------------------- the search


def check_search(
    identities: Sequence[Identity], pair_sets: Sequence[PairSet], *, within_source: bool
) -> None:
    """Checks that there is something to compare, before anything is read or embedded.

    Args:
        identities: of the dataset.
        pair_sets: verification sets to compare with.
        within_source: whether identities of one source are compared.

    Raises:
        InputError: two verification sets have the same name, or nothing would be compared.
    """
    check_names([pair_set.name for pair_set in pair_sets], "--overlap-with")
    sources = {identity.source for identity in identities}
    if not pair_sets and not within_source and len(sources) < 2:
        raise InputError(
            f"all identities are of one source ({', '.join(sources)}), so there is nothing to "
            "compare: add --overlap-with SET, or --within-source"
        )


def find_duplicate_identities(
    inspection: Inspection,
    embedder: Embedder,
    pair_sets: Sequence[PairSet],
    *,
    images_per_identity: int,
    threshold: float | None,
    against_threshold: float | None,
    within_source: bool,
    seed: int,
    log: Callable[[str], None],
) -> DuplicateSearch:
    """Embeds a sample of each identity and all images of the sets, and compares them.

    The similarity of different people depends on the model, and the highest one on the number of
    comparisons. A threshold that is None is therefore chosen so that at most 5 % of the identities
    of the largest source, who are taken for different people, match another of them; but at least
    `MIN_THRESHOLD` or `MIN_AGAINST_THRESHOLD`.

    Args:
        inspection: of a dataset without problems.
        embedder: the model.
        pair_sets: verification sets that must have no identity in common with the dataset.
        images_per_identity: > 0, maximum number of images to embed, sampled by `seed`.
        threshold: two identities are duplicates from this similarity on, in (0, 1].
        against_threshold: the same for an identity and an image of a verification set.
        within_source: compare the identities of one source, too.
        seed: of all samples.
        log: called with a line on what will be embedded and how long it takes, and on the
            thresholds.

    Returns:
        Duplicates, overlaps and the identities to exclude.

    Raises:
        InputError: an image can't be decoded, an embedding is not finite, or far too many
            identities are similar.
    """
    identities = inspection.dataset.identities
    indices = sample_images(inspection.labels, images_per_identity, seed)
    labels = inspection.labels[indices]
    in_sets = sum(len(pair_set.images) for pair_set in pair_sets)
    log(
        f"embedding {len(indices):,} images of {len(identities):,} identities (at most "
        f"{images_per_identity} of each)"
        + (f" and {in_sets:,} of verification sets" if pair_sets else "")
        + f": about {_duration((len(indices) + in_sets) / images_per_second(embedder))}"
    )
    embeddings_of_sets = [_embed_set(embedder, pair_set) for pair_set in pair_sets]
    _, sources = np.unique([identity.source for identity in identities], return_inverse=True)
    sizes = np.bincount(sources)
    in_largest = sources == sizes.argmax()
    sample = _one_image_each(labels, in_largest, seed)
    names = inspection.files.filenames(indices)
    centers, sampled = identity_centers(
        embed_batches(
            embedder, inspection.files.images(indices), names, what=inspection.folder.name
        ),
        labels,
        len(identities),
        names,
        sample,
    )

    source = identities[in_largest.argmax()].source
    probes = labels[sample][:_MAX_PROBES]
    overlaps = {}
    for pair_set, embeddings in zip(pair_sets, embeddings_of_sets, strict=True):
        level, line = _threshold(
            against_threshold,
            MIN_AGAINST_THRESHOLD,
            nearest_impostor(centers[probes], probes, sampled, labels[sample]),
            num_others=len(sample),
            num_compared=len(embeddings),
            source=source,
        )
        log(f"{pair_set.name}: threshold for identities that appear in it: {line}")
        overlaps[pair_set.name] = find_overlap(centers, embeddings, level)

    compared = within_source or len(sizes) > 1
    pairs = NO_PAIRS
    if compared:
        of_source = np.flatnonzero(in_largest)
        level, line = _threshold(
            threshold,
            MIN_THRESHOLD,
            nearest_impostor(centers[probes], probes, centers[of_source], of_source),
            num_others=len(of_source),
            num_compared=len(identities) - (0 if within_source else int(sizes.min())),
            source=source,
        )
        log(f"threshold for duplicate identities: {line}")
        pairs = similar_pairs(centers, sources, level, within_source=within_source)
    return DuplicateSearch(
        inspection=inspection,
        pair_sets={pair_set.name: pair_set for pair_set in pair_sets},
        compared=compared,
        pairs=pairs,
        overlaps=overlaps,
        excluded=choose_exclusions(pairs, overlaps, inspection.images_per_identity),
    )


def _embed_set(embedder: Embedder, pair_set: PairSet) -> np.ndarray:
    embeddings = embed_images(embedder, pair_set.images, pair_set.image_names, what=pair_set.name)
    return unit_embeddings(embeddings, pair_set.image_names)


def _one_image_each(labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Samples an image of each of up to `_MAX_SAMPLED` wanted identities; sorted indices."""
    _, images = np.unique(labels, return_index=True)
    images = images[wanted[labels[images]]]
    return np.sort(images[seeding.permutation(seeding.fold(seed), len(images))[:_MAX_SAMPLED]])


def _threshold(
    given: float | None,
    least: float,
    nearest: np.ndarray,
    *,
    num_others: int,
    num_compared: int,
    source: str,
) -> tuple[float, str]:
    """Returns the threshold to use and its description.

    Args: as `chance_threshold`; `nearest` is of identities of `source`.
    """
    level = given or least
    if num_others < 2:
        return level, f"{level:.3f}"
    if given is None:
        level = max(least, chance_threshold(nearest, num_others, num_compared))
    fraction = float(np.mean(nearest >= level))
    line = f"{level:.3f} ({fraction:.1%} of the identities of '{source}' match another of them)"
    if fraction > _TOO_MANY:
        line += ": most matches will be false: use a higher threshold"
    return level, line


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


# ---------------------------------------------------------------- comparing centers


def nearest_impostor(
    centers: np.ndarray, labels: np.ndarray, others: np.ndarray, other_labels: np.ndarray
) -> np.ndarray:
    """Returns the highest similarity of each identity to another identity.

    Args:
        centers: float32 [identities, embedding_size].
        labels: int [identities].
        others: float32 [others, embedding_size], centers or images.
        other_labels: int [others]; those of the same label are ignored.

    Returns:
        float32 [identities].
    """
    best = np.full(len(centers), -np.inf, np.float32)
    for column in range(0, len(others), _BLOCK):
        columns = slice(column, column + _BLOCK)
        block = centers @ others[columns].T
        block[labels[:, None] == other_labels[None, columns]] = -np.inf
        best = np.maximum(best, block.max(axis=1))
    return best


def chance_threshold(nearest: np.ndarray, num_others: int, num_compared: int) -> float:
    """Returns the threshold at which few identities have a false match.

    More comparisons give more false matches, so the accepted 5 % are reduced where `nearest` comes
    from fewer comparisons than there will be; but not below 2 %, because as many identities of a
    dataset may well be duplicates.

    Args:
        nearest: as `nearest_impostor` returns it for different people; at least one.
        num_others: the number of identities that each of them was compared with.
        num_compared: the number that each identity will be compared with.

    Returns:
        A similarity.
    """
    fraction = _FALSE_MATCHES * min(1.0, num_others / max(1, num_compared))
    return float(np.quantile(nearest, 1 - max(fraction, _MIN_FALSE_MATCHES)))


def similar_pairs(
    centers: np.ndarray, sources: np.ndarray, threshold: float, *, within_source: bool = False
) -> DuplicatePairs:
    """Finds the pairs of identities with similar centers.

    Args:
        centers: float32 [identities, embedding_size], of norm 1 or 0.
        sources: int [identities]; identities of one source are not compared.
        threshold: the smallest similarity of a pair, > 0.
        within_source: compare identities of one source, too.

    Returns:
        The pairs.

    Raises:
        InputError: there are more than `MAX_PAIRS`.
    """
    # With sources in runs, most blocks of one source alone needn't be computed.
    order = np.argsort(sources, kind="stable")
    centers, sources = centers[order], sources[order]
    starts = range(0, len(centers), _BLOCK)
    parts, num_pairs = [], 0
    with progress(
        total=len(starts) * (len(starts) + 1) // 2, description="comparing", unit="blocks"
    ) as bar:
        for row in starts:
            rows = slice(row, row + _BLOCK)
            for column in range(row, len(centers), _BLOCK):
                bar.update()
                columns = slice(column, column + _BLOCK)
                # Sorted, so the first and the last are one only if all between them are.
                last = min(column + _BLOCK, len(centers)) - 1
                if not within_source and sources[row] == sources[last]:
                    continue
                similarity = centers[rows] @ centers[columns].T
                first, second = np.nonzero(similarity >= threshold)
                found = similarity[first, second]
                first, second = first + row, second + column
                wanted = first < second
                if not within_source:
                    wanted &= sources[first] != sources[second]
                parts.append((order[first[wanted]], order[second[wanted]], found[wanted]))
                num_pairs += len(parts[-1][0])
                if num_pairs > MAX_PAIRS:
                    raise InputError(
                        f"more than {MAX_PAIRS:,} pairs of identities have a similarity of "
                        f"{threshold:g} or more: the model can't tell people apart there; use a "
                        "higher --threshold, or another model"
                    )
    parts.append((NO_PAIRS.first, NO_PAIRS.second, NO_PAIRS.similarity))
    one, other, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    first, second = np.minimum(one, other), np.maximum(one, other)
    by_similarity = np.lexsort((second, first, -similarity))
    return DuplicatePairs(first[by_similarity], second[by_similarity], similarity[by_similarity])


def find_overlap(centers: np.ndarray, images: np.ndarray, threshold: float) -> Overlap:
    """Finds the identities whose centers are similar to an image of a verification set.

    Args:
        centers: float32 [identities, embedding_size], of norm 1 or 0.
        images: float32 [images, embedding_size], embeddings of norm 1 or 0.
        threshold: the smallest similarity of a match, > 0.

    Returns:
        The matching identities.
    """
    nearest = np.empty(len(centers), np.int64)
    similarity = np.full(len(centers), -np.inf, np.float32)
    for row in range(0, len(centers), _BLOCK):
        rows = slice(row, row + _BLOCK)
        for column in range(0, len(images), _BLOCK):
            block = centers[rows] @ images[column : column + _BLOCK].T
            best = block.argmax(axis=1)
            value = block[np.arange(len(block)), best]
            better = value > similarity[rows]
            nearest[rows] = np.where(better, best + column, nearest[rows])
            similarity[rows] = np.where(better, value, similarity[rows])
    labels = np.flatnonzero(similarity >= threshold)
    labels = labels[np.argsort(-similarity[labels], kind="stable")]
    return Overlap(labels, nearest[labels], similarity[labels])


def choose_exclusions(
    pairs: DuplicatePairs, overlaps: Mapping[str, Overlap], num_images: np.ndarray
) -> dict[int, Exclusion]:
    """Chooses the identities to exclude, so that nobody is left twice or in a verification set.

    All identities that appear in a verification set are excluded, and their duplicates as well.
    The others are visited by descending number of images (for equal numbers, the lower label
    first): each is kept, and its duplicates are excluded. So every excluded identity is a duplicate
    of one that is kept or that appears in a verification set, and no two kept ones are duplicates.

    Args:
        pairs: duplicate identities.
        overlaps: pair set -> identities that appear in it.
        num_images: int [identities].

    Returns:
        label -> reason, sorted by label.
    """
    excluded: dict[int, Exclusion] = {}
    for name, of_set in overlaps.items():
        for label, image, similarity in zip(
            of_set.labels.tolist(), of_set.images.tolist(), of_set.similarity.tolist(), strict=True
        ):
            if label not in excluded or similarity > excluded[label].similarity:
                excluded[label] = Exclusion(None, name, image, similarity)
    in_sets = frozenset(excluded)

    similar: dict[int, list[tuple[int, float]]] = {}
    for first, second, similarity in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.similarity.tolist(), strict=True
    ):
        similar.setdefault(first, []).append((second, similarity))
        similar.setdefault(second, []).append((first, similarity))
    by_size = sorted(similar, key=lambda label: (label not in in_sets, -num_images[label], label))
    for label in by_size:
        if label in excluded and label not in in_sets:
            continue
        for other, similarity in similar[label]:
            excluded.setdefault(other, Exclusion(label, None, None, similarity))
    return dict(sorted(excluded.items()))
