"""Makes a verification set of labelled images, or writes one in another format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.pairs import PairSet, csv_pairs, find_format, load_pair_set, writing
from tfface.data.pairs.pair_sampling import DisjointFolds, deduplicate_images
from tfface.data.pairs.pair_set import NUM_FOLDS
from tfface.data.sources.image_files import ImageFiles
from tfface.data.sources.image_source import SourceImages
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.files import check_replaceable
from tfface.images.validation import find_undecodable_images

MOST_PAIRS = 6000
_MOST_NAMED = 20
_MOST_VALUES = 30


@dataclass(frozen=True)
class PairFileSummary:
    """What `make_pair_file` wrote.

    Attributes:
        num_identities: in the pairs; None where a set was given, which doesn't say who it shows.
        images_dir: what to give as --image-root with a list that was written without its images.
        groups_left_out: the given set's pairs have groups, which the format can't hold.
    """

    num_pairs: int
    num_genuine: int
    num_folds: int
    num_images: int
    num_identities: int | None = None
    images_dir: Path | None = None
    groups_left_out: bool = False


@dataclass(frozen=True)
class PairOptions:
    """How pairs are made of labelled images.

    Attributes:
        num_pairs: None for as many as the images allow, `MOST_PAIRS` at most.
        num_folds: > 1.
        seed: >= 0.
        first, second: conditions "NAME=VALUE[,VALUE]" on the first and the second image of each
            pair: the attribute has one of the values; all of them have to hold.
        group_by: an attribute; a pair's group is its two values, joined by "-" where they differ.
    """

    num_pairs: int | None = None
    num_folds: int = NUM_FOLDS
    seed: int = 0
    first: Sequence[str] = ()
    second: Sequence[str] = ()
    group_by: str | None = None


def make_pair_file(
    dataset: str,
    output: Path,
    *,
    format: str = "auto",
    images_dir: Path | None = None,
    with_images: bool = True,
    options: PairOptions | None = None,
    overwrite: bool = False,
) -> PairFileSummary:
    """Writes the verification set that `dataset` is, or pairs made of its images.

    Folds of pairs that are made here have no identity in common. Every image is decoded once
    before anything is written.

    Args:
        dataset: a verification set, as `load_pair_set` takes it, which is written as it is; or a
            source, as `tfface.data.records.conversion.convert` takes it.
        output: a `.bin` or a `.csv`, which has its images in a folder beside it.
        format: of a source, as `open_source` takes it.
        images_dir: of a verification set that is a list.
        with_images: whether a `.csv` gets its images; otherwise it names the source's own files.
        options: of pairs that are made; None for the defaults, and where a set is given.
        overwrite: replace what lies at `output`, whoever wrote it.

    Raises:
        InputError: the dataset, an option or an image is unusable (undecodable images are all
            named, as far as 20), the images don't allow such pairs, or `output` can't be written.
    """
    if output.suffix not in (".bin", ".csv"):
        raise InputError(f"{output}: a verification set is written as .bin or .csv")
    as_bin = output.suffix == ".bin"
    if as_bin and not with_images:
        raise InputError(f"{output}: a .bin always holds its images; a .csv can do without")
    if as_bin or not with_images:
        mark = writing.BIN_MARK if as_bin else writing.CSV_MARK
        check_replaceable(output, mark, overwrite=overwrite)
    else:
        writing.check_csv_output(output, overwrite=overwrite)

    if _is_pair_set(dataset, format):
        if options is not None:
            raise InputError(
                f"{dataset}: is a verification set, whose pairs are written as they are; pairs are "
                "chosen only where they are made of labelled images"
            )
        if not with_images:
            raise InputError(f"{dataset}: only a folder of labelled images can be referred to")
        pair_set = load_pair_set(dataset, images_dir=images_dir)
        source, num_identities = None, None
    else:
        if images_dir is not None:
            raise InputError(f"{dataset}: is no list of pairs, so --image-root says nothing")
        options = options or PairOptions()
        if as_bin:
            writing.check_bin_folds(options.num_folds)
            if options.group_by is not None:
                raise InputError(f"{output}: a .bin has no place for groups; write a .csv")
        source = open_source(dataset, format).source
        if not with_images and not isinstance(source, ImageFiles):
            raise InputError(f"{dataset}: its images are no files of their own to refer to")
        pair_set, num_identities = make_pair_set(source, options)

    _check_images(pair_set)
    if as_bin:
        writing.write_bin(pair_set, output)
    elif with_images:
        writing.write_csv(pair_set, output, overwrite=overwrite)
    else:
        writing.write_csv_list(pair_set, pair_set.image_names, output)
    return PairFileSummary(
        num_pairs=len(pair_set.first),
        num_genuine=int(np.count_nonzero(pair_set.is_genuine)),
        num_folds=pair_set.num_folds,
        num_images=len(pair_set.images),
        num_identities=num_identities,
        images_dir=None if with_images else source.root,
        groups_left_out=as_bin and pair_set.groups is not None,
    )


def make_pair_set(source, options: PairOptions) -> tuple[PairSet, int]:
    """Returns pairs of a source's images, and how many identities are in them.

    Args:
        source: as in `tfface.data.sources`.

    Raises:
        InputError: an attribute or a value isn't known, or the images don't allow such pairs.
    """
    if options.num_folds < 2:
        raise InputError(f"{options.num_folds} folds: accuracy needs at least 2")
    allowed = [_fulfilling(source, conditions) for conditions in (options.first, options.second)]
    folds = DisjointFolds(source.labels, options.num_folds, options.seed, *allowed)
    num_pairs = options.num_pairs
    if num_pairs is None:
        unit = 2 * options.num_folds
        num_pairs = max(min(folds.max_pairs, MOST_PAIRS) // unit, 1) * unit
    first, second, is_genuine = folds.make_pairs(num_pairs)
    groups = None
    if options.group_by is not None:
        values = source.attribute(options.group_by)
        groups = [
            "-".join(sorted({values[a], values[b]})) for a, b in zip(first, second, strict=True)
        ]
    images, first, second = deduplicate_images(first, second)
    pair_set = PairSet(
        name=source.name,
        images=SourceImages(source, images),
        image_names=[source.filename(image) for image in images],
        first=first,
        second=second,
        is_genuine=is_genuine,
        num_folds=options.num_folds,
        identities=source.labels[images],
        groups=groups,
    )
    return pair_set, len(np.unique(source.labels[images]))


def _is_pair_set(dataset: str, format: str) -> bool:
    """Whether a DATASET argument is a verification set; a CSV may be either."""
    module, path = find_format(dataset)
    return (
        format == "auto"
        and module is not None
        and (
            module is not csv_pairs or not Path(path).exists() or csv_pairs.holds_pairs(Path(path))
        )
    )


def _fulfilling(source, conditions: Sequence[str]) -> np.ndarray | None:
    """Returns which images fulfil all conditions: bool [num_images], None where there are none."""
    wanted: dict[str, list[str]] = {}
    for condition in conditions:
        name, equals, values = condition.partition("=")
        if not (name and equals and all(values.split(","))):
            raise InputError(f"'{condition}': expected NAME=VALUE or NAME=VALUE,VALUE")
        if name in wanted:
            raise InputError(
                f"'{condition}': {name} is given twice; several values are "
                f"{name}={','.join(wanted[name])},{values}"
            )
        wanted[name] = values.split(",")
    if not wanted:
        return None
    fulfilled = np.ones(source.num_images, bool)
    for name, values in wanted.items():
        found = source.attribute(name)
        known = sorted(set(found) - {""}, key=_by_number)
        for value in values:
            if value not in known:
                raise InputError(
                    f"{source.name}: no image has {name} '{value}'; there are: "
                    + (", ".join(known[:_MOST_VALUES]) or "none")
                    + (
                        f" and {len(known) - _MOST_VALUES} more"
                        if len(known) > _MOST_VALUES
                        else ""
                    )
                )
        fulfilled &= np.isin(found.astype(str), values)
    if not fulfilled.any():
        raise InputError(f"{source.name}: no image has {' and '.join(conditions)}")
    return fulfilled


def _by_number(text: str) -> list[tuple[int, int | str]]:
    """A key that sorts C2 before C10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def _check_images(pair_set: PairSet) -> None:
    """Raises InputError: images can't be decoded; they are all named, as far as 20."""
    found = find_undecodable_images(pair_set.images, pair_set.image_names)
    if found:
        lines = [f"{name}: {reason}" for name, reason in found[:_MOST_NAMED]]
        if len(found) > _MOST_NAMED:
            lines.append(f"and {len(found) - _MOST_NAMED} more images")
        raise InputError("\n".join(lines))
