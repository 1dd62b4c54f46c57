"""How long a step of training takes, by what is varied, and beside plain Keras."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfface import onednn
from tfface.autotune import untuned
from tfface.errors import InputError
from tfface.profiling.baseline_step import build_baseline_step, check_baseline_step
from tfface.profiling.flops import matmul_flops_per_second, step_flops
from tfface.profiling.interleaved_timing import Timing, images_per_second, time_interleaved
from tfface.profiling.subprocess_runs import WorkerProcess, peak_memory_bytes, reset_peak_memory
from tfface.recipe import Recipe, load
from tfface.training import stages
from tfface.training.feature_cache import split_at_frozen
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.sweep import SweepAxis, make_trials

BARE_STEP, FIT_STEP = "tfface", "tfface, in fit"
# The backbone's predictions alone: what a step with a frozen backbone can't be faster than.
PREDICT = "predict"
BASELINES = ("keras", "tf_keras")
_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One step that is measurements.

    Attributes:
        variant: what is varied, as tables call it.
        who: `OWN`, `TRAINER`, `FORWARD` or one of `BESIDE`.
        recipe: whose first stage is measurements.
        num_identities: that the head tells apart.
        xla: whether the whole step is compiled by XLA.
        onednn: whether TensorFlow takes oneDNN's operations.
        num_steps: of a turn.
    """

    trial: str
    implementation: str
    recipe: Recipe
    num_identities: int
    xla: bool
    onednn: bool
    num_steps: int

    @property
    def name(self) -> str:
        xla = ", XLA" if self.xla else ""
        without = "" if self.onednn else ", without oneDNN"
        return (
            f"{self.implementation}, {self.trial}, {self.num_identities:,} identities{xla}{without}"
        )


@dataclass(frozen=True)
class Measurement:
    """What is known of a case.

    Attributes:
        turns: of `num_steps` steps each.
        of_ceiling: share of the operations a second that a product of matrices makes; None for what
            is not ours.
        peak: bytes of memory beyond what the libraries take, in a process of its own.
    """

    case: Case
    timing: Timing
    flops_utilization: float | None
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        """Of one step, the median."""
        return self.timing.median / self.case.num_steps


def plan_steps(
    recipe_file: Path,
    overrides: Sequence[str],
    sweep: Sequence[SweepAxis],
    identity_counts: Sequence[int],
    *,
    compare_with: Sequence[str],
    xla: Sequence[bool],
    onednn_settings: Sequence[bool],
    num_steps: int,
    trainer: bool = True,
) -> list[Case]:
    """Returns the cases, all of which have been checked.

    Args:
        trainer: whether the steps that `fit` makes are among them.
    Raises InputError: the recipe, a variant of it, or what it is measured beside is not possible.
    """
    cases = []
    for trial in make_trials(sweep, recipe_file.stem):
        recipe = load(recipe_file, REGISTRIES, [*overrides, *trial.overrides])
        if recipe.model.backbone.weights != "none":
            raise InputError(
                "step measures random weights, of which all steps are as long: add "
                "--set model.backbone.weights=none"
            )
        for library in compare_with:
            check_baseline_step(library, recipe)
        for num_identities, use_xla, use_onednn in itertools.product(
            identity_counts, xla, onednn_settings
        ):
            is_frozen = recipe.training.stages[0].freeze == "backbone"
            forward = (PREDICT,) if is_frozen and not use_xla else ()
            own = (BARE_STEP, FIT_STEP) if trainer else (BARE_STEP,)
            for implementation in (*forward, *own, *(() if use_xla else compare_with)):
                if implementation == BARE_STEP and keras.backend.backend() != "tensorflow":
                    # There `fit` is the only door to a step.
                    continue
                cases.append(
                    Case(
                        trial=trial.name,
                        implementation=implementation,
                        recipe=recipe,
                        num_identities=num_identities,
                        xla=use_xla,
                        onednn=use_onednn,
                        num_steps=num_steps,
                    )
                )
    return cases


def measure_steps(
    cases: Sequence[Case], *, num_rounds: int, say: Callable[[str], None] = lambda line: None
) -> list[Measurement]:
    """Measures all cases in turns, and each one's memory in a process of its own.

    Args:
        num_rounds: > 0, of which the median counts.
        say: is told what is being done.
    """
    say("a product of matrices, as the ceiling")
    matmul_flops = matmul_flops_per_second()
    peaks = []
    # Before there is anything here that takes memory, too.
    for case in cases:
        say(f"memory: {case.name}")
        with WorkerProcess(onednn.variables(case.onednn)) as process:
            peaks.append(process.call(_memory, case))
    functions, flops = {}, {}
    with contextlib.ExitStack() as processes:
        for case in cases:
            say(f"building: {case.name}")
            if case.onednn == onednn.is_on():
                functions[case.name], flops[case.name] = _build(case)
            else:
                process = processes.enter_context(WorkerProcess(onednn.variables(case.onednn)))
                functions[case.name], flops[case.name] = process.run, process.prepare(_build, case)
        say(f"{num_rounds} rounds of {len(cases)} turns")
        timings = time_interleaved(functions, num_rounds)
    measurements = []
    for case, peak in zip(cases, peaks, strict=True):
        timing, num_flops = timings[case.name], flops[case.name]
        utilization = num_flops and num_flops * case.num_steps / timing.median / matmul_flops
        measurements.append(Measurement(case, timing, utilization, peak))
    return measurements


def rows(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Returns the rows of results, one for each case; times are relative to the first."""
    found = []
    for measurement in measurements:
        case = measurement.case
        batch = case.recipe.data.batch_size
        found.append(
            {
                "implementation": case.implementation,
                "variant": case.trial,
                "num_identities": case.num_identities,
                "batch_size": batch,
                "precision": case.recipe.training.precision,
                "xla": case.xla,
                "onednn": case.onednn,
                "step_ms": 1000 * measurement.seconds,
                "baseline": measurements[0].case.name,
                "relative_time": measurement.timing.relative_time,
                "images_per_s": batch / measurement.seconds,
                "flops_utilization": measurement.flops_utilization,
                "peak_memory_mib": measurement.peak_memory_bytes / _MIB,
                "backend": keras.backend.backend()
                if case.implementation in (BARE_STEP, FIT_STEP, PREDICT)
                else "tensorflow",
            }
        )
    return found


def to_json(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Returns one object for each case; rates are images a second, ratios to the first."""
    found = []
    for measurement in measurements:
        num_images = measurement.case.recipe.data.batch_size * measurement.case.num_steps
        found.append(
            {
                "name": measurement.case.name,
                "images_per_second": images_per_second(num_images, measurement.timing.seconds),
                "step_seconds": measurement.seconds,
                "times_first": measurement.timing.relative_time,
                "share_of_ceiling": measurement.flops_utilization,
                "peak_bytes": measurement.peak_memory_bytes,
            }
        )
    return found


def _build(case: Case) -> tuple[Callable[[], object], float | None]:
    """Returns what makes the case's steps, and how many operations one of ours has."""
    recipe = case.recipe
    batch = synthetic_batch(recipe, case.num_identities)
    keras.utils.set_random_seed(0)
    if case.implementation in BASELINES:
        step = build_baseline_step(case.implementation, recipe, case.num_identities, batch)
        return _repeated(step, case.num_steps), None
    recognizer = build_recognizer(
        recipe.model, recipe.data.image_size, case.num_identities, Path(), steps_per_epoch=1
    )
    if case.implementation == PREDICT:
        frozen, _ = split_at_frozen(recognizer.embedder)
        return _repeated(lambda: frozen.predict_on_batch(batch[0])[0], case.num_steps), None
    stages.prepare(recognizer, recipe.training.stages[0], case.num_steps)
    recognizer.jit_compile = case.xla
    flops = step_flops(recognizer, recipe.data.batch_size)
    if case.implementation == BARE_STEP:
        return _repeated(_bare_step(recognizer, batch, case.xla), case.num_steps), flops
    batches = untuned(tf.data.Dataset.from_tensors(batch).repeat(case.num_steps))
    return functools.partial(recognizer.fit, batches, shuffle=False, verbose=0), flops


def _bare_step(
    recognizer: Recognizer, batch: tuple[np.ndarray, np.ndarray], xla: bool
) -> Callable[[], float]:
    """Forward, backward and update, without Keras' trainer."""

    @tf.function(autograph=False, jit_compile=xla)
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses, _ = recognizer.losses_and_correct(
                recognizer(images, training=True), labels, training=True
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [v.value for v in recognizer.trainable_variables])
        recognizer.optimizer.apply(gradients, recognizer.trainable_variables)
        return loss

    tensors = tuple(map(tf.constant, batch))
    return lambda: float(step(*tensors))


def _repeated(step: Callable[[], float], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            step()

    return run


def synthetic_batch(recipe: Recipe, num_identities: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a batch as the recipe wants it, of drawn pixels and labels."""
    generator = np.random.default_rng(0)
    shape = (recipe.data.batch_size, *recipe.data.image_size, 3)
    images = generator.integers(0, 256, shape, dtype=np.uint8)
    return images, generator.integers(0, num_identities, len(images), dtype=np.int32)


def _memory(case: Case) -> int:
    reset_peak_memory()
    before = peak_memory_bytes()
    run, _ = _build(case)
    run()
    return peak_memory_bytes() - before
