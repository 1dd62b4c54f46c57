"""Writes face images of any source as the dataset folder that `dataset_folder` describes.

While a conversion is under way the folder also holds `.plan.json` (what is being written) and, for
each finished shard, a hidden `.json` of what it is. So one that was stopped can go on.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data import dataset_folder, records
from tfface.data.conversion_plan import Plan, make_plan
from tfface.data.dataset_folder import DATASET_FILE, DatasetFolder, Shard
from tfface.data.images import decode_unresized, undecodable_reason
from tfface.errors import InputError
from tfface.files import replacing
from tfface.progress import progress

_PLAN_FILE = ".plan.json"
# Images that are read, checked and written together by one worker.
_CHUNK = 64
_MOST_NAMED = 20


@dataclass(frozen=True)
class Conversion:
    """What `convert` did.

    Attributes:
        dataset: as written.
        left_out: (why, identities, images) for each reason not to choose an identity.
        was_finished: the output held this very dataset already.
    """

    dataset: DatasetFolder
    left_out: list[tuple[str, int, int]]
    was_finished: bool


def convert(
    sources: Sequence[str],
    output: Path,
    *,
    format: str = "auto",
    num_shards: int | None = None,
    num_workers: int | None = None,
    seed: int = 0,
    identities_file: Path | None = None,
    min_images: int = 1,
    resume: bool = False,
) -> Conversion:
    """Writes the images of `sources`, shuffled together, into the folder `output`.

    Image bytes are copied as they are; every image is decoded once to see that it can be. The
    shuffle is over all images. Memory holds the images' numbers and paths, and some dozen images
    per worker. The result depends on the sources, `num_shards`, `seed` and the chosen identities,
    not on the number of workers or on interruptions.

    Args:
        sources: paths, or `name=path` to choose what `Identity.source` says.
        output: a new or empty folder, or that of a conversion that was stopped.
        format: a key of `RECOGNISED_BY`, or "auto" to see what each path holds.
        num_shards: of nearly equal size; by default one per 2,048 images, 256 at most.
        num_workers: threads; by default one per CPU.
        seed: of the shuffle.
        identities_file: convert only the identities whose names this text file lists.
        min_images: leave out identities with fewer images.
        resume: go on with a conversion of the same plan. Without it a begun one is an error; a
            finished one is left as it is either way.
    Raises InputError: a source, option or image is unusable (undecodable images are all named, as
        far as 20), `output` holds something else, or can't be written.
    """
    plan = make_plan(
        sources,
        format=format,
        num_shards=num_shards,
        seed=seed,
        identities_file=identities_file,
        min_images=min_images,
    )
    if _is_finished(output, plan, resume):
        return Conversion(dataset_folder.read(output), plan.left_out, was_finished=True)
    with replacing(output / _PLAN_FILE) as path:
        content = {"plan": plan.hash, "settings": plan.settings}
        path.write_text(json.dumps(content, indent=1) + "\n")
    for leftover in output.glob(".*.partial*"):
        leftover.unlink()

    done = _write_shards(plan, output, num_workers or os.cpu_count() or 1)
    sizes = {shard.image_size for shard in done}
    dataset = DatasetFolder(
        identities=plan.identities,
        images_per_identity=plan.images_per_identity,
        image_size=sizes.pop() if len(sizes) == 1 else None,
        sources=plan.summaries,
        seed=seed,
        shards=[shard.shard for shard in done],
        attributes=plan.attribute_names,
    )
    dataset_folder.write(output, dataset)
    for shard in dataset.shards:
        _note_path(output, shard.file).unlink()
    return Conversion(dataset, plan.left_out, was_finished=False)


def _is_finished(output: Path, plan: Plan, resume: bool) -> bool:
    """Whether `output` holds the finished plan already; False when it may be written.

    Raises InputError: it holds anything else.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder")
    if not output.exists() or not any(output.iterdir()):
        return False
    try:
        found = json.loads((output / _PLAN_FILE).read_text())
        plan_hash, settings = found["plan"], found["settings"]
    except FileNotFoundError:
        raise InputError(
            f"{output}: is not empty, and holds no conversion: choose another --output"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{output / _PLAN_FILE}: can't be read: {error!r}") from error
    if plan_hash != plan.hash:
        differing = [key for key in plan.settings if settings.get(key) != plan.settings[key]]
        raise InputError(
            f"{output}: holds a conversion that differs in "
            f"{', '.join(differing) or 'the images chosen'}: choose another --output, or remove it"
        )
    if (output / DATASET_FILE).exists():
        return True
    if not resume:
        raise InputError(f"{output}: holds an unfinished conversion: add --resume to go on with it")
    return False


@dataclass(frozen=True)
class _Done:
    """A finished shard, and the size of its images when they all have the same."""

    shard: Shard
    image_size: tuple[int, int] | None


class _UndecodableImages(Exception):
    """Holds (file name, reason) of each in `found`."""

    def __init__(self, found: list[tuple[str, str]]):
        super().__init__(found)
        self.found = found


def _write_shards(plan: Plan, output: Path, num_workers: int) -> list[_Done]:
    """Writes what is not yet there; a thread suffices per shard, as reading, decoding, hashing and
    writing all let the others run."""
    stop = threading.Event()
    lock = threading.Lock()
    undecodable: list[tuple[str, str]] = []
    done: dict[int, _Done] = {}
    with (
        progress(total=len(plan.order), description="converting", unit="images") as bar,
        concurrent.futures.ThreadPoolExecutor(num_workers) as workers,
    ):

        def advance(count: int) -> None:
            with lock:
                bar.update(count)
            if stop.is_set():
                raise concurrent.futures.CancelledError

        futures = {}
        for number in range(plan.num_shards):
            if (finished := _read_note(output, _shard_file(plan, number))) is not None:
                done[number] = finished
                advance(finished.shard.records)
            else:
                futures[workers.submit(_write_shard, plan, number, output, advance)] = number
        try:
            for future in concurrent.futures.as_completed(futures):
                try:
                    done[futures[future]] = future.result()
                except _UndecodableImages as error:
                    # The others go on, so that all such images are known after one run.
                    undecodable += error.found
        except BaseException:
            stop.set()
            workers.shutdown(cancel_futures=True)
            raise
    if undecodable:
        undecodable.sort()
        lines = [f"{name}: {reason}" for name, reason in undecodable[:_MOST_NAMED]]
        if len(undecodable) > _MOST_NAMED:
            lines.append(f"and {len(undecodable) - _MOST_NAMED} more images")
        raise InputError("\n".join(lines))
    return [done[number] for number in range(plan.num_shards)]


def _write_shard(plan: Plan, number: int, output: Path, advance) -> _Done:
    images = plan.shard(number)
    file = _shard_file(plan, number)
    undecodable, sizes = [], set()
    with replacing(output / file) as temporary:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for start in range(0, len(images), _CHUNK):
                    chunk = [(plan.read(image), image) for image in images[start : start + _CHUNK]]
                    undecodable += _check([record for record, _ in chunk], sizes)
                    for record, image in chunk:
                        writer.write(records.serialize(record, int(plan.labels[image])))
                    advance(len(chunk))
        except tf.errors.OpError as error:
            raise InputError(f"{output / file}: can't be written: {error.message}") from error
        if undecodable:
            raise _UndecodableImages(undecodable)
        with temporary.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        shard = Shard(file, len(images), temporary.stat().st_size, sha256)
        finished = _Done(shard, sizes.pop() if len(sizes) == 1 else None)
        # Before the shard gets its name: a named shard always has its note.
        with replacing(_note_path(output, file)) as note:
            note.write_text(json.dumps(dataclasses.asdict(finished)))
    return finished


def _check(chunk: list[records.Record], sizes: set[tuple[int, int]]) -> list[tuple[str, str]]:
    """Decodes images, adds their sizes to `sizes`, returns those that fail with the reason."""
    try:
        found = _image_sizes(tf.constant([record.encoded for record in chunk]))
        sizes.update(map(tuple, np.unique(found.numpy(), axis=0).tolist()))
        return []
    except tf.errors.InvalidArgumentError:
        reasons = [(record.filename, undecodable_reason(record.encoded)) for record in chunk]
        return [(name, reason) for name, reason in reasons if reason]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def _image_sizes(encoded: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(
        lambda image: tf.shape(decode_unresized(image))[:2], encoded, fn_output_signature=tf.int32
    )


def _shard_file(plan: Plan, number: int) -> str:
    return f"data-{number:05d}-of-{plan.num_shards:05d}.tfrecord"


def _note_path(output: Path, file: str) -> Path:
    return output / f".{file}.json"


def _read_note(output: Path, file: str) -> _Done | None:
    """What is noted of a finished shard; None when it is not finished."""
    note = _note_path(output, file)
    if not (note.exists() and (output / file).exists()):
        return None
    content = json.loads(note.read_text())
    size = content["image_size"]
    shard = Shard(**content["shard"])
    if (output / file).stat().st_size != shard.bytes:
        return None
    return _Done(shard, tuple(size) if size else None)
