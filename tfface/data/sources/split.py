"""The training, validation or test images of another source."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tfface import seeding
from tfface.data.pipeline.split import most_of_each, split_into_parts
from tfface.data.sources.image_source import ImageSource, Subset
from tfface.data.sources.opening import detect_format, open_nested, read_nested
from tfface.data.sources.source_registry import SOURCES
from tfface.errors import InputError

PARTS = ("train", "validation", "test")
_FRACTIONS = (0.7, 0.2, 0.1)
# Of the sum of fractions, which may be written with few digits.
_TOLERANCE = 1e-6

Fractions = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=3)]
Count = Annotated[int, Field(ge=1)]


def open_split(
    path: Path | None = None,
    of: dict[str, Any] | None = None,
    subset: Literal["train", "validation", "test"] = "train",
    fractions: Fractions | None = None,
    shots: Count | None = None,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    num_identities: Count | None = None,
    min_images: Count | None = None,
    max_images: Count | None = None,
    *,
    name: str | None = None,
    paths_start: Path = Path(),
) -> Subset:
    """Opens a source and takes one part of it, in which every identity has its share of images.

    All parts list the same identities under the same labels, and everybody has an image in train;
    in the others identities with few images may have none. Which images are in a part is decided
    by their order in the source and by the seed.

    Args:
        path: the source, opened as what it is recognized as; or give `of`.
        of: the source as a recipe says it, with its options.
        subset: which part to take.
        fractions: shares of train, validation and test, or of train and test; their sum is 1. By
            default 0.7, 0.2 and 0.1. With `shots`, of validation and test in what is left
            then, or [1], which is the default: all of it to test.
        shots: so many images of each identity are in train, and those of identities with no
            more are all there.
        seed: of all that is drawn.
        num_identities: keep so many identities, drawn by the seed, and leave out the others.
        min_images: leave out identities with fewer images in the source.
        max_images: keep at most so many images of each identity in this part.
        name: what to call the source in `Identity.source`.
        paths_start: where relative paths in `of` start.

    Raises:
        InputError: the source can't be opened, the fractions don't fit, fewer identities are there
            than wanted, or the part is empty.
    """
    names, shares = _parts(fractions, shots)
    if subset not in names:
        raise InputError(
            f"source split: {'' if shots is None else 'shots and '}fractions "
            f"{', '.join(f'{share:g}' for share in shares)} make no subset '{subset}': choose "
            f"{' or '.join(names)}"
        )
    source = _open(path, of, name, paths_start)
    kept = _identities(source, num_identities, min_images, seed)
    wanted = np.flatnonzero(np.isin(source.labels, kept))
    parts = split_into_parts(source.labels[wanted], shares, seed, shots)
    images = wanted[parts[names.index(subset)]]
    if max_images is not None:
        images = images[most_of_each(source.labels[images], max_images, seeding.fold(seed, 1))]
    if not len(images):
        raise InputError(
            f"{source.name}: subset '{subset}' of the split is empty: {len(wanted):,} images of "
            f"{len(kept):,} identities are too few (each identity keeps one image in train)"
        )
    num_gone = source.num_identities - len(np.unique(source.labels[images]))
    why = f"not in subset {subset} of the split"
    return Subset(source, images, kept, (why, num_gone, source.num_images - len(images)))


def _parts(fractions: list[float] | None, shots: int | None) -> tuple[tuple[str, ...], list[float]]:
    """Returns the names of the parts, and the fractions for `split_into_parts`."""
    if fractions is None:
        fractions = list(_FRACTIONS) if shots is None else [1.0]
    shown = ", ".join(f"{share:g}" for share in fractions)
    if abs(sum(fractions) - 1) > _TOLERANCE:
        raise InputError(
            f"source split: the fractions {shown} sum to {sum(fractions):g}; they must sum to 1"
        )
    num_parts = len(fractions) + (shots is not None)
    if num_parts == 2:
        return ("train", "test"), fractions
    if num_parts == 3:
        return PARTS, fractions
    if shots is None:
        raise InputError(
            "source split: got one fraction: give two (train, test) or three (train, validation, "
            "test)"
        )
    raise InputError(
        "source split: with shots, fractions divide the remaining images: give those of "
        f"validation and test, or [1] to test with all of them; got {shown}"
    )


def _open(
    path: Path | None, of: dict[str, Any] | None, name: str | None, paths_start: Path
) -> ImageSource:
    if (path is None) == (of is None):
        raise InputError(
            "source split: give the source to split, either as 'path: PATH' or as "
            "'of: {source: NAME, ...}'"
        )
    if of is not None:
        return open_nested(read_nested(of, "source split: of"), paths_start, name)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return SOURCES[detect_format(path)](path, name=name)


def _identities(
    source: ImageSource, num_identities: int | None, min_images: int | None, seed: int
) -> np.ndarray:
    """Returns the sorted labels of the identities that are kept: int64."""
    counts = np.bincount(source.labels, minlength=source.num_identities)
    kept = np.flatnonzero(counts >= (min_images or 1))
    if not len(kept):
        raise InputError(
            f"{source.name}: no identity has the {min_images} images that min_images requires; "
            f"the largest has {counts.max()}"
        )
    if num_identities is None:
        return kept
    if len(kept) < num_identities:
        having = f" with {min_images} images or more" if min_images else ""
        raise InputError(
            f"{source.name}: num_identities is {num_identities:,}, but there are only "
            f"{len(kept):,} identities{having}"
        )
    drawn = seeding.permutation(seeding.fold(seed, 0, 0), len(kept))[:num_identities]
    return np.sort(kept[drawn])
