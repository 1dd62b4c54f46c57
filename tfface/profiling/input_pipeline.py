"""How many images a second the input pipeline gives, stage by stage, and beside plain loaders."""

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
from tfface.data.augment import AUGMENTATIONS
from tfface.data.pipeline.epoch_order import EpochOrder
from tfface.data.pipeline.pipeline import image_pipeline
from tfface.data.records import example
from tfface.data.records.reader import READ_BUFFER
from tfface.data.sources.image_source import ImageSource
from tfface.images.decoding import decode_prepared
from tfface.profiling import baseline_pipeline
from tfface.profiling.interleaved_timing import (
    CountedTime,
    Timing,
    images_per_second,
    time_interleaved,
)
from tfface.recipe import Recipe
from tfface.registry import build_from_config
from tfface.reporting.results import text_table
from tfface.training.datasets import open_training_images

# What is no stage of the pipeline.
LIMIT, TF_IMAGE, TORCH = "parse + decode alone", "plain tf.image", "PyTorch DataLoader"
# Batches that begin a turn and don't count: programs are made, buffers filled, and TensorFlow finds
# out how many to make at once. Of an epoch of millions of images that is nothing.
_WARM_UP = 20


@dataclass(frozen=True)
class Measurement:
    """What was measurement.

    Attributes:
        turns: name -> seconds; the pipeline's stages, each with all before it, in their order, then
            what is measured beside.
        stages: the names of the former.
        num_images: that a turn reads.
        batch_size: of all.
        missing: what the plain loaders don't do of the recipe, because of which they are left out.
    """

    timings: dict[str, Timing]
    stages: list[str]
    num_images: int
    batch_size: int
    unsupported: str | None

    def speedup(self, name: str, other: str) -> float:
        """How many times as fast the first is as the second: the median over the rounds."""
        return statistics.median(
            theirs / ours
            for ours, theirs in zip(
                self.timings[name].seconds, self.timings[other].seconds, strict=True
            )
        )

    def stage_costs(self) -> dict[str, float]:
        """Seconds for each image that a stage takes beyond those before it, by medians."""
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
    """Measures all in turns, after one that doesn't count.

    All images of the recipe's training source are read, whoever is excluded or held out, and none
    is cached. Each turn begins anew, so that filling a shuffle buffer is part of it.

    Args:
        num_images: > 0, that a turn makes batches of; whole batches, as far as there are images.
        num_runs: > 0.
        say: is told what is being done.
    Raises InputError: the source is missing or unusable, or an image can't be decoded.
    """
    source, _, _ = open_training_images(recipe, data_dir)
    augment = [
        (
            part.name,
            build_from_config(
                AUGMENTATIONS[part.name], part.options, None, image_size=recipe.data.image_size
            ),
        )
        for part in recipe.data.augment
    ]
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
    names = ["decode", *_number_duplicates([name for name, _ in augment])]
    for name, pipeline in zip(names, pipelines, strict=True):
        functions[name] = lambda pipeline=pipeline: pipeline.epoch(0).take(num_batches)
    functions["transfer"] = lambda: _transfer(full_pipeline.epoch(0).take(num_batches))
    stages = list(functions)
    functions[LIMIT] = lambda: _decode_only(source, batch_size, num_batches)
    augmentations = {part.name: part.options for part in recipe.data.augment}
    unsupported = baseline_pipeline.unsupported_augmentation(augmentations)
    if unsupported is None:
        baseline = (source, recipe.data.image_size, batch_size, augmentations)
        functions[TF_IMAGE] = lambda: baseline_pipeline.baseline_batches(*baseline).take(
            num_batches
        )
        if baseline_pipeline.is_torch_installed():
            loader = baseline_pipeline.torch_batches(*baseline)
            functions[TORCH] = lambda: itertools.islice(loader, num_batches)
    num_warm_up = min(_WARM_UP, num_batches // 4)
    counted = (num_batches - num_warm_up) * batch_size
    say(f"{num_runs} rounds of {len(functions)} turns of {counted:,} images after the warm-up")
    with full_pipeline.naming_bad_images():
        timings = time_interleaved(
            {name: _without_warm_up(num_warm_up, make) for name, make in functions.items()},
            num_runs,
        )
    return Measurement(timings, stages, counted, batch_size, unsupported)


def to_json(measurement: Measurement) -> list[dict[str, object]]:
    """Returns one object for each thing that was measurement.

    Returns: `name`; `images_per_second`: {min, median, max}; `share_of_limit`: of the images a
        second that parsing and decoding alone give; `times_plain`: of those of the plain loader,
        None without one.
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
                else measurement.speedup(name, TF_IMAGE),
            }
        )
    return found


def rows(measurement: Measurement) -> list[dict[str, object]]:
    """Returns the rows of results, one for each thing that was measurement."""
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
                "baseline": None if measurement.unsupported else TF_IMAGE,
                "speedup": row["times_plain"],
                "num_images": measurement.num_images,
                "batch_size": measurement.batch_size,
                "backend": keras.backend.backend(),
            }
        )
    return found


def as_text(measurement: Measurement) -> str:
    """Returns a table, and what it says in a sentence."""
    lines = [text_table(rows(measurement), without=("baseline", "backend"))]
    stage_costs = measurement.stage_costs()
    costliest = max(stage_costs, key=stage_costs.get)
    timings, last = measurement.timings, measurement.stages[-1]
    total = timings[last].median / measurement.num_images
    speedups = {
        name: measurement.speedup(last, name) for name in (LIMIT, TF_IMAGE) if name in timings
    }
    sentence = (
        f"{costliest} takes most, {100 * stage_costs[costliest] / total:.0f}% of the time; the "
        f"whole pipeline is {speedups[LIMIT]:.2f} times as fast as parsing and decoding alone"
    )
    if measurement.unsupported:
        lines.append(f"not measured beside plain loaders, which have no {measurement.unsupported}")
    else:
        sentence += f" and {speedups[TF_IMAGE]:.2f} times as plain tf.image"
    return "\n".join([*lines, sentence])


def _stages_before_decoding(
    source: ImageSource, batch_size: int, num_batches: int, seed: int
) -> dict[str, Callable[[], tf.data.Dataset]]:
    """What the pipeline does before it decodes: reading, parsing, and putting into an order."""
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


def _decode_only(source: ImageSource, batch_size: int, num_batches: int) -> tf.data.Dataset:
    """Parses and decodes as fast as TensorFlow can, and keeps nothing: one image of each batch."""
    if source.record_files:
        encoded = _records(source, batch_size, num_batches).map(example.parse_encoded).unbatch()
    else:
        encoded = source.encoded(np.arange(source.num_images)).map(lambda index, image: image)
    decoded = encoded.take(num_batches * batch_size).map(decode_prepared, tf.data.AUTOTUNE)
    # The others are dropped where they are made: handing them over would take as long.
    return untuned(decoded.shard(batch_size, batch_size - 1))


def _without_warm_up(num_warm_up: int, make: Callable[[], Iterable]) -> Callable[[], CountedTime]:
    """Returns what takes all batches, of which those after the first count."""

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
    """Brings every batch to where a model is trained."""
    images = None
    for images, _ in batches:
        images = to_device(images)
        yield images
    # It has arrived when a value of it is back.
    keras.ops.convert_to_numpy(images[:1, :1, :1])


def to_device(images: tf.Tensor):
    """Returns the images as a tensor of Keras' backend, on the device that it trains on."""
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_tensor(images.numpy())
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    with tf.device(devices[0].name):
        return tf.identity(images)


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Numbers what comes several times."""
    return [
        name if names.count(name) == 1 else f"{name} {names[: position + 1].count(name)}"
        for position, name in enumerate(names)
    ]
