"""Measures epochs of a recipe's stage, with one setting changed at a time.

The settings are cache, augmentation, prefetch and batch size.
"""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from tfface.errors import InputError
from tfface.profiling.interleaved_timing import images_per_second
from tfface.profiling.subprocess_runs import peak_memory_bytes, reset_peak_memory, run_in_subprocess
from tfface.recipe import Recipe, load
from tfface.training import stages
from tfface.training.datasets import load_data
from tfface.training.device import with_augmentation_place
from tfface.training.feature_cache import FeatureCache
from tfface.training.precision import check_is_fixed, computing_in
from tfface.training.recognizer import build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.stage_task import image_task

UNCHANGED = "as the recipe says"
WITHOUT_AUGMENTATION = "without augmentation"
WITHOUT_PREFETCH = "without prefetch"
_MIB = 1 << 20
# Smaller differences may be noise.
_MIN_DIFFERENCE = 0.05


@dataclasses.dataclass(frozen=True)
class Case:
    """A stage of a recipe with one setting changed.

    Attributes:
        name: The changed setting, as tables show it.
        recipe: The changed recipe.
        stage: Index of the stage.
        prefetch: Whether batches are prefetched.
    """

    name: str
    recipe: Recipe
    stage: int
    prefetch: bool = True


@dataclasses.dataclass(frozen=True)
class EpochTime:
    """The time of an epoch.

    Attributes:
        seconds: Wall-clock time.
        data_wait_seconds: Part of it in which `fit` waited for batches.
        cpu_seconds: Processor time, summed over all processors.
    """

    seconds: float
    data_wait_seconds: float
    cpu_seconds: float


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The results of a case.

    Attributes:
        case: The case.
        num_images: Images in an epoch.
        first: The first epoch, which decodes, fills caches and compiles.
        steady: The epochs after it.
        relative_time: Time per image, divided by that of the first case in the same round; the
            median over the rounds.
        peak_memory_bytes: Peak memory in a subprocess, in addition to that of the libraries; None
            if it was not measured.
    """

    case: Case
    num_images: int
    first: EpochTime
    steady: tuple[EpochTime, ...]
    relative_time: float
    peak_memory_bytes: int | None

    @property
    def seconds(self) -> float:
        """Median seconds of a steady epoch."""
        return statistics.median(epoch.seconds for epoch in self.steady)

    @property
    def data_wait_fraction(self) -> float:
        """Fraction of the steady epochs in which `fit` waited for batches."""
        return _sum(self.steady, "data_wait_seconds") / _sum(self.steady, "seconds")

    @property
    def cpu_utilization(self) -> float:
        """Fraction of the time of all processors that the steady epochs used."""
        capacity = _sum(self.steady, "seconds") * os.cpu_count()
        return min(_sum(self.steady, "cpu_seconds") / capacity, 1.0)


def plan_epochs(
    recipe_file: Path, overrides: Sequence[str], *, batch_sizes: Sequence[int] = (), stage: int = 0
) -> list[Case]:
    """Returns the cases of a recipe: unchanged, and with one setting changed at a time.

    Args:
        recipe_file: The recipe.
        overrides: `KEY=VALUE` changes of the recipe.
        batch_sizes: Batch sizes to measure in addition to that of the recipe.
        stage: Index of the stage to measure.

    Raises:
        InputError: The recipe is not valid, has no such stage, or its precision is `auto`.
    """

    def changed(*more: str) -> Recipe:
        return load(recipe_file, REGISTRIES, [*overrides, *more])

    recipe = changed()
    check_is_fixed(recipe)
    if stage >= len(recipe.training.stages):
        raise InputError(
            f"--stage {stage}: the recipe's stages are 0 to {len(recipe.training.stages) - 1}"
        )
    data = recipe.data
    cases = [Case(UNCHANGED, recipe, stage)]
    for cache in ("none", "memory"):
        if data.cache != cache:
            more = ["data.num_cached_augmentations=null"] if data.cache == "features" else []
            cases.append(Case(f"cache: {cache}", changed(f"data.cache={cache}", *more), stage))
    if data.augment:
        more = ["data.augment=[]", "data.num_cached_augmentations=null"]
        cases.append(Case(WITHOUT_AUGMENTATION, changed(*more), stage))
    if recipe.training.stages[stage].freezes_backbone and data.cache != "features":
        more = ["data.cache=features"]
        if data.augment:
            more.append("data.num_cached_augmentations=1")
        cases.append(Case("cache: features", changed(*more), stage))
    cases.append(Case(WITHOUT_PREFETCH, recipe, stage, prefetch=False))
    cases += [
        Case(f"batch size {size}", changed(f"data.batch_size={size}"), stage)
        for size in batch_sizes
        if size != data.batch_size
    ]
    return cases


def measure_epochs(
    cases: Sequence[Case],
    data_dir: Path,
    *,
    num_rounds: int,
    memory: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> list[Measurement]:
    """Measures the time of all cases in interleaved rounds, and the memory of each in a subprocess.

    Args:
        cases: As `plan_epochs` returns them.
        data_dir: Where the recipe's relative paths start.
        num_rounds: Steady epochs of each case, > 0.
        memory: Whether to measure memory, which takes two more epochs of each case.
        say: Called with lines about the progress.

    Returns:
        A measurement for each case.

    Raises:
        InputError: The data is missing or unusable.
    """
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        runs, first = [], []
        for number, case in enumerate(cases):
            say(f"first epoch: {case.name}")
            # Each case fills its own cache.
            runs.append(_StageRun(case, data_dir, Path(folder) / str(number)))
            first.append(runs[-1].epoch())
        rounds = []
        for number in range(num_rounds):
            say(f"round {number + 1} of {num_rounds}")
            rounds.append([run.epoch() for run in runs])
        num_images = [run.num_images for run in runs]
        del runs
    measurements = []
    for position, case in enumerate(cases):
        if memory:
            say(f"memory: {case.name}")
        measurements.append(
            Measurement(
                case,
                num_images[position],
                first[position],
                tuple(epochs[position] for epochs in rounds),
                statistics.median(
                    epochs[position].seconds
                    / num_images[position]
                    / (epochs[0].seconds / num_images[0])
                    for epochs in rounds
                ),
                run_in_subprocess(_memory, case, data_dir) if memory else None,
            )
        )
    return measurements


def rows(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Returns a row of results for each case; relative times are per image, to the first case."""
    return [
        {
            "variant": measurement.case.name,
            "stage": measurement.case.recipe.training.stages[measurement.case.stage].name,
            "num_images": measurement.num_images,
            "batch_size": measurement.case.recipe.data.batch_size,
            "first_epoch_s": measurement.first.seconds,
            "steady_epoch_s": measurement.seconds,
            "baseline": measurements[0].case.name,
            "relative_time": measurement.relative_time,
            "images_per_s": measurement.num_images / measurement.seconds,
            "data_wait_fraction": measurement.data_wait_fraction,
            "cpu_utilization": measurement.cpu_utilization,
            "peak_memory_mib": None
            if measurement.peak_memory_bytes is None
            else measurement.peak_memory_bytes / _MIB,
            "backend": keras.backend.backend(),
        }
        for measurement in measurements
    ]


def to_json(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Returns a JSON object for each case; fractions are in [0, 1]."""
    found = []
    for measurement in measurements:
        found.append(
            {
                "name": measurement.case.name,
                "images_per_second": images_per_second(
                    measurement.num_images, [epoch.seconds for epoch in measurement.steady]
                ),
                "num_images": measurement.num_images,
                "batch_size": measurement.case.recipe.data.batch_size,
                "first_epoch_seconds": measurement.first.seconds,
                "steady_epoch_seconds": measurement.seconds,
                "times_first": measurement.relative_time,
                "data_wait_fraction": measurement.data_wait_fraction,
                "processor_fraction": measurement.cpu_utilization,
                "peak_bytes": measurement.peak_memory_bytes,
            }
        )
    return found


def advice(measurements: Sequence[Measurement]) -> str:
    """Returns one sentence that recommends a change.

    Args:
        measurements: As `measure_epochs` returns them, the unchanged recipe first.
    """
    base, others = measurements[0], measurements[1:]
    # Training without augmentation gives another model: its cost is reported, not recommended.
    by_name = {measurement.case.name: measurement for measurement in others}
    without = by_name.pop(WITHOUT_AUGMENTATION, None)
    best = min(by_name.values(), key=lambda measurement: measurement.relative_time)
    if best.relative_time < 1 - _MIN_DIFFERENCE:
        return (
            f"recommended change: '{best.case.name}'; a steady epoch then takes "
            f"{best.relative_time:.2f} times as long"
        )
    min_difference = max(_MIN_DIFFERENCE, base.data_wait_fraction)
    if without is not None and without.relative_time < 1 - min_difference:
        return (
            "augmentation is the largest cost besides the network: without it a steady epoch "
            f"takes {without.relative_time:.2f} times as long"
        )
    if base.data_wait_fraction > _MIN_DIFFERENCE:
        return (
            f"the input pipeline limits training: {100 * base.data_wait_fraction:.0f}% of an epoch "
            "is waiting for data, and no other cache or batch size helps; "
            "'tfface benchmark pipeline' shows the slowest stage"
        )
    return (
        f"the network limits training: only {100 * base.data_wait_fraction:.0f}% of an epoch is "
        "waiting for data"
    )


class _StageRun:
    """A stage of a recipe that is ready to train."""

    def __init__(self, case: Case, data_dir: Path, cache_dir: Path):
        recipe = case.recipe
        keras.utils.set_random_seed(recipe.training.seed)
        data = load_data(recipe, data_dir, cache_dir)
        data.train.prefetch = case.prefetch
        with computing_in(recipe.training.precision):
            recognizer = build_recognizer(
                recipe.model,
                recipe.data.image_size,
                len(data.identities),
                data_dir,
                data.train.steps_per_epoch,
                distillation=recipe.training.distillation,
            )
        stages.prepare(recognizer, recipe.training.stages[case.stage], data.train.steps_per_epoch)
        if recipe.data.cache == "features":
            features = FeatureCache(recognizer, data, recipe.data.num_cached_augmentations)
            self._task = features.task(0)
        else:
            place = with_augmentation_place(recipe).data.augment_on
            self._task = image_task(recognizer, data, augment_on=place)
        self._epoch_number = 0
        self._wait_timer = DataWaitTimer(self._task.model)
        train = self._task.train
        self.num_images = train.steps_per_epoch * train.batch_size

    def epoch(self) -> EpochTime:
        self._wait_timer.seconds = 0.0
        cpu_start, start = time.process_time(), time.perf_counter()
        with self._task.train.naming_bad_images():
            self._task.model.fit(
                self._task.train.epoch(self._epoch_number),
                shuffle=False,
                verbose=0,
                callbacks=[self._wait_timer],
            )
        self._epoch_number += 1
        seconds = time.perf_counter() - start
        return EpochTime(seconds, self._wait_timer.seconds, time.process_time() - cpu_start)


class DataWaitTimer(keras.callbacks.Callback):
    """A Keras callback that measures how long `fit` waits for batches.

    Args:
        model: The compiled model whose `fit` gets this callback.

    Attributes:
        seconds: Seconds waited so far.
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.seconds = 0.0
        self._since = None
        if keras.backend.backend() == "tensorflow":
            model.train_function = self._fetch_separately(model)

    def on_epoch_begin(self, epoch, logs=None):
        self._since = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        # On TensorFlow, the batch has not been fetched yet.
        if keras.backend.backend() != "tensorflow":
            self.seconds += time.perf_counter() - self._since

    def on_train_batch_end(self, batch, logs=None):
        # Waits for backends that compute asynchronously.
        float(logs["loss"])
        self._since = time.perf_counter()

    def _fetch_separately(self, model: keras.Model) -> Callable:
        """Returns Keras' train function, but with the batch fetched before the step."""
        import tensorflow as tf

        step = tf.function(model.train_step, jit_compile=model.jit_compile, autograph=False)

        def fetch_and_step(iterator):
            start = time.perf_counter()
            batch = iterator.get_next()
            self.seconds += time.perf_counter() - start
            return step(batch)

        return fetch_and_step


def _memory(case: Case, data_dir: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        reset_peak_memory()
        before = peak_memory_bytes()
        run = _StageRun(case, data_dir, Path(folder))
        run.epoch()
        run.epoch()
        return peak_memory_bytes() - before


def _sum(epochs: Sequence[EpochTime], what: str) -> float:
    return sum(getattr(epoch, what) for epoch in epochs)
