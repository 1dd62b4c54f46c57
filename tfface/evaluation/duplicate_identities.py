"""Who is who: identities of a dataset that are one person, by their embeddings.

An identity's center is the normalised mean of the normalised embeddings of its images. Similarities
are cosines. All works in bounded memory: 512 floats for each identity, and blocks of similarities.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfface import seeding
from tfface.errors import InputError
from tfface.progress import progress

# Rows and columns of a block of similarities: 64 MB.
_BLOCK = 4096
# Share of the identities that may be found by chance, and the least share that is tried for.
_CHANCE, _LEAST_CHANCE = 0.05, 0.02
# More than anybody will look at; a model that can't tell people apart makes billions.
MOST_PAIRS = 1_000_000


@dataclass(frozen=True)
class Pairs:
    """Pairs of identities that are alike, the most similar first.

    Attributes:
        first, second: int64 [pairs], labels; first < second.
        similarity: float32 [pairs], of the centers.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray


NO_PAIRS = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True)
class Found:
    """Identities that are like an image of a verification set, the most similar first.

    Attributes:
        labels: int64 [found].
        images: int64 [found], position of the most similar image in the set.
        similarity: float32 [found], of center and image.
    """

    labels: np.ndarray
    images: np.ndarray
    similarity: np.ndarray


def choose_images(labels: np.ndarray, per_identity: int, seed: int) -> np.ndarray:
    """Draws up to `per_identity` images of each identity; returns their indices, rising.

    Args:
        labels: int [images]; those below 0 are nobody's.
    """
    images = np.flatnonzero(labels >= 0)
    order = np.lexsort((seeding.words(seeding.fold(seed), len(images)), labels[images]))
    _, counts = np.unique(labels[images], return_counts=True)
    rank = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(images[order[rank < per_identity]])


def directions(embeddings: np.ndarray, names: Sequence[str], start: int = 0) -> np.ndarray:
    """Returns unit vectors, and 0 where an embedding is 0, as that of a blank image may be.

    Args:
        embeddings: float [batch, embedding_size].
        names: what to call each image in an error.
        start: position of the batch's first image in `names`.
    Raises InputError: an embedding holds NaN or infinity (the message names the image).
    """
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        row = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise InputError(f"the embedding of {names[start + row]} holds NaN or infinity")
    return embeddings / np.where(norms > 0, norms, 1)


def centers(
    batches: Iterable[np.ndarray],
    labels: np.ndarray,
    num_identities: int,
    names: Sequence[str],
    sample: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each identity's center, and the embeddings of some images as they are.

    Args:
        batches: embeddings of images in order, float [batch, embedding_size] each.
        labels: int [images], as many as the batches hold together, at least one.
        names: what to call each image in an error.
        sample: int [sample], rising: the images whose own embeddings are wanted.
    Returns: float32 [num_identities, embedding_size] and [sample, embedding_size], of length 1, or
        0 for an identity without images and where all embeddings are 0.
    Raises InputError: an embedding holds NaN or infinity.
    """
    sums, kept = None, []
    start = 0
    for batch in batches:
        if sums is None:
            sums = np.zeros((num_identities, batch.shape[1]), np.float32)
        stop = start + len(batch)
        units = directions(batch, names, start)
        np.add.at(sums, labels[start:stop], units)
        first, last = np.searchsorted(sample, (start, stop))
        kept.append(units[sample[first:last] - start])
        start = stop
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    sums /= np.where(norms > 0, norms, 1)
    return sums, np.concatenate(kept)


def nearest_other(
    centers: np.ndarray, own: np.ndarray, others: np.ndarray, others_own: np.ndarray
) -> np.ndarray:
    """Returns how similar each identity is to the one most like it among different people.

    Args:
        centers: float32 [identities, embedding_size].
        own: int [identities], their labels.
        others: float32 [others, embedding_size], centers or images.
        others_own: int [others], their labels; those of the same label are passed over.
    Returns: float32 [identities].
    """
    best = np.full(len(centers), -np.inf, np.float32)
    for column in range(0, len(others), _BLOCK):
        columns = slice(column, column + _BLOCK)
        block = centers @ others[columns].T
        block[own[:, None] == others_own[None, columns]] = -np.inf
        best = np.maximum(best, block.max(axis=1))
    return best


def chance_threshold(nearest: np.ndarray, num_others: int, num_compared: int) -> float:
    """Returns the similarity from which on few identities find somebody else by chance.

    The more are compared, the more is found by chance: so the 5 % of the identities that may be
    are made fewer where `nearest` was chosen from fewer than will be compared. But not fewer than
    2 %: so many of a dataset's identities may well be one person twice.

    Args:
        nearest: as `nearest_other` returns it for different people; at least one.
        num_others: how many each of them was compared with.
        num_compared: how many each identity will be compared with.
    """
    share = _CHANCE * min(1.0, num_others / max(1, num_compared))
    return float(np.quantile(nearest, 1 - max(share, _LEAST_CHANCE)))


def similar_pairs(
    centers: np.ndarray, sources: np.ndarray, threshold: float, *, within_source: bool = False
) -> Pairs:
    """Finds the pairs of identities whose centers are alike.

    Args:
        centers: float32 [identities, embedding_size], of length 1 or 0.
        sources: int [identities]; identities of one source are not compared.
        threshold: a similarity above 0; from it on two identities are a pair.
        within_source: compare identities of one source as well.
    Raises InputError: more than a million pairs.
    """
    # Sorted by source, most blocks of one source lie together and are left out.
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
                if num_pairs > MOST_PAIRS:
                    raise InputError(
                        f"more than {MOST_PAIRS:,} pairs of identities have a similarity of "
                        f"{threshold:g} or more: the model can't tell people apart there; take a "
                        "higher --threshold, or another model"
                    )
    parts.append((NO_PAIRS.first, NO_PAIRS.second, NO_PAIRS.similarity))
    one, other, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    first, second = np.minimum(one, other), np.maximum(one, other)
    by_similarity = np.lexsort((second, first, -similarity))
    return Pairs(first[by_similarity], second[by_similarity], similarity[by_similarity])


def find_among(centers: np.ndarray, images: np.ndarray, threshold: float) -> Found:
    """Finds the identities whose centers are like an image of a verification set.

    Args:
        centers: float32 [identities, embedding_size], of length 1 or 0.
        images: float32 [images, embedding_size], embeddings of length 1 or 0.
        threshold: a similarity above 0; from it on an identity is found.
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
    return Found(labels, nearest[labels], similarity[labels])


@dataclass(frozen=True)
class Exclusion:
    """Why an identity is left out.

    Attributes:
        other: label of the identity that is the same person; None for one of a verification set.
        set_name: the verification set; None for another identity.
        image: position of the image in that set.
        similarity: to the other identity or to the image.
    """

    other: int | None
    set_name: str | None
    image: int | None
    similarity: float


def choose_exclusions(
    pairs: Pairs, found: Mapping[str, Found], num_images: np.ndarray
) -> dict[int, Exclusion]:
    """Chooses whom to leave out, so that nobody is there twice, nor in a verification set.

    All identities found in a verification set go. The others are gone through from the one with the
    most images to the one with the fewest (of equals, the lower label first): each is kept, and
    those that make a pair with it go, unless they went before. So whoever goes makes a pair with
    one who is kept or is in a verification set, and no two who are kept make a pair. An identity
    that makes a pair with one of a verification set goes as well: it is that person, too.

    Args:
        num_images: int [identities].
    Returns: label -> why, labels rising.
    """
    excluded: dict[int, Exclusion] = {}
    for name, of_set in found.items():
        for label, image, similarity in zip(
            of_set.labels.tolist(), of_set.images.tolist(), of_set.similarity.tolist(), strict=True
        ):
            if label not in excluded or similarity > excluded[label].similarity:
                excluded[label] = Exclusion(None, name, image, similarity)
    in_sets = frozenset(excluded)

    alike: dict[int, list[tuple[int, float]]] = {}
    for first, second, similarity in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.similarity.tolist(), strict=True
    ):
        alike.setdefault(first, []).append((second, similarity))
        alike.setdefault(second, []).append((first, similarity))
    for label in sorted(alike, key=lambda label: (label not in in_sets, -num_images[label], label)):
        if label in excluded and label not in in_sets:
            continue
        for other, similarity in alike[label]:
            excluded.setdefault(other, Exclusion(label, None, None, similarity))
    return dict(sorted(excluded.items()))
