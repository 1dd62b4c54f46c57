"""The precision that a run computes in: as its recipe says, or the faster one."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from tfface import onednn
from tfface.errors import InputError, note
from tfface.kernels.device import is_tf_cpu
from tfface.processor import bfloat16_instructions
from tfface.recipe import Recipe
from tfface.recipe.schema import StageConfig
from tfface.training import stages
from tfface.training.recognizer import build_recognizer
from tfface.training.run_folder import RunFolder

FLOAT32, BFLOAT16, AUTO = "float32", "mixed_bfloat16", "auto"

# bfloat16 has to be so many times as fast: less may be chance, and float32 gives the same run on
# every machine.
_LEAST_GAIN = 1.05
# Steps are as long as these are many: the ratio of two precisions hardly depends on it.
_MOST_IMAGES = 32
# Of both precisions together, after a first step that is compiled; the fastest step of each counts.
_LEAST_ROUNDS, _MOST_ROUNDS, _SECONDS = 3, 20, 2.0


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Within the block, layers are made with a precision policy, which they remember."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_precision(
    recipe: Recipe, run: RunFolder, num_identities: int, teacher_size: int | None
) -> str:
    """Returns the precision of a run, and keeps it in the run's folder.

    `auto` is what the run began with; a run that begins measures steps on random images.

    Args:
        recipe: of the run.
        run: its folder, which has begun to be written.
        num_identities: of the head.
        teacher_size: values in an embedding of the teacher; None without one.

    Returns:
        `float32`, `mixed_bfloat16` or `mixed_float16`.

    Raises:
        InputError: `auto` can't be measured on several devices.
    """
    precision = recipe.training.precision
    if precision == AUTO:
        kept = run.precision() if run.has_begun() else None
        precision = kept or _measured_precision(recipe, num_identities, teacher_size)
    elif precision == FLOAT32 and _has_bfloat16() and is_tf_cpu():
        note(
            f"precision: float32; this processor has {' and '.join(bfloat16_instructions())}, with "
            "which bfloat16 is often faster: training.precision=auto measures it"
        )
    return precision


def check_is_fixed(recipe: Recipe) -> None:
    """Raises InputError: the precision is `auto`, which a benchmark doesn't choose."""
    if recipe.training.precision == AUTO:
        raise InputError(
            "training.precision: auto is chosen when a run begins; to measure, add --set "
            "training.precision=float32 or =mixed_bfloat16"
        )


def _has_bfloat16() -> bool:
    """Whether bfloat16 may be faster here."""
    return not is_tf_cpu() or (onednn.is_on() and bool(bfloat16_instructions()))


def _measured_precision(recipe: Recipe, num_identities: int, teacher_size: int | None) -> str:
    if recipe.training.distribution is not None:
        raise InputError(
            "training.precision: auto is measured on one device: choose float32 or mixed_bfloat16 "
            "with training.distribution"
        )
    if not _has_bfloat16():
        note("precision: float32; this processor has no instructions for bfloat16")
        return FLOAT32
    seconds = step_seconds(recipe, num_identities, teacher_size)
    gain = seconds[FLOAT32] / seconds[BFLOAT16]
    chosen = BFLOAT16 if gain >= _LEAST_GAIN else FLOAT32
    note(
        f"precision: {chosen}; a step took {seconds[FLOAT32]:.3f} s in float32 and "
        f"{seconds[BFLOAT16]:.3f} s in mixed_bfloat16"
    )
    return chosen


def step_seconds(recipe: Recipe, num_identities: int, teacher_size: int | None) -> dict[str, float]:
    """Measures a recipe's steps in float32 and in mixed_bfloat16, in turns, on random images.

    Args:
        recipe: its longest stage is measured, with up to 32 images in a batch.
        num_identities: of the head.
        teacher_size: values in an embedding of the teacher; None without one.

    Returns:
        Policy -> seconds of the fastest step.
    """
    stage = max(recipe.training.stages, key=lambda stage: stage.epochs)
    steps = {
        policy: _make_step(recipe, stage, policy, num_identities, teacher_size)
        for policy in (FLOAT32, BFLOAT16)
    }
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {policy: [] for policy in steps}
    started = time.perf_counter()
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and time.perf_counter() - started > _SECONDS:
            break
        for policy, step in steps.items():
            before = time.perf_counter()
            step()
            seconds[policy].append(time.perf_counter() - before)
    # Each is as large as the model that is trained.
    del steps, step
    gc.collect()
    return {policy: min(times) for policy, times in seconds.items()}


def _make_step(
    recipe: Recipe,
    stage: StageConfig,
    policy: str,
    num_identities: int,
    teacher_size: int | None,
) -> Callable[[], object]:
    """Returns a function that trains a model of random weights on a batch and waits for it."""
    # Steps take as long with any weights.
    backbone = recipe.model.backbone.model_copy(update={"weights": "none"})
    model = recipe.model.model_copy(update={"backbone": backbone, "init_from": None})
    with computing_in(policy):
        recognizer = build_recognizer(
            model,
            recipe.data.image_size,
            num_identities,
            Path(),
            steps_per_epoch=1,
            distillation=recipe.training.distillation,
        )
    stages.prepare(recognizer, stage, steps_per_epoch=1)
    rng = np.random.default_rng(0)
    count = min(recipe.data.batch_size, _MOST_IMAGES)
    images = rng.integers(0, 256, (count, *recipe.data.image_size, 3), dtype=np.uint8)
    labels = rng.integers(0, num_identities, count, dtype=np.int32)
    if teacher_size is not None:
        teacher = rng.normal(size=(count, teacher_size)).astype(np.float32)
        labels = {"identities": labels, "teacher": teacher}
    return lambda: recognizer.train_on_batch(images, labels)
