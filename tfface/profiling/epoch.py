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
from tfface.profiling.subprocess_runs import forget_peak, in_process, peak_bytes
from tfface.recipe import Recipe, load
from tfface.training import stages
from tfface.training.datasets import load_data
from tfface.training.feature_cache import FeatureCache
from tfface.training.recognizer import build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.stage_task import image_task

AS_IT_IS = "as the recipe says"
WITHOUT_AUGMENTATION = "without augmentation"
WITHOUT_PREFETCH = "without prefetch"
_MIB = 1 << 20
# Differences below this are not told from what the machine does besides.
_TELLING = 0.05


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
class Epoch:
    """One epoch.

    Attributes:
        seconds: that it took.
        waited_seconds: of these, those in which `fit` waited for a batch.
        processor_seconds: of all processors together.
    """

    seconds: float
    waited_seconds: float
    processor_seconds: float


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is known of a case.

    Attributes:
        num_images: of an epoch.
        first: the epoch that decodes, fills caches and compiles.
        steady: those after it.
        times_first: how many times as long as the first case's in the same round, the median.
        peak: bytes of memory beyond what the libraries take, in a process of its own; None if not
            measured.
    """

    case: Case
    num_images: int
    first: Epoch
    steady: tuple[Epoch, ...]
    times_first: float
    peak: int | None

    @property
    def seconds(self) -> float:
        """Of a steady epoch, the median."""
        return statistics.median(epoch.seconds for epoch in self.steady)

    @property
    def data_wait_fraction(self) -> float:
        """Share of steady epochs in which `fit` waited for a batch."""
        return _total(self.steady, "waited_seconds") / _total(self.steady, "seconds")

    @property
    def processor_fraction(self) -> float:
        """Share of all processors that steady epochs kept busy."""
        capacity = _total(self.steady, "seconds") * os.cpu_count()
        return min(_total(self.steady, "processor_seconds") / capacity, 1.0)


def plan_epochs(
    recipe_file: Path, overrides: Sequence[str], *, batch_sizes: Sequence[int] = (), stage: int = 0
) -> list[Case]:
    """Returns the cases of a recipe: as it is, and with one thing changed at a time.

    Args:
        batch_sizes: further ones.
        stage: position of the stage whose epochs are measured.
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
    cases = [Case(AS_IT_IS, recipe, stage)]
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
) -> list[Measured]:
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
            runs.append(_Run(case, data_dir, Path(folder) / str(number)))
            first.append(runs[-1].epoch())
        rounds = []
        for number in range(num_rounds):
            say(f"round {number + 1} of {num_rounds}")
            rounds.append([run.epoch() for run in runs])
        num_images = [run.num_images for run in runs]
        del runs
    measured = []
    for place, case in enumerate(cases):
        if memory:
            say(f"memory: {case.name}")
        measured.append(
            Measured(
                case,
                num_images[place],
                first[place],
                tuple(epochs[place] for epochs in rounds),
                statistics.median(
                    epochs[place].seconds / num_images[place] / (epochs[0].seconds / num_images[0])
                    for epochs in rounds
                ),
                in_process(_memory, case, data_dir) if memory else None,
            )
        )
    return measured


def rows(measured: Sequence[Measured]) -> list[dict[str, object]]:
    """Returns the rows of results, one for each case; times are relative to the first, by image."""
    return [
        {
            "variant": one.case.name,
            "stage": one.case.recipe.training.stages[one.case.stage].name,
            "num_images": one.num_images,
            "batch_size": one.case.recipe.data.batch_size,
            "first_epoch_s": one.first.seconds,
            "steady_epoch_s": one.seconds,
            "baseline": measured[0].case.name,
            "relative_time": one.times_first,
            "images_per_s": one.num_images / one.seconds,
            "data_wait_fraction": one.data_wait_fraction,
            "cpu_utilization": one.processor_fraction,
            "peak_memory_mib": None if one.peak is None else one.peak / _MIB,
            "backend": keras.backend.backend(),
        }
        for one in measured
    ]


def to_json(measured: Sequence[Measured]) -> list[dict[str, object]]:
    """Returns one object for each case; rates are images a second, fractions in [0, 1]."""
    found = []
    for one in measured:
        found.append(
            {
                "name": one.case.name,
                "images_per_second": images_per_second(
                    one.num_images, [epoch.seconds for epoch in one.steady]
                ),
                "num_images": one.num_images,
                "batch_size": one.case.recipe.data.batch_size,
                "first_epoch_seconds": one.first.seconds,
                "steady_epoch_seconds": one.seconds,
                "times_first": one.times_first,
                "data_wait_fraction": one.data_wait_fraction,
                "processor_fraction": one.processor_fraction,
                "peak_bytes": one.peak,
            }
        )
    return found


def advice(measured: Sequence[Measured]) -> str:
    """Returns one sentence on what to change, told by the figures."""
    base, others = measured[0], measured[1:]
    # Leaving out the augmentation is another training; its cost is said, not advised.
    ways = [one for one in others if one.case.name != WITHOUT_AUGMENTATION]
    best = min(ways, key=lambda one: one.times_first)
    cost = next((one for one in others if one.case.name == WITHOUT_AUGMENTATION), None)
    if best.times_first < 1 - _TELLING:
        return (
            f"change this: with '{best.case.name}' a steady epoch takes {best.times_first:.2f} "
            "times as long"
        )
    if cost is not None and cost.times_first < 1 - max(_TELLING, base.data_wait_fraction):
        return (
            "the augmentation is what costs most beside the network: without it a steady epoch "
            f"takes {cost.times_first:.2f} times as long"
        )
    if base.data_wait_fraction > _TELLING:
        return (
            f"the data is what to change: {100 * base.data_wait_fraction:.0f}% of an epoch is "
            "waiting for it, and no other cache or batch helps; see which stage by the command "
            "'pipeline'"
        )
    return (
        f"nothing to change in the data: only {100 * base.data_wait_fraction:.0f}% of an epoch is "
        "waiting for it; the rest is the network's steps"
    )


class _Run:
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
            self._learner = features.task(0)
        else:
            self._learner = image_task(recognizer, data, augment_on=recipe.data.augment_on)
        self._number = 0
        self._waiting = Waiting(self._learner.model)
        train = self._learner.train
        self.num_images = train.steps_per_epoch * train.batch_size

    def epoch(self) -> Epoch:
        self._waiting.seconds = 0.0
        processors, start = time.process_time(), time.perf_counter()
        with self._learner.train.naming_bad_images():
            self._learner.model.fit(
                self._learner.train.epoch(self._number),
                shuffle=False,
                verbose=0,
                callbacks=[self._waiting],
            )
        self._number += 1
        seconds = time.perf_counter() - start
        return Epoch(seconds, self._waiting.seconds, time.process_time() - processors)


class Waiting(keras.callbacks.Callback):
    """Counts the seconds in which `fit` waits for batches.

    Args:
        model: compiled; its training is to be watched, with this as a callback.
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.seconds = 0.0
        self._since = None
        if keras.backend.backend() == "tensorflow":
            model.train_function = self._fetching_apart(model)

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

    def _fetching_apart(self, model: keras.Model) -> Callable:
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
        forget_peak()
        before = peak_bytes()
        run = _Run(case, data_dir, Path(folder))
        run.epoch()
        run.epoch()
        return peak_bytes() - before


def _total(epochs: Sequence[Epoch], what: str) -> float:
    return sum(getattr(epoch, what) for epoch in epochs)
