"""Makes verification sets of labeled images, or converts them to another format."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.pairs import (
    PairSet,
    csv_pairs,
    find_format,
    lfw_pairs,
    load_pair_set,
    writing,
)
from tfface.data.pairs.pair_sampling import DisjointFolds, deduplicate_images
from tfface.data.sources.image_files import ImageFiles
from tfface.data.sources.image_source import SourceImages
from tfface.data.sources.opening import open_source, source_paths
from tfface.errors import InputError
from tfface.images.validation import find_undecodable_images, lines_of_undecodable
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.names import natural_key
from tfface.output_paths import check_output, check_replaceable

MAX_PAIRS = 6000
_MAX_VALUES = 30


@dataclass(frozen=True)
class PairFileSummary:
    """A summary of `make_pair_file`.

    Attributes:
        num_pairs, num_genuine, num_folds, num_images: of the set.
        num_identities: in the pairs; None for a converted set, which may not know them.
        images_dir: the folder for --image-root, if a list was written without images.
        groups_left_out: whether the set has groups that the format can't represent.
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
    """Options for pairs of labeled images.

    Attributes:
        num_pairs: None for as many as the images allow, but at most `MAX_PAIRS`.
        num_folds: > 1.
        seed: >= 0.
        first, second: conditions "NAME=VALUE[,VALUE]" on the first and the second image of each
            pair; the attribute must have one of the values, and all conditions must hold.
        group_by: an attribute; a pair's group is its two values, joined by "-" if they differ.

    Example:
        >>> options = PairOptions(num_pairs=600, first=["pose=C7"], group_by="pose")
        >>> options.num_folds, options.seed
        (10, 0)
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
    """Converts a verification set, or makes one of labeled images.

    Folds of new pairs have no identity in common. Every image is decoded once before anything is
    written.

    Args:
        dataset: a verification set, see `load_pair_set`, whose pairs are kept; or a source, see
            `open_source`.
        output: a `.bin` file; or a `.csv` file, whose images are written to a folder next to it.
        format: of a source, see `open_source`.
        images_dir: of a verification set that is a list.
        with_images: write the images of a `.csv`; otherwise it refers to the source's files.
        options: of new pairs; None for the defaults, and for a verification set.
        overwrite: replace existing files, even if tfface didn't write them.

    Returns:
        A summary.

    Raises:
        InputError: the dataset, an option or an image can't be used (up to 20 undecodable images
            are named), the images don't allow such pairs, or `output` can't be written
            or is an input.
    """
    if output.suffix not in (".bin", ".csv"):
        raise InputError(f"{output}: a verification set is written as .bin or .csv")
    as_bin = output.suffix == ".bin"
    if as_bin and not with_images:
        raise InputError(f"{output}: a .bin always contains its images; write a .csv")
    written = [output]
    if not as_bin and with_images:
        written.append(writing.images_folder(output))
    inputs = _inputs(dataset, format, images_dir)
    _check_no_input(written, inputs)
    check_output(inputs[:1], output)
    if as_bin or not with_images:
        mark = writing.BIN_MARK if as_bin else writing.CSV_MARK
        check_replaceable(output, mark, overwrite=overwrite)
    else:
        writing.check_csv_output(output, overwrite=overwrite)

    if _is_pair_set(dataset, format):
        if options is not None:
            raise InputError(
                f"{dataset}: is a verification set, whose pairs are kept; options of pairs are for "
                "labeled images"
            )
        if not with_images:
            raise InputError(f"{dataset}: only images of a labeled folder can be referred to")
        pair_set = load_pair_set(dataset, images_dir=images_dir)
        source, num_identities = None, None
    else:
        if images_dir is not None:
            raise InputError(f"{dataset}: is not a list of pairs, so --image-root does not apply")
        options = options or PairOptions()
        if as_bin:
            writing.check_bin_folds(options.num_folds)
            if options.group_by is not None:
                raise InputError(f"{output}: a .bin can't have groups; write a .csv")
        source = open_source(dataset, format).source
        if not with_images and not isinstance(source, ImageFiles):
            raise InputError(
                f"{dataset}: its images are not separate files that can be referred to"
            )
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
    """Makes pairs of a source's images.

    Args:
        source: as in `tfface.data.sources`.
        options: of the pairs.

    Returns:
        The pairs, and the number of identities in them.

    Raises:
        InputError: an attribute or a value isn't known, or the images don't allow such pairs.
    """
    if options.num_folds < 2:
        raise InputError(f"{options.num_folds} folds: accuracy needs at least 2")
    allowed = [
        _matching_images(source, conditions) for conditions in (options.first, options.second)
    ]
    folds = DisjointFolds(source.labels, options.num_folds, options.seed, *allowed)
    num_pairs = options.num_pairs
    if num_pairs is None:
        unit = 2 * options.num_folds
        num_pairs = max(min(folds.max_pairs, MAX_PAIRS) // unit, 1) * unit
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


def _inputs(dataset: str, format: str, images_dir: Path | None) -> list[Path]:
    """Returns the files and folders that are read, as far as they are known before they are."""
    if not _is_pair_set(dataset, format):
        return source_paths(dataset)
    module, given = find_format(dataset)
    path = Path(given)
    if module is csv_pairs:
        return [path, images_dir or csv_pairs.images_folder(path)]
    if module is lfw_pairs:
        return [path, images_dir or path.parent / "images"]
    return [path]


def _check_no_input(written: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raises InputError: what is written is an input, or an input lies in it."""
    for output, read in itertools.product(written, inputs):
        if read.exists() and read.resolve().is_relative_to(output.resolve()):
            raise InputError(
                f"{output}: would be written, and the input {read} is or lies there: choose "
                "another output"
            )


def _is_pair_set(dataset: str, format: str) -> bool:
    """Whether a DATASET argument is a verification set; a CSV may also be a list of images."""
    module, path = find_format(dataset)
    return (
        format == "auto"
        and module is not None
        and (
            module is not csv_pairs or not Path(path).exists() or csv_pairs.holds_pairs(Path(path))
        )
    )


def _matching_images(source, conditions: Sequence[str]) -> np.ndarray | None:
    """Returns the images that match all conditions: bool [num_images]; None without conditions."""
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
    matches = np.ones(source.num_images, bool)
    for name, values in wanted.items():
        found = source.attribute(name)
        known = sorted(set(found) - {""}, key=natural_key)
        for value in values:
            if value not in known:
                raise InputError(
                    f"{source.name}: no image has {name} '{value}'; there are: "
                    + (", ".join(known[:_MAX_VALUES]) or "none")
                    + (f" and {len(known) - _MAX_VALUES} more" if len(known) > _MAX_VALUES else "")
                )
        matches &= np.isin(found.astype(str), values)
    if not matches.any():
        raise InputError(f"{source.name}: no image has {' and '.join(conditions)}")
    return matches


def _check_images(pair_set: PairSet) -> None:
    """Raises InputError: images can't be decoded; the message names up to 20."""
    found = find_undecodable_images(pair_set.images, pair_set.image_names)
    if found:
        raise InputError("\n".join(lines_of_undecodable(found)))
