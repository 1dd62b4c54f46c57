"""What a recipe's sections must not say together, each for itself being right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfface.recipe.schema import Recipe


def misfits(recipe: Recipe) -> Iterator[str]:
    """Yields a line for each."""
    yield from _unmeasured(recipe)
    yield from _uncachable(recipe)
    yield from _not_augmented_on_device(recipe)
    yield from _without_embedding_layer(recipe)


def _unmeasured(recipe: Recipe) -> Iterator[str]:
    """Yields what stages watch that this validation doesn't measure."""
    validation = recipe.data.validation
    known = ["loss"]
    if validation is not None:
        by_pairs = validation.source is None and validation.by == "identity"
        known += (
            ["val_verification_accuracy", "val_verification_auc"]
            if by_pairs
            else ["val_loss", "val_accuracy"]
        )
    for number, stage in enumerate(recipe.training.stages):
        place = f"training.stages.{number}"
        if stage.early_stopping is not None and stage.early_stopping.monitor not in known:
            yield (
                f"{place}.early_stopping.monitor: '{stage.early_stopping.monitor}' is not measured "
                f"with this data.validation; measured are: {', '.join(known)}"
            )
        if stage.end_on_gap is not None and "val_accuracy" not in known:
            yield (
                f"{place}.end_on_gap: the accuracy of validation is not measured with this "
                "data.validation; validate by image or by a source"
            )


def _uncachable(recipe: Recipe) -> Iterator[str]:
    """Yields why the features can't be cached as the recipe says."""
    data = recipe.data
    if data.cache != "features":
        if data.augmented_copies is not None:
            yield "data.augmented_copies: only data.cache: features makes copies; leave it out"
        return
    if recipe.training.distribution is not None:
        yield (
            "data.cache: features are computed on one device, and don't go with "
            "training.distribution; use cache: memory"
        )
    if all(stage.freeze != "backbone" for stage in recipe.training.stages):
        yield (
            "data.cache: features stay the same only while the backbone is frozen, and no stage "
            "has freeze: backbone; use cache: memory"
        )
    if data.augment and data.augmented_copies is None:
        yield (
            "data.cache: augmented images have other features in each epoch; say after how many "
            "epochs they come again (data.augmented_copies: 5), or leave out data.augment"
        )
    if not data.augment and data.augmented_copies is not None:
        yield "data.augmented_copies: without data.augment all copies are the same; leave it out"


def _not_augmented_on_device(recipe: Recipe) -> Iterator[str]:
    """Yields why a step can't augment its images."""
    if recipe.data.augment_on == "device" and recipe.training.distribution is not None:
        yield (
            "data.augment_on: device is for a run on one device; with training.distribution use "
            "data.augment_on: host"
        )


def _without_embedding_layer(recipe: Recipe) -> Iterator[str]:
    """Yields what is said of the layer that makes the embedding where there is none."""
    if recipe.model.neck.embedding_l2 and recipe.model.embedding_size is None:
        yield (
            "model.neck.embedding_l2: with model.embedding_size: none there is no embedding layer "
            "to regularize; leave it out"
        )
