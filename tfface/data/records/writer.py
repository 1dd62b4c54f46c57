"""Writing one record file of a dataset, and a note of what it is."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tfface.data.records import example
from tfface.data.records.conversion_plan import Plan
from tfface.data.records.example import Record
from tfface.data.records.manifest import Shard
from tfface.files import replacing
from tfface.images.encoding import reencoder
from tfface.images.validation import check_images
from tfface.json_file import Count, parse_as

DIGEST_BYTES = 16


@dataclass(frozen=True)
class WrittenShard:
    """A finished record file.

    Attributes:
        shard: what it is.
        image_size: of its images when they all have the same.
        digests: `DIGEST_BYTES` of the SHA-256 of each image as it was read, in hexadecimal digits;
            nothing in notes of earlier versions.
    """

    shard: Shard
    image_size: tuple[Count, Count] | None
    digests: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""


class UndecodableImages(Exception):
    """Holds (file name, reason) of each in `found`.

    Example:
        >>> UndecodableImages([("ann/1.jpg", "is empty")]).found
        [('ann/1.jpg', 'is empty')]
    """

    def __init__(self, found: list[tuple[str, str]]):
        super().__init__(found)
        self.found = found


class ShardWriter:
    """Writes the shards of a plan into a folder; several threads may do so at once.

    Args:
        plan: what to write.
        output: the folder, which exists.
        size, quality: as `reencoder` takes them; without both, bytes are copied as they are.
    """

    def __init__(self, plan: Plan, output: Path, size: tuple[int, int] | None, quality: int | None):
        self._plan = plan
        self._output = output
        self._reencode = reencoder(size, quality) if size or quality else None
        self._size = size

    def write(self, number: int, advance: Callable[[int], None]) -> WrittenShard:
        """Writes a shard under a temporary name, then its note, then gives it its name.

        Args:
            advance: called with the number of images that were written since the last call.
        Raises:
            UndecodableImages: some can't be decoded; no file is left.
            InputError: an image can't be read, or the file can't be written.
        """
        images = self._plan.shard(number)
        file = self._file(number)
        undecodable: list[tuple[str, str]] = []
        sizes: set[tuple[int, int]] = set()
        digests = bytearray()
        with replacing(self._output / file) as temporary:
            digest = hashlib.sha256()
            with temporary.open("wb") as opened:
                for chunk in self._plan.pool.read_in_chunks(images):
                    block = b"".join(self._serialize(chunk, undecodable, sizes))
                    opened.write(block)
                    digest.update(block)
                    for _, record in chunk:
                        digests += hashlib.sha256(record.encoded).digest()[:DIGEST_BYTES]
                    advance(len(chunk))
            if undecodable:
                raise UndecodableImages(undecodable)
            shard = Shard(file, len(images), temporary.stat().st_size, digest.hexdigest())
            image_size = sizes.pop() if len(sizes) == 1 else None
            done = WrittenShard(shard, image_size, digests.hex())
            # Before the shard gets its name: a named shard always has its note.
            with replacing(self._note(number)) as note:
                note.write_text(json.dumps(dataclasses.asdict(done)))
        return done

    def written(self, number: int) -> WrittenShard | None:
        """Returns what is noted of a finished shard; None when it is not finished."""
        file, note = self._output / self._file(number), self._note(number)
        if not (note.exists() and file.exists()):
            return None
        try:
            done = parse_as(WrittenShard, note.read_bytes())
        except ValueError:
            # Of a damaged note nothing is believed: the shard is written again.
            return None
        num_digits = 2 * DIGEST_BYTES * done.shard.records
        is_whole = file.stat().st_size == done.shard.bytes and len(done.digests) in (0, num_digits)
        return done if is_whole else None

    def remove_all(self) -> None:
        """Removes the shards that are written and their notes."""
        for number in range(self._plan.num_shards):
            (self._output / self._file(number)).unlink(missing_ok=True)
        self.remove_notes()

    def remove_notes(self) -> None:
        """Removes the notes of all shards, once dataset.json says the same."""
        for number in range(self._plan.num_shards):
            self._note(number).unlink(missing_ok=True)

    def _file(self, number: int) -> str:
        return f"data-{number:05d}-of-{self._plan.num_shards:05d}.tfrecord"

    def _note(self, number: int) -> Path:
        return self._output / f".{self._file(number)}.json"

    def _serialize(
        self,
        chunk: list[tuple[int, Record]],
        undecodable: list[tuple[str, str]],
        sizes: set[tuple[int, int]],
    ) -> list[bytes]:
        """Returns the parts of images' records as the file holds them, in order.

        Adds to `undecodable` and `sizes`.
        """
        read = [record for _, record in chunk]
        found, bad = check_images([record.encoded for record in read])
        if bad:
            undecodable += [(read[position].filename, reason) for position, reason in bad.items()]
            return []
        shapes = list(map(tuple, found.tolist()))
        if self._reencode:
            encoded = self._reencode([record.encoded for record in read], shapes)
            read = [
                Record(image, record.filename, record.attributes)
                for image, record in zip(encoded, read, strict=True)
            ]
        sizes.update([self._size] if self._size else shapes)
        labels = self._plan.labels[[image for image, _ in chunk]].tolist()
        parts: list[bytes] = []
        for record, label in zip(read, labels, strict=True):
            parts += example.framed(example.serialize(record, label))
        return parts
