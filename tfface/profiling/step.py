"""Measures training steps of a sweep of recipes, with and without `fit`, and of plain Keras."""

import contextlib
import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfface import onednn
from tfface.autotune import untuned
from tfface.errors import InputError
from tfface.kernels.keras_internals import flatten_layers
from tfface.profiling.baselines import build_baseline_step, check_baseline_step
from tfface.profiling.interleaved_timing import Timing, images_per_second, time_interleaved
from tfface.profiling.subprocess_runs import WorkerProcess, peak_memory_bytes, reset_peak_memory
from tfface.recipe import Recipe, load
from tfface.training import stages
from tfface.training.feature_cache import split_at_frozen
from tfface.training.precision import check_is_fixed, computing_in
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.sweep_axes import SweepAxis, make_trials

# Large enough for a product of two such matrices to be bound by arithmetic, not by memory.
_MATRIX = 2048


def step_flops(recognizer: Recognizer, batch_size: int) -> float:
    """Returns the floating-point operations (additions and multiplications) of a training step.

    Counts convolutions and matrix products, once forward and twice backward, and the products with
    the class centers of the head. Everything else, about a percent, is ignored.

    Args:
        recognizer: A built recognizer.
        batch_size: Images in a step.
    """
    forward = sum(map(_layer_flops, flatten_layers(recognizer.embedder)))
    head = sum(math.prod(weight.shape) for weight in recognizer.head.trainable_weights)
    head *= getattr(recognizer.head, "sample_rate", 1.0)
    return 3.0 * batch_size * (forward + 2 * head)


def _layer_flops(layer: keras.layers.Layer) -> float:
    """Returns the operations of a layer in the forward pass of one image."""
    if isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D):
        positions = math.prod(layer.output.shape[1:-1])
        return 2.0 * positions * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.EinsumDense):
        input_axes, kernel_axes = layer.equation.split("->")[0].split(",")
        sizes = zip(kernel_axes, layer.kernel.shape, strict=True)
        num_new = math.prod(size for axis, size in sizes if axis not in input_axes)
        return 2.0 * math.prod(layer.input.shape[1:]) * num_new
    return 0.0


def matmul_flops_per_second() -> float:
    """Measures the floating-point operations per second of a float32 matrix product here."""
    matrix = keras.ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(_MATRIX, _MATRIX)).astype(np.float32)
    )
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        np.asarray(keras.ops.matmul(matrix, matrix))
        seconds.append(time.perf_counter() - start)
    return 2 * _MATRIX**3 / min(seconds)


BARE_STEP, FIT_STEP = "tfface", "tfface, in fit"
# Predictions of the backbone alone: a lower bound for a step with a frozen backbone.
PREDICT = "predict"
BASELINES = ("keras", "tf_keras")
_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """A training step to measure.

    Attributes:
        trial: Name of the trial of the sweep.
        implementation: `BARE_STEP`, `FIT_STEP`, `PREDICT` or one of `BASELINES`.
        recipe: The recipe. Its first stage is measured.
        num_identities: Number of classes of the head.
        xla: Whether XLA compiles the whole step.
        onednn: Whether TensorFlow uses oneDNN.
        num_steps: Steps in a round.
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
    """The results of a case.

    Attributes:
        case: The case.
        timing: Times of rounds of `case.num_steps` steps.
        flops_utilization: Operations per second, divided by those of a matrix product; None for
            baselines and predictions.
        peak_memory_bytes: Peak memory in a subprocess, in addition to that of the libraries.
    """

    case: Case
    timing: Timing
    flops_utilization: float | None
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        """Median seconds of a step."""
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
    """Returns all combinations of trials, identities, settings and implementations.

    Args:
        recipe_file: The recipe.
        overrides: `KEY=VALUE` changes of the recipe.
        sweep: Keys of the recipe to vary.
        identity_counts: Numbers of classes of the head.
        compare_with: Which of `BASELINES` to measure.
        xla: Whether to compile steps with XLA; may hold both.
        onednn_settings: Whether TensorFlow uses oneDNN; may hold both.
        num_steps: Steps in a round.
        trainer: Whether to measure steps in `fit`, too.

    Raises:
        InputError: A recipe is not valid, or the baseline does not support it.
    """
    cases = []
    for trial in make_trials(sweep, recipe_file.stem):
        recipe = load(recipe_file, REGISTRIES, [*overrides, *trial.overrides])
        if recipe.model.backbone.weights != "none":
            raise InputError(
                "step measures random weights, whose steps take as long: add "
                "--set model.backbone.weights=none"
            )
        if recipe.training.distillation is not None:
            raise InputError(
                "step measures steps on random labels, without a teacher, whose part is small: add "
                "--set training.distillation=none, with a head in model.head"
            )
        check_is_fixed(recipe)
        for library in compare_with:
            check_baseline_step(library, recipe)
        for num_identities, use_xla, use_onednn in itertools.product(
            identity_counts, xla, onednn_settings
        ):
            is_frozen = recipe.training.stages[0].freezes_backbone
            forward = (PREDICT,) if is_frozen and not use_xla else ()
            own = (BARE_STEP, FIT_STEP) if trainer else (BARE_STEP,)
            for implementation in (*forward, *own, *(() if use_xla else compare_with)):
                if implementation == BARE_STEP and keras.backend.backend() != "tensorflow":
                    # On other backends, only `fit` runs a step.
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
    """Measures the time of all cases in interleaved rounds, and the memory of each in a subprocess.

    Args:
        cases: As `plan_steps` returns them.
        num_rounds: Number of rounds, > 0.
        say: Called with lines about the progress.

    Returns:
        A measurement for each case.
    """
    say("matrix product, the upper bound of operations per second")
    matmul_flops = matmul_flops_per_second()
    peaks = []
    # First, while this process itself needs little memory.
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
        say(f"{num_rounds} rounds of {len(cases)} cases")
        timings = time_interleaved(functions, num_rounds)
    measurements = []
    for case, peak in zip(cases, peaks, strict=True):
        timing, num_flops = timings[case.name], flops[case.name]
        utilization = num_flops and num_flops * case.num_steps / timing.median / matmul_flops
        measurements.append(Measurement(case, timing, utilization, peak))
    return measurements


def rows(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Returns a row of results for each case; relative times are relative to the first case."""
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
    """Returns a JSON object for each case; `times_first` is relative to the first case."""
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
    """Returns a function that runs the steps of a round, and the operations of one of them.

    The latter are None for baselines and predictions.
    """
    recipe = case.recipe
    batch = synthetic_batch(recipe, case.num_identities)
    keras.utils.set_random_seed(0)
    if case.implementation in BASELINES:
        step = build_baseline_step(case.implementation, recipe, case.num_identities, batch)
        return _repeated(step, case.num_steps), None
    with computing_in(recipe.training.precision):
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
    """Returns forward pass, backward pass and update as one function, without Keras' trainer."""

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
    """Returns a batch of random images and labels.

    Args:
        recipe: Decides the shape.
        num_identities: Labels are below it.

    Returns:
        Images, uint8 [batch, height, width, 3], and labels, int32 [batch].
    """
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
