"""Writes face images of any sources as the dataset folder that `dataset_folder` describes.

While a conversion is under way the folder also holds `.plan.json` (what is being written) and, for
each finished shard, a hidden `.json` of what it is. So one that was stopped can go on.
"""

import concurrent.futures
import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel

from tfface.data.records import labels_file, manifest
from tfface.data.records.conversion_plan import (
    Plan,
    Pool,
    choose_identities,
    hash_of,
    make_plan,
    settings_of,
)
from tfface.data.records.duplicates import find_duplicate_images
from tfface.data.records.manifest import DATASET_FILE, DatasetFolder
from tfface.data.records.writer import DIGEST_BYTES, ShardWriter, UndecodableImages, WrittenShard
from tfface.errors import InputError
from tfface.files import remove_partial, replacing, write_csv
from tfface.folder_lock import locked
from tfface.images.validation import check_images, lines_of_undecodable
from tfface.json_file import Count, ListOf, Text, parse_as
from tfface.names import safe_row
from tfface.output_paths import check_output
from tfface.paths import printable
from tfface.progress import image_workers
from tfface.resumable_output import check_options, read_log

REJECTED_FILE = "rejected.csv"
_PLAN_FILE = ".plan.json"
_CHECKED_FILE = ".checked-{}.json"
# Images whose check is noted together.
_CHECK_BLOCK = 16_384


class Conversion(NamedTuple):
    """The dataset as written, whether the output held it already, and what the user should see:
    the sources' notes, and which images were found to be copies when they were read."""

    dataset: DatasetFolder
    was_finished: bool
    notes: list[str]


def convert(
    sources: Sequence[str],
    output: Path,
    *,
    format: str = "auto",
    num_shards: int | None = None,
    num_workers: int | None = None,
    seed: int = 0,
    identities_file: Path | None = None,
    exclude_file: Path | None = None,
    min_images: int = 1,
    size: tuple[int, int] | None = None,
    quality: int | None = None,
    on_bad_image: Literal["error", "skip"] = "error",
) -> Conversion:
    """Writes the images of `sources`, shuffled together, into the folder `output`.

    Image bytes are copied as they are, unless `size` or `quality` is given; every image is decoded
    once to see that it can be. The shuffle is over all images. Memory holds the images' numbers
    and, for sources of single files, their paths, and some MiB of images per worker. The result
    depends on the sources and the options, but neither on the number of workers nor on
    interruptions: a conversion that was stopped, at whatever moment, goes on when it is called
    again, and gives the same bytes.

    Args:
        sources: as `open_source` takes them.
        output: a new or empty folder, or that of a conversion that was stopped.
        format: a key of `RECOGNIZED_BY`, or "auto" to see what each path holds.
        num_shards: of nearly equal size; by default one per 2,048 images, 256 at most.
        num_workers: threads; by default two per CPU, as each waits for the disk at times.
        seed: of the shuffle.
        identities_file: convert only the identities that this list names.
        exclude_file: leave out the identities that this list names.
        min_images: leave out identities with fewer images.
        size: (height, width) to which images of another size are resized.
        quality: of JPEG, 1 to 100: encode all images anew.
        on_bad_image: what to do about images that can't be read or decoded. "skip" looks at all of
            them before anything is written, leaves out those that can't be, and lists them in
            `rejected.csv`.
    Raises InputError: a source, option or image is unusable (undecodable images are all named, as
        far as 20), `output` holds something else or is in use, or can't be written.
    """
    pool = Pool(sources, format)
    check_output(pool.listed_paths, output)
    choose_identities(pool, identities_file, exclude_file)
    settings = settings_of(
        pool,
        {
            "seed": seed,
            "shards": num_shards,
            "min_images": min_images,
            "size": size and list(size),
            "quality": quality,
            "on_bad_image": on_bad_image,
        },
    )
    num_workers = num_workers or 2 * (os.cpu_count() or 1)

    def planned() -> Plan:
        return make_plan(pool, num_shards=num_shards, seed=seed, min_images=min_images)

    # As far as it goes without looking at images, mistakes are found before anything is written.
    plan = planned() if on_bad_image == "error" else None
    with locked(output):
        if _is_finished(output, settings):
            return Conversion(manifest.read(output), was_finished=True, notes=pool.notes)
        _begin(output, settings)
        if plan is None:
            _leave_out_bad_images(pool, output, num_workers)
            plan = planned()
        writer = ShardWriter(plan, output, size, quality)
        done = _write_shards(plan, writer, output, num_workers)
        sizes = {shard.image_size for shard in done}
        dataset = DatasetFolder(
            identities=plan.identities,
            images_per_identity=plan.images_per_identity,
            image_size=sizes.pop() if len(sizes) == 1 else None,
            sources=plan.summaries,
            seed=seed,
            shards=[shard.shard for shard in done],
            attributes=plan.attribute_names,
            left_out=pool.left_out,
            labels=labels_file.write(output, plan.labels[plan.order]),
        )
        manifest.write(output, dataset)
        writer.remove_notes()
        for note in output.glob(_CHECKED_FILE.format("*")):
            note.unlink()
    notes = [*pool.notes, *_copies(plan, done)]
    return Conversion(dataset, was_finished=False, notes=notes)


def _copies(plan: Plan, done: Sequence[WrittenShard]) -> list[str]:
    """Returns a line on images that several people have, byte for byte, and one on other copies."""
    digests = bytearray()
    for shard in done:
        digests += bytes.fromhex(shard.digests) or bytes(DIGEST_BYTES * shard.shard.records)
    is_known = np.repeat(
        [bool(shard.digests) for shard in done], [shard.shard.records for shard in done]
    )
    found = find_duplicate_images(
        np.where(is_known, plan.labels[plan.order], -1),
        np.frombuffer(digests, np.uint64).reshape(-1, 2),
    )

    def named(place: int) -> str:
        image = int(plan.order[place])
        source, index = plan.pool.locate(image)
        person = plan.identities[plan.labels[image]].name
        return f"{source.name}/{source.filename(index)} of {person}"

    lines = []
    for pairs, whose in ((found.across, "of somebody else"), (found.within, "of the same person")):
        if len(pairs):
            first, other = map(named, pairs[0].tolist())
            count = "1 image is" if len(pairs) == 1 else f"{len(pairs):,} images are"
            lines.append(
                f"warning: {count} also there as that {whose}, byte for byte: for example "
                f"{other} is {first} (tfface inspect lists them)"
            )
    return [printable(line) for line in lines]


class _Begun(BaseModel):
    """What a conversion was begun with: a hash of all that decides its bytes, and what that is."""

    plan: str
    settings: dict[str, Any]


def _begin(output: Path, settings: dict[str, Any]) -> None:
    """Notes what is being written, and removes what a killed conversion was just writing."""
    with replacing(output / _PLAN_FILE) as path:
        content = {"plan": hash_of(settings), "settings": settings}
        path.write_text(json.dumps(content, indent=1) + "\n")
    remove_partial(output)


def _is_finished(output: Path, settings: dict[str, Any]) -> bool:
    """Whether `output` holds this very conversion, finished; False when it may be written.

    Raises InputError: it holds anything else.
    """
    log = read_log(output / _PLAN_FILE)
    if log is None:
        return False
    try:
        begun = parse_as(_Begun, log)
    except ValueError as error:
        raise InputError(f"{output / _PLAN_FILE}: can't be read: {error}") from error
    check_options(output, begun.settings, settings)
    if begun.plan != hash_of(settings):
        raise InputError(
            f"{output}: was begun by a version of tfface that shuffles in another way: choose "
            "another output folder"
        )
    return (output / DATASET_FILE).exists()


def _leave_out_bad_images(pool: Pool, output: Path, num_workers: int) -> None:
    """Looks at all chosen images, leaves out those that can't be decoded, and lists them."""
    chosen = np.flatnonzero(pool.is_chosen)
    blocks = [chosen[i : i + _CHECK_BLOCK] for i in range(0, len(chosen), _CHECK_BLOCK)]

    def check(number: int, advance: Callable[[int], None]) -> list[tuple[int, str]]:
        note = output / _CHECKED_FILE.format(f"{number:05d}")
        block = blocks[number]
        with contextlib.suppress(FileNotFoundError, ValueError):
            # Of a damaged note nothing is believed: the block is checked again.
            found = parse_as(ListOf[tuple[Count, Text]], note.read_bytes())
            advance(len(block))
            return found
        found = []
        for chunk in pool.read_in_chunks(block):
            _, bad = check_images([record.encoded for _, record in chunk])
            found += [(chunk[position][0], reason) for position, reason in bad.items()]
            advance(len(chunk))
        with replacing(note) as path:
            path.write_text(json.dumps(found))
        return found

    with image_workers(num_workers, len(chosen), "checking") as (submit, _):
        futures = [submit(check, number) for number in range(len(blocks))]
        found = [bad for future in futures for bad in future.result()]
    located = ((*pool.locate(image), reason) for image, reason in found)
    write_csv(
        output / REJECTED_FILE,
        ["source", "filename", "reason"],
        (safe_row([source.name, source.filename(i), reason]) for source, i, reason in located),
    )
    bad = np.array([image for image, _ in found], np.int64)
    pool.drop_images(bad, f"can't be decoded, see {REJECTED_FILE}")


def _write_shards(
    plan: Plan, writer: ShardWriter, output: Path, num_workers: int
) -> list[WrittenShard]:
    """Writes what is not yet there.

    Raises InputError: images can't be decoded; the output is empty again then.
    """
    undecodable: list[tuple[str, str]] = []
    done: dict[int, WrittenShard] = {}
    with image_workers(num_workers, len(plan.order), "converting") as (submit, advance):
        futures = {}
        for number in range(plan.num_shards):
            if (finished := writer.written(number)) is not None:
                done[number] = finished
                advance(finished.shard.records)
            else:
                futures[submit(writer.write, number)] = number
        for future in concurrent.futures.as_completed(futures):
            try:
                done[futures[future]] = future.result()
            except UndecodableImages as error:
                # The others go on, so that all such images are known after one run.
                undecodable += error.found
    if undecodable:
        undecodable.sort()
        lines = lines_of_undecodable(undecodable)
        # Each way to go on gives another dataset, of other shards.
        writer.remove_all()
        (output / _PLAN_FILE).unlink()
        lines.append("no dataset was made: repair or remove them, or give --on-bad-image skip")
        raise InputError("\n".join(lines))
    return [done[number] for number in range(plan.num_shards)]
