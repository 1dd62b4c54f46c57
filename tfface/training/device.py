"""Preparing the device for a recipe, and errors of full memory that name what to reduce."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from tfface.data.augment import AUGMENTATIONS
from tfface.errors import InputError
from tfface.recipe import Recipe
from tfface.recipe.schema import DataConfig, TrainingConfig

_XLA_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"

# What a run does when memory runs out.
DATA, NETWORK = "while the data are read", "while the network is built"
STEP, EVALUATION = "in a training step", "while the trained network is evaluated"


def prepare_device(training: TrainingConfig, data: DataConfig) -> None:
    """Prepares the device for a recipe's `training` and `data`, before anything is computed.

    Raises InputError: the recipe asks for a GPU and there is none, or for what the backend can't.
    """
    if data.augment_on == "device" and not _is_tensorflow():
        raise InputError(
            f"data.augment_on: device works with KERAS_BACKEND=tensorflow only, and the backend is "
            f"{keras.backend.backend()}: use data.augment_on: host"
        )
    if training.deterministic:
        _make_deterministic()
    devices = keras.distribution.list_devices()
    if training.require_gpu and not any(name.startswith("gpu") for name in devices):
        raise InputError(
            f"training.require_gpu: the recipe asks for a GPU, and the backend "
            f"{keras.backend.backend()} finds only {', '.join(devices)}; check its driver and "
            "that this backend's package is the one for GPUs, or train here by --set "
            "training.require_gpu=false"
        )


def with_augmentation_place(recipe: Recipe, written: Recipe | None = None) -> Recipe:
    """Replaces `data.augment_on: auto` by where this run augments.

    Args:
        recipe: of the run.
        written: the recipe in the folder of a run that goes on, whose choice stays; None for none.

    Returns:
        The recipe with `device` or `host`.
    """
    if recipe.data.augment_on != "auto":
        return recipe
    place = "host"
    if _is_tensorflow() and recipe.training.distribution is None:
        place = "device" if _augments_best_on_device(recipe) else "host"
        if written is not None and written.data.augment_on != "auto":
            place = written.data.augment_on
    data = recipe.data.model_copy(update={"augment_on": place})
    return recipe.model_copy(update={"data": data})


def _augments_best_on_device(recipe: Recipe) -> bool:
    """Whether there is an accelerator, and all stages can be compiled with the training step."""
    classes = [AUGMENTATIONS[part.name] for part in recipe.data.augment]
    can_be_compiled = all(getattr(stage, "uses_xla", True) for stage in classes)
    devices = keras.distribution.list_devices()
    return bool(classes) and can_be_compiled and any(name.startswith("gpu") for name in devices)


def _is_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"


@contextmanager
def explaining_full_memory(recipe: Recipe, doing: str = STEP) -> Iterator[None]:
    """Within the block, turns errors of full memory into one that names what to reduce.

    Args:
        recipe: for the current values of its keys.
        doing: what the block does: `DATA`, `NETWORK`, `STEP` or `EVALUATION`.

    Raises:
        InputError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        # Each backend has an error of its own; this is the word in all of them.
        is_full = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
        if not is_full and type(error).__name__ != "ResourceExhaustedError":
            raise
        ways = ", ".join(_ways(recipe, doing))
        if doing == STEP:
            ways = (
                f"data.batch_size (now {recipe.data.batch_size}), and rerun with --resume; or in a "
                f"new run {ways}"
            )
        raise InputError(f"out of memory {doing}: reduce {ways}") from error


def _ways(recipe: Recipe, doing: str) -> list[str]:
    """Returns what may be reduced."""
    data, model, size = recipe.data, recipe.model, "x".join(map(str, recipe.data.image_size))
    of_size = f"data.image_size (now {size})"
    if doing == DATA:
        return [of_size, f"what is kept: data.cache (now {data.cache}; none keeps nothing)"]
    if doing == NETWORK:
        ways = [
            f"model.embedding_size (now {model.embedding_size})",
            "model.neck.hidden_units",
            of_size,
        ]
        return [*ways, f"model.backbone (now {model.backbone.name})", "the number of identities"]
    if doing == EVALUATION:
        return [of_size, "what evaluation names"]
    ways = [of_size]
    if recipe.training.precision in ("float32", "auto"):
        ways.append("training.precision (mixed_bfloat16 takes less)")
    if model.head is not None and model.head.options.get("sample_rate", 0) == 1:
        ways.append("model.head.sample_rate (with many identities: 0.1)")
    return ways


def _make_deterministic() -> None:
    """Uses operations whose result doesn't depend on the order in which numbers are added."""
    if keras.backend.backend() == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        if _XLA_DETERMINISTIC not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} {_XLA_DETERMINISTIC}".strip()
        return
    if keras.backend.backend() == "tensorflow":
        from tfface.kernels.device import make_tensorflow_deterministic

        make_tensorflow_deterministic()
