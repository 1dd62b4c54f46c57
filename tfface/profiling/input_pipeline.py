"""Measures the throughput of the input pipeline, stage by stage, compared with baselines."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfface.autotune import untuned
from tfface.data.augment.building import build_augmentations
from tfface.data.pipeline.epoch_order import EpochOrder
from tfface.data.pipeline.pipeline import image_pipeline
from tfface.data.pipeline.transform import decoder
from tfface.data.records import example
from tfface.data.records.reader import READ_BUFFER
from tfface.data.sources.image_source import ImageSource
from tfface.profiling import baselines
from tfface.profiling.interleaved_timing import (
    CountedTime,
    Timing,
    images_per_second,
    time_interleaved,
)
from tfface.recipe import Recipe
from tfface.reporting.results import text_table
from tfface.training.datasets import open_training_images

# Comparisons, which are no stages of the pipeline.
LIMIT, ARCFACE_TF2, TORCH = "parse + decode alone", "as arcface-tf2", "PyTorch DataLoader"
# The first batches of a round, which don't count: meanwhile TensorFlow compiles, fills buffers and
# tunes its parallelism. In an epoch of millions of images, this time is negligible.
_WARM_UP = 20


@dataclass(frozen=True)
class Measurement:
    """Throughput of the pipeline up to each stage, and of the comparisons.

    Attributes:
        timings: Name -> times: the stages in order, each including all before it, then the
            comparisons.
        stages: Names of the stages.
        num_images: Images counted in a round.
        batch_size: Images in a batch.
        unsupported: Augmentation that the baselines don't support, which excludes them; or None.
    """

    timings: dict[str, Timing]
    stages: list[str]
    num_images: int
    batch_size: int
    unsupported: str | None

    def speedup(self, name: str, other: str) -> float:
        """Returns how many times as fast as `other` it is: the median over the rounds."""
        return statistics.median(
            other_seconds / seconds
            for seconds, other_seconds in zip(
                self.timings[name].seconds, self.timings[other].seconds, strict=True
            )
        )

    def stage_costs(self) -> dict[str, float]:
        """Returns the median seconds per image that each stage adds to those before it."""
        totals = [self.timings[name].median / self.num_images for name in self.stages]
        added = np.diff([0.0, *totals])
        return dict(zip(self.stages, added.tolist(), strict=True))


def measure_input(
    recipe: Recipe,
    data_dir: Path,
    *,
    num_images: int,
    num_runs: int,
    say: Callable[[str], None] = lambda line: None,
) -> Measurement:
    """Measures all stages and comparisons in interleaved rounds, after a warm-up round.

    Reads all images of the recipe's training source, including excluded and held-out identities,
    and caches none. Each round starts a new iteration, which fills the shuffle buffer again.

    Args:
        recipe: The recipe.
        data_dir: Where its relative paths start.
        num_images: Images in a round, > 0. Rounded down to whole batches, and limited by the
            source.
        num_runs: Number of rounds, > 0.
        say: Called with lines about the progress.

    Raises:
        InputError: The source is missing or unusable, or an image can't be decoded.
    """
    source, _, _ = open_training_images(recipe, data_dir)
    names = [part.name for part in recipe.data.augment]
    built = build_augmentations(recipe.data.augment, recipe.data.image_size)
    augment = list(zip(names, built, strict=True))
    order = EpochOrder(source.num_images, recipe.data.batch_size, seed=recipe.training.seed)
    pipelines = [
        image_pipeline(
            source,
            np.arange(source.num_images),
            order,
            image_size=recipe.data.image_size,
            augment=[stage for _, stage in augment[:count]],
        )
        for count in range(len(augment) + 1)
    ]
    full_pipeline = pipelines[-1]
    batch_size = full_pipeline.batch_size
    num_batches = min(max(num_images // batch_size, 1), full_pipeline.steps_per_epoch)
    functions = _stages_before_decoding(source, batch_size, num_batches, recipe.training.seed)
    augmentation = full_pipeline.augmentation
    decode = decoder(augmentation.load_size if augmentation else recipe.data.image_size)
    names = ["decode", *_number_duplicates([name for name, _ in augment])]
    for name, pipeline in zip(names, pipelines, strict=True):
        functions[name] = lambda pipeline=pipeline: pipeline.epoch(0).take(num_batches)
    functions["transfer"] = lambda: _transfer(full_pipeline.epoch(0).take(num_batches))
    stages = list(functions)
    functions[LIMIT] = lambda: _decode_only(source, decode, batch_size, num_batches)
    augmentations = {part.name: part.options for part in recipe.data.augment}
    unsupported = baselines.unsupported_augmentation(augmentations)
    if unsupported is None:
        baseline = (source, recipe.data.image_size, batch_size, augmentations)
        functions[ARCFACE_TF2] = lambda: baselines.arcface_tf2_batches(*baseline).take(num_batches)
        if baselines.is_torch_installed():
            loader = baselines.torch_batches(*baseline)
            functions[TORCH] = lambda: itertools.islice(loader, num_batches)
    num_warm_up = min(_WARM_UP, num_batches // 4)
    counted = (num_batches - num_warm_up) * batch_size
    say(f"{num_runs} rounds of {len(functions)} stages, {counted:,} images each after the warm-up")
    with full_pipeline.naming_bad_images():
        timings = time_interleaved(
            {name: _without_warm_up(num_warm_up, make) for name, make in functions.items()},
            num_runs,
        )
    return Measurement(timings, stages, counted, batch_size, unsupported)


def to_json(measurement: Measurement) -> list[dict[str, object]]:
    """Returns a JSON object for each stage and comparison.

    Returns:
        Objects with `name`; `images_per_second`: `min`, `median` and `max`; `share_of_limit`:
        speed relative to parsing and decoding alone; `times_plain`: speed relative to the
        baseline as in arcface-tf2, None without it.
    """
    found = []
    for name, timing in measurement.timings.items():
        found.append(
            {
                "name": name,
                "images_per_second": images_per_second(measurement.num_images, timing.seconds),
                "share_of_limit": measurement.speedup(name, LIMIT),
                "times_plain": None
                if measurement.unsupported
                else measurement.speedup(name, ARCFACE_TF2),
            }
        )
    return found


def rows(measurement: Measurement) -> list[dict[str, object]]:
    """Returns a row of results for each stage and comparison."""
    stage_costs = measurement.stage_costs()
    found = []
    for row in to_json(measurement):
        name, rates = row["name"], row["images_per_second"]
        found.append(
            {
                "pipeline_stage": name,
                "images_per_s": rates["median"],
                "images_per_s_min": rates["min"],
                "images_per_s_max": rates["max"],
                "stage_cost_us": 1e6 * stage_costs[name] if name in stage_costs else None,
                "relative_to_decode": row["share_of_limit"],
                "baseline": None if measurement.unsupported else ARCFACE_TF2,
                "speedup": row["times_plain"],
                "num_images": measurement.num_images,
                "batch_size": measurement.batch_size,
                "backend": keras.backend.backend(),
            }
        )
    return found


def as_text(measurement: Measurement) -> str:
    """Returns a table and a sentence that summarizes it."""
    lines = [text_table(rows(measurement), without=("baseline", "backend"))]
    stage_costs = measurement.stage_costs()
    costliest = max(stage_costs, key=stage_costs.get)
    timings, last = measurement.timings, measurement.stages[-1]
    total = timings[last].median / measurement.num_images
    speedups = {
        name: measurement.speedup(last, name) for name in (LIMIT, ARCFACE_TF2) if name in timings
    }
    sentence = (
        f"{costliest} takes the most time, {100 * stage_costs[costliest] / total:.0f}%; the "
        f"whole pipeline is {speedups[LIMIT]:.2f} times as fast as parsing and decoding alone"
    )
    if measurement.unsupported:
        lines.append(f"not compared with baselines, which lack {measurement.unsupported}")
    else:
        sentence += f" and {speedups[ARCFACE_TF2]:.2f} times as fast as one as in arcface-tf2"
    return "\n".join([*lines, sentence])


def _stages_before_decoding(
    source: ImageSource, batch_size: int, num_batches: int, seed: int
) -> dict[str, Callable[[], tf.data.Dataset]]:
    """Returns the stages before decoding: reading, parsing, shuffling."""
    functions = {}
    if source.record_files:
        functions["records"] = lambda: _records(source, batch_size, num_batches)
        functions["parse"] = lambda: _records(source, batch_size, num_batches).map(
            example.parse_encoded
        )
    everything = np.arange(source.num_images)
    functions["shuffle and batch"] = lambda: untuned(
        source.encoded(everything, seed).batch(batch_size).take(num_batches)
    )
    return functions


def _records(source: ImageSource, batch_size: int, num_batches: int) -> tf.data.Dataset:
    files = [str(file) for file in source.record_files]
    read = tf.data.TFRecordDataset(files, buffer_size=READ_BUFFER)
    return untuned(read.batch(batch_size).take(num_batches))


def _decode_only(
    source: ImageSource, decode: Callable, batch_size: int, num_batches: int
) -> tf.data.Dataset:
    """Parses and decodes batches, as many at a time as there are processors, and nothing else."""
    if source.record_files:
        decoded = _records(source, batch_size, num_batches).map(
            lambda records: decode(example.parse_encoded(records)), tf.data.AUTOTUNE
        )
    else:
        read = source.encoded(np.arange(source.num_images)).batch(batch_size).take(num_batches)
        decoded = read.map(lambda indices, images: decode(images), tf.data.AUTOTUNE)
    return untuned(decoded).prefetch(2)


def _without_warm_up(num_warm_up: int, make: Callable[[], Iterable]) -> Callable[[], CountedTime]:
    """Returns a function that iterates over all batches and times those after the warm-up."""

    def run() -> CountedTime:
        batches = iter(make())
        for _ in range(num_warm_up):
            next(batches)
        start = time.perf_counter()
        for _ in batches:
            pass
        return CountedTime(time.perf_counter() - start)

    return run


def _transfer(batches: tf.data.Dataset) -> Iterator:
    """Copies every batch to the device that trains."""
    images = None
    for images, _ in batches:
        images = to_device(images)
        yield images
    # Reading a value waits for the copy.
    keras.ops.convert_to_numpy(images[:1, :1, :1])


def to_device(images: tf.Tensor):
    """Returns the images as a tensor of Keras' backend, on the device that trains."""
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_tensor(images.numpy())
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    with tf.device(devices[0].name):
        return tf.identity(images)


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Appends numbers to names that occur several times."""
    return [
        name if names.count(name) == 1 else f"{name} {names[: position + 1].count(name)}"
        for position, name in enumerate(names)
    ]
