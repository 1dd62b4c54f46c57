"""The data of a run: sources, the split into training and validation, and their pipelines."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.augment.building import build_augmentations
from tfface.data.pairs import (
    FORMATS,
    PairSet,
    check_names,
    deduplicate_images,
    find_format,
    load_pair_set,
    make_pairs,
    num_possible_pairs,
    split_name,
)
from tfface.data.pipeline.epoch_order import FULL_BATCH, BatchShard, EpochOrder, PKOrder
from tfface.data.pipeline.pipeline import Pipeline, image_pipeline
from tfface.data.pipeline.split import split_by_identity, split_by_image
from tfface.data.records.identity_list import read_identity_list
from tfface.data.sources import SOURCES
from tfface.data.sources.image_source import ImageSource, SourceImages, Subset
from tfface.data.sources.photos import PhotosSource
from tfface.data.sources.synthetic import SyntheticSource
from tfface.errors import InputError
from tfface.evaluation.classification import match_classes
from tfface.evaluation.classifier import check_distinct_names
from tfface.evaluation.verification import check_pair_set
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.paths import expanded
from tfface.recipe import Recipe
from tfface.recipe.schema import SourceConfig
from tfface.registry import build_from_config
from tfface.training import multiprocess
from tfface.training.data_fingerprint import describe_source
from tfface.training.data_paths import hint_on_missing_data
from tfface.training.distillation import PLACE as TEACHER_PLACE
from tfface.training.distillation import Teacher

# Enough for a standard error below one percent, and quickly embedded.
MOST_GENUINE_PAIRS = 1000


@dataclasses.dataclass
class RunData:
    """The training, validation and test data of a run.

    Attributes:
        identities: names of the training identities; position = label.
        train: Pipeline of the training images.
        validation: Pipeline of images of the same identities, or None.
        validation_pairs: PairSet of held-out identities, or None.
        test_sets: the recipe's verification sets, loaded before training so that a missing one
            is an error at once.
        description: one line about all of them.
        training_images: the encoded training images, read on access.
        test_images: images of the training identities to classify after training, or None.
        held_out: the encoded images that the run is validated and tested with, by their key in the
            recipe; without synthetic faces.
        sources: `describe_source` of each source, and what identifies the teacher, by its key in
            the recipe.
        teacher_size: values in an embedding of the teacher, or None without one.
        notes: messages of the sources for the user.
    """

    identities: list[str]
    train: Pipeline
    validation: Pipeline | None
    validation_pairs: PairSet | None
    test_sets: list[PairSet]
    description: str
    training_images: SourceImages
    test_images: ImageSource | None = None
    held_out: dict[str, Sequence[bytes]] = dataclasses.field(default_factory=dict)
    sources: dict[str, dict] = dataclasses.field(default_factory=dict)
    teacher_size: int | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


def load_data(
    recipe: Recipe, data_dir: Path, cache_dir: Path, shard: BatchShard | None = None
) -> RunData:
    """Opens all data that a recipe names.

    Args:
        recipe: with `data`, `evaluation`, `about` and the seed.
        data_dir: where its relative paths start.
        cache_dir: where `cache: disk` and the embeddings of a teacher are written.
        shard: the rows of each batch that this process loads, if several devices share a batch; the
            last batch of validation is filled up then.

    Raises:
        InputError: data are missing (with the recipe's note on how to get them) or unusable.
    """
    try:
        test_sets = _load_test_sets(recipe.evaluation.verification, data_dir)
        source = _source(recipe.data.train, data_dir)
        validation_source = None
        if recipe.data.validation is not None and recipe.data.validation.source is not None:
            validation_source = _source(recipe.data.validation.source, data_dir)
        test_images = None
        if recipe.evaluation.classification is not None:
            test_images = _source(recipe.evaluation.classification, data_dir)
    except InputError as error:
        raise InputError(f"{error}{hint_on_missing_data(recipe, data_dir, error)}") from error
    excluded = _excluded(recipe, source, data_dir)
    data = _split(recipe, source, validation_source, excluded, test_sets, cache_dir, shard)
    data.sources["data.train"] = describe_source(source)
    if validation_source is not None:
        data.sources["data.validation"] = describe_source(validation_source)
    data.notes = _notes(
        {
            "data.train": source,
            "data.validation": validation_source,
            "evaluation.classification": test_images,
        }
    )
    if test_images is not None:
        data.test_images = _of_identities(test_images, source, excluded, data.identities)
        data.description += f", {data.test_images.num_images:,} images to test"
        images = SourceImages(data.test_images, np.arange(data.test_images.num_images))
        data.held_out["evaluation.classification"] = images
    for argument, pair_set in zip(recipe.evaluation.verification, test_sets, strict=True):
        if find_format(argument)[0] is not FORMATS["synthetic"]:
            data.held_out[f"evaluation.verification: {pair_set.name}"] = pair_set.images
    if recipe.training.distillation is not None:
        teacher = Teacher(recipe.training.distillation.teacher, data_dir, cache_dir)
        pairs = _pairs_of_photos(recipe, data)
        # The student would learn in silence what a teacher makes of wrong pixels.
        if pairs is not None and multiprocess.is_main_process():
            teacher.check_pixels(pairs)
        _teach(data, teacher)
    return data


def _pairs_of_photos(recipe: Recipe, data: RunData) -> PairSet | None:
    """Returns pairs of photos whose labels are known, of the evaluation or of training images.

    None if there are none.
    """
    for argument, pair_set in zip(recipe.evaluation.verification, data.test_sets, strict=True):
        if find_format(argument)[0] is not FORMATS["synthetic"]:
            return pair_set
    source, indices = data.train.reader.source, data.train.reader.indices
    without_people = (PhotosSource, SyntheticSource)
    if any(isinstance(origin, without_people) for origin, _ in source.origins(indices)):
        return None
    images = SourceImages(source, indices)
    labels = source.labels[indices]
    order = np.argsort(labels, kind="stable")
    same = np.flatnonzero(labels[order[:-1]] == labels[order[1:]])
    return PairSet(
        name="data.train",
        images=images,
        image_names=images.filenames(),
        first=order[same],
        second=order[same + 1],
        is_genuine=np.ones(len(same), bool),
    )


def _teach(data: RunData, teacher: Teacher) -> None:
    """Adds a teacher's embeddings to the batches of a run."""
    data.train = teacher.teach(data.train, "training images")
    if data.validation is not None:
        data.validation = teacher.teach(data.validation, "validation images")
    data.sources[TEACHER_PLACE] = teacher.describe()
    data.teacher_size = teacher.embedding_size


def open_training_images(
    recipe: Recipe, data_dir: Path
) -> tuple[ImageSource, np.ndarray, list[str]]:
    """Opens the training images of a recipe, and no other data.

    Returns:
        The source, int [n] indices of its training images, and the names of the training
        identities; position = label.

    Raises:
        InputError: the source is missing or unusable.
    """
    source = _source(recipe.data.train, data_dir)
    train_indices, _, identities = _divide(recipe, source, _excluded(recipe, source, data_dir))
    return source, train_indices, [source.identities[label].name for label in identities]


def _excluded(recipe: Recipe, source, data_dir: Path) -> np.ndarray:
    """Returns which identities the recipe excludes: bool [source.num_identities]."""
    if recipe.data.exclude is None:
        return np.zeros(source.num_identities, bool)
    try:
        excluded = read_identity_list(data_dir / expanded(recipe.data.exclude), source.identities)
    except InputError as error:
        raise InputError(f"data.exclude: {error}") from error
    if excluded.all():
        raise InputError(f"data.exclude: {recipe.data.exclude} lists everybody in data.train")
    return excluded


def _divide(
    recipe: Recipe, source: ImageSource, excluded: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns training images, held-out images, and the training labels in ascending order."""
    wanted = np.flatnonzero(~excluded[source.labels])
    validation, seed = recipe.data.validation, recipe.training.seed
    if validation is None or validation.source is not None:
        return wanted, wanted[:0], np.flatnonzero(~excluded)
    split = split_by_image if validation.by == "image" else split_by_identity
    train_indices, held_out = (
        wanted[side] for side in split(source.labels[wanted], validation.fraction, seed)
    )
    if validation.by == "image":
        return train_indices, held_out, np.flatnonzero(~excluded)
    return train_indices, held_out, np.unique(source.labels[train_indices])


def _split(recipe, source, validation_source, excluded, test_sets, cache_dir, shard) -> RunData:
    data, seed = recipe.data, recipe.training.seed
    labels = source.labels
    num_wanted = np.count_nonzero(~excluded[labels])
    num_identities = np.count_nonzero(~excluded)
    train_indices, held_out, identities = _divide(recipe, source, excluded)
    pairs = None
    description = f"{num_wanted:,} images of {num_identities:,} identities"
    if data.exclude is not None:
        description += (
            f" ({source.num_images - num_wanted:,} images of {np.count_nonzero(excluded):,} "
            f"identities excluded by {data.exclude})"
        )
    if data.validation is None:
        description += ", all to train"
    elif validation_source is not None:
        validation_labels = _validation_labels(source, validation_source)
        validation_indices = np.flatnonzero(~excluded[validation_labels])
        description += f" to train, {len(validation_indices):,} images to validate"
    elif data.validation.by == "image":
        description += f": {len(train_indices):,} images to train, {len(held_out):,} to validate"
    else:
        pairs = _pairs_of(source, held_out, seed)
        description += (
            f": {len(train_indices):,} images of {len(identities):,} identities to train, "
            f"{len(pairs.is_genuine):,} pairs of {num_identities - len(identities):,} unseen "
            "identities to validate"
        )
    if recipe.model.head is not None:
        _check_identities(source, train_indices, len(identities), description)
    # Images of other identities get some label, too, but are in no pipeline.
    new_labels = np.searchsorted(identities, np.arange(source.num_identities)).astype(np.int32)
    common = {
        "image_size": data.image_size,
        "cache": _image_cache(recipe),
        "cache_dir": cache_dir,
    }
    drawn_by = {"seed": seed, "shard": shard or FULL_BATCH}
    order: EpochOrder | PKOrder
    if data.samples_per_identity is None:
        order = EpochOrder(len(train_indices), data.batch_size, **drawn_by)
    else:
        train_labels = new_labels[labels[train_indices]]
        order = PKOrder(train_labels, data.batch_size, data.samples_per_identity, **drawn_by)
    train = image_pipeline(
        source,
        train_indices,
        order,
        labels=new_labels[labels],
        augment=build_augmentations(data.augment, data.image_size),
        **common,
    )
    last_batch = "keep" if shard is None else "fill"
    in_order = {"shuffle": False, "last_batch": last_batch, **drawn_by}
    validation = None
    if validation_source is not None:
        validation = image_pipeline(
            validation_source,
            validation_indices,
            EpochOrder(len(validation_indices), data.batch_size, **in_order),
            labels=new_labels[validation_labels],
            **common,
        )
    elif pairs is None and len(held_out):
        order = EpochOrder(len(held_out), data.batch_size, **in_order)
        validation = image_pipeline(source, held_out, order, labels=new_labels[labels], **common)
    if validation_source is not None:
        held_out_images = SourceImages(validation_source, validation_indices)
    else:
        held_out_images = SourceImages(source, held_out)
    return RunData(
        [source.identities[label].name for label in identities],
        train,
        validation,
        pairs,
        test_sets,
        description,
        training_images=SourceImages(source, train_indices),
        held_out={"data.validation": held_out_images} if len(held_out_images) else {},
    )


def _check_identities(
    source: ImageSource, train_indices: np.ndarray, num_identities: int, description: str
) -> None:
    """Raises InputError: the images have no identities for a head to learn."""
    if any(isinstance(origin, PhotosSource) for origin, _ in source.origins(train_indices)):
        raise InputError(
            "data.train: photos have no identities, and the head learns these: use model.head: "
            "null with training.distillation, or a source with identities"
        )
    if num_identities < 2:
        raise InputError(
            f"data.train: {description}: a model learns to tell people apart, so it needs images "
            "of two at least"
        )


def _image_cache(recipe: Recipe) -> str:
    """Returns how the images themselves are cached."""
    if recipe.data.cache != "features":
        return recipe.data.cache
    # Each image is decoded once, for its features, if nothing else needs it.
    once = not recipe.data.augment and all(
        stage.freezes_backbone for stage in recipe.training.stages
    )
    return "none" if once else "memory"


def _validation_labels(source, validation_source) -> np.ndarray:
    """Returns the label in `source` of each image of the validation source, by name.

    Raises InputError: its identities are not those of `source`.
    """
    names, wanted = (
        [identity.name for identity in one.identities] for one in (validation_source, source)
    )
    if names == wanted:
        return validation_source.labels
    check_distinct_names(wanted, "data.train: two identities")
    if sorted(names) != sorted(wanted):
        strange = sorted(set(names) ^ set(wanted))
        raise InputError(
            "data.validation: its identities must be those of data.train; these are in one of "
            f"them only: {', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''}"
        )
    return match_classes(validation_source, wanted)


def _of_identities(
    test_images: ImageSource, source: ImageSource, excluded: np.ndarray, identities: list[str]
) -> ImageSource:
    """Returns the test images without those of excluded identities.

    Raises:
        InputError: they have identities that are not in training, or none is left.
    """
    gone = {source.identities[label].name for label in np.flatnonzero(excluded)}
    stay = np.array([identity.name not in gone for identity in test_images.identities], bool)
    try:
        if not stay.all():
            images = np.flatnonzero(stay[test_images.labels])
            test_images = Subset(test_images, images, np.flatnonzero(stay))
        match_classes(test_images, identities)
    except InputError as error:
        raise InputError(f"evaluation.classification: {error}") from error
    if not test_images.num_images:
        raise InputError("evaluation.classification: data.exclude leaves none of its images")
    return test_images


def _source(config: SourceConfig, data_dir: Path):
    return build_from_config(SOURCES[config.name], config.options, data_dir, paths_start=data_dir)


def _notes(opened: Mapping[str, ImageSource | None]) -> list[str]:
    """Returns the notes of sources, with their keys in the recipe, each once.

    The parts of a split share the notes of its source.
    """
    place_of: dict[str, str] = {}
    for place, source in opened.items():
        for note in source.notes if source is not None else ():
            place_of.setdefault(note, place)
    return [f"{place}: {note}" for note, place in place_of.items()]


def _load_test_sets(arguments: list[str], data_dir: Path) -> list[PairSet]:
    """Loads pairs arguments, with paths relative to the data folder."""
    located = []
    for argument in arguments:
        name, equals, path = argument.rpartition("=")
        located.append(
            f"{name}{equals}{path if path == 'synthetic' else data_dir / expanded(path)}"
        )
    # Before reading: a set may have thousands of images.
    check_names([split_name(argument)[0] for argument in located], "evaluation.verification")
    pair_sets = []
    for argument in located:
        pair_sets.append(load_pair_set(argument))
        check_pair_set(pair_sets[-1])
    return pair_sets


def _pairs_of(source, indices: np.ndarray, seed: int) -> PairSet:
    """Makes a pair set from the images of held-out identities."""
    labels = source.labels[indices]
    possible = num_possible_pairs(labels)
    num_genuine = min(MOST_GENUINE_PAIRS, *possible)
    num_folds = min(NUM_FOLDS, num_genuine)
    if num_folds < 2:
        raise InputError(
            f"data.validation: {len(indices)} images of {len(np.unique(labels))} held-out "
            f"identities make {possible[0]} genuine and {possible[1]} impostor pairs, which is too "
            "few to judge by; hold out more, or split by image"
        )
    num_genuine -= num_genuine % num_folds
    first, second, is_genuine = make_pairs(labels, 2 * num_genuine, seed, num_folds)
    used, first, second = deduplicate_images(first, second)
    indices = indices[used]
    return PairSet(
        name="validation",
        images=[source.read(index).encoded for index in indices],
        image_names=[source.filename(index) for index in indices],
        first=first,
        second=second,
        is_genuine=is_genuine,
        num_folds=num_folds,
        identities=labels[used],
    )
