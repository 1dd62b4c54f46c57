"""Validation across sections: keys that are valid by themselves but contradict each other."""

from collections.abc import Iterator

from tfface.recipe.schema import Recipe


def cross_field_errors(recipe: Recipe) -> Iterator[str]:
    """Yields one line for each contradiction, beginning with the path of a key."""
    yield from _unmeasured(recipe)
    yield from _uncachable(recipe)
    yield from _not_augmented_on_device(recipe)
    yield from _without_embedding_layer(recipe)
    yield from _without_head(recipe)
    yield from _head_of_another_network(recipe)


def measured_metrics(recipe: Recipe) -> list[str]:
    """Returns the metrics that an epoch measures and that a stage may watch."""
    validation = recipe.data.validation
    if validation is None:
        return ["loss"]
    if validation.source is None and validation.by == "identity":
        return ["loss", "val_verification_accuracy", "val_verification_auc"]
    known = ["loss", "val_loss"]
    if recipe.model.head is not None:
        known.append("val_accuracy")
    if recipe.training.distillation is not None:
        known.append("val_distillation_loss")
    return known


def _unmeasured(recipe: Recipe) -> Iterator[str]:
    """Yields what stages watch that this validation does not measure."""
    known = measured_metrics(recipe)
    for number, stage in enumerate(recipe.training.stages):
        path = f"training.stages.{number}"
        if stage.early_stopping is not None and stage.early_stopping.monitor not in known:
            yield (
                f"{path}.early_stopping.monitor: '{stage.early_stopping.monitor}' is not measured "
                f"with this data.validation; measured are: {', '.join(known)}"
            )
        if stage.overfit_stop is not None and "val_accuracy" not in known:
            yield (
                f"{path}.overfit_stop: validation accuracy is not measured with this "
                "data.validation; validate by image or with a source"
            )


def _uncachable(recipe: Recipe) -> Iterator[str]:
    """Yields why features cannot be cached as the recipe says."""
    data = recipe.data
    if data.cache != "features":
        if data.num_cached_augmentations is not None:
            yield "data.num_cached_augmentations: needs data.cache: features; leave it out"
        return
    if recipe.training.distribution is not None:
        yield (
            "data.cache: features are computed on one device and do not go with "
            "training.distribution; use cache: memory"
        )
    if not any(stage.freezes_backbone for stage in recipe.training.stages):
        yield (
            "data.cache: features stay the same only while the backbone is frozen, and no stage "
            "has freeze: backbone; use cache: memory"
        )
    if data.augment and data.num_cached_augmentations is None:
        yield (
            "data.cache: augmented images have other features in each epoch; give the number of "
            "epochs to cache and repeat (data.num_cached_augmentations: 5), or leave out "
            "data.augment"
        )
    if not data.augment and data.num_cached_augmentations is not None:
        yield (
            "data.num_cached_augmentations: all epochs are the same without data.augment; leave "
            "it out"
        )


def _not_augmented_on_device(recipe: Recipe) -> Iterator[str]:
    if recipe.data.augment_on == "device" and recipe.training.distribution is not None:
        yield (
            "data.augment_on: device is for a run on one device; with training.distribution use "
            "data.augment_on: host"
        )


def _without_embedding_layer(recipe: Recipe) -> Iterator[str]:
    if recipe.model.neck.embedding_l2 and recipe.model.embedding_size is None:
        yield (
            "model.neck.embedding_l2: with model.embedding_size: null there is no embedding layer "
            "to regularize; leave it out"
        )


def _without_head(recipe: Recipe) -> Iterator[str]:
    """Yields what a recipe without a head has nothing for."""
    if recipe.model.head is not None:
        return
    if recipe.training.distillation is None:
        yield (
            "model.head: without a head there is nothing to learn from but a teacher: name a head, "
            "or give training.distillation"
        )
    if recipe.evaluation.classification is not None:
        yield (
            "evaluation.classification: only a head classifies, and model.head is null; leave it "
            "out"
        )


def _head_of_another_network(recipe: Recipe) -> Iterator[str]:
    """Yields that class weights of a file are given to embeddings that start at random."""
    model = recipe.model
    if model.head is None or model.head.weights is None or model.init_from is not None:
        return
    # A network of a file has its weights there.
    if model.backbone.weights == "none" and "path" not in model.backbone.options:
        yield (
            "model.head.weights: class weights are of the embeddings of their own network; give "
            "its weights, too (model.backbone.weights)"
        )
