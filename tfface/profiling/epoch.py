"""How long an epoch takes, and what cache, augmentation, prefetch and the size of batches do to it.

The question of the transfer-learning experiments, answered for any recipe: the same epochs with one
thing changed at a time, in turns.
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
from tfface.training.feature_cache import FeatureCache
from tfface.training.recognizer import build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.stage_task import image_task

UNCHANGED = "as the recipe says"
WITHOUT_AUGMENTATION = "without augmentation"
WITHOUT_PREFETCH = "without prefetch"
_MIB = 1 << 20
# Differences below this are not told from what the machine does besides.
_MIN_DIFFERENCE = 0.05


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to make the epochs of a recipe's stage.

    Attributes:
        name: what is changed, as tables call it.
        recipe: changed so.
        stage: its position.
        prefetch: whether batches are made ready while the step before them runs.
    """

    name: str
    recipe: Recipe
    stage: int
    prefetch: bool = True


@dataclasses.dataclass(frozen=True)
class EpochTime:
    """One epoch.

    Attributes:
        seconds: that it took.
        waited_seconds: of these, those in which `fit` waited for a batch.
        processor_seconds: of all processors together.
    """

    seconds: float
    data_wait_seconds: float
    cpu_seconds: float


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What is known of a case.

    Attributes:
        num_images: of an epoch.
        first: the epoch that decodes, fills caches and compiles.
        steady: those after it.
        times_first: how many times as long as the first case's in the same round, the median.
        peak: bytes of memory beyond what the libraries take, in a process of its own; None if not
            measurements.
    """

    case: Case
    num_images: int
    first: EpochTime
    steady: tuple[EpochTime, ...]
    relative_time: float
    peak_memory_bytes: int | None

    @property
    def seconds(self) -> float:
        """Of a steady epoch, the median."""
        return statistics.median(epoch.seconds for epoch in self.steady)

    @property
    def data_wait_fraction(self) -> float:
        """Share of steady epochs in which `fit` waited for a batch."""
        return _sum(self.steady, "data_wait_seconds") / _sum(self.steady, "seconds")

    @property
    def cpu_utilization(self) -> float:
        """Share of all processors that steady epochs kept busy."""
        capacity = _sum(self.steady, "seconds") * os.cpu_count()
        return min(_sum(self.steady, "cpu_seconds") / capacity, 1.0)


def plan_epochs(
    recipe_file: Path, overrides: Sequence[str], *, batch_sizes: Sequence[int] = (), stage: int = 0
) -> list[Case]:
    """Returns the cases of a recipe: as it is, and with one thing changed at a time.

    Args:
        batch_sizes: further ones.
        stage: position of the stage whose epochs are measurements.
    Raises InputError: the recipe is not possible, or has no such stage.
    """

    def changed(*more: str) -> Recipe:
        return load(recipe_file, REGISTRIES, [*overrides, *more])

    recipe = changed()
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
    if recipe.training.stages[stage].freeze == "backbone" and data.cache != "features":
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
    """Measures all cases in turns, and each one's memory in a process of its own.

    Args:
        num_rounds: > 0; steady epochs of each case.
        memory: False leaves that out, which takes two epochs more of each.
        say: is told what is being done.
    Raises InputError: the data is missing or unusable.
    """
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        runs, first = [], []
        for number, case in enumerate(cases):
            say(f"first epoch: {case.name}")
            # Caches of their own, so that each is filled.
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
    """Returns the rows of results, one for each case; times are relative to the first, by image."""
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
    """Returns one object for each case; rates are images a second, fractions in [0, 1]."""
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
    """Returns one sentence on what to change, told by the figures."""
    base, others = measurements[0], measurements[1:]
    # Leaving out the augmentation is another training; its cost is said, not advised.
    options = [
        measurement for measurement in others if measurement.case.name != WITHOUT_AUGMENTATION
    ]
    best = min(options, key=lambda measurement: measurement.relative_time)
    cost = next(
        (measurement for measurement in others if measurement.case.name == WITHOUT_AUGMENTATION),
        None,
    )
    if best.relative_time < 1 - _MIN_DIFFERENCE:
        return (
            f"change this: with '{best.case.name}' a steady epoch takes {best.relative_time:.2f} "
            "times as long"
        )
    if cost is not None and cost.relative_time < 1 - max(_MIN_DIFFERENCE, base.data_wait_fraction):
        return (
            "the augmentation is what costs most beside the network: without it a steady epoch "
            f"takes {cost.relative_time:.2f} times as long"
        )
    if base.data_wait_fraction > _MIN_DIFFERENCE:
        return (
            f"the data is what to change: {100 * base.data_wait_fraction:.0f}% of an epoch is "
            "waiting for it, and no other cache or batch helps; see which stage by the command "
            "'pipeline'"
        )
    return (
        f"nothing to change in the data: only {100 * base.data_wait_fraction:.0f}% of an epoch is "
        "waiting for it; the rest is the network's steps"
    )


class _StageRun:
    """A stage of a recipe, ready to train."""

    def __init__(self, case: Case, data_dir: Path, cache_dir: Path):
        recipe = case.recipe
        keras.utils.set_random_seed(recipe.training.seed)
        data = load_data(recipe, data_dir, cache_dir)
        data.train.prefetch = case.prefetch
        recognizer = build_recognizer(
            recipe.model,
            recipe.data.image_size,
            len(data.identities),
            data_dir,
            data.train.steps_per_epoch,
        )
        stages.prepare(recognizer, recipe.training.stages[case.stage], data.train.steps_per_epoch)
        if recipe.data.cache == "features":
            features = FeatureCache(recognizer, data, recipe.data.num_cached_augmentations)
            self._task = features.task(0)
        else:
            self._task = image_task(recognizer, data, augment_on=recipe.data.augment_on)
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
    """Counts the seconds in which `fit` waits for batches.

    Args:
        model: compiled; its training is to be watched, with this as a callback.
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
        # On TensorFlow the batch is not fetched yet.
        if keras.backend.backend() != "tensorflow":
            self.seconds += time.perf_counter() - self._since

    def on_train_batch_end(self, batch, logs=None):
        # Backends that compute while Python goes on are waited for: what follows is waiting alone.
        float(logs["loss"])
        self._since = time.perf_counter()

    def _fetch_separately(self, model: keras.Model) -> Callable:
        """Returns what Keras makes of `train_step`, but with the batch fetched beforehand."""
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
