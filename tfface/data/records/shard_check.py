"""Reads one record file from end to end and says all that is wrong with it."""

import hashlib
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tfface.data.records import example
from tfface.data.records.example import masked_crc
from tfface.data.records.manifest import DATASET_FILE, Shard
from tfface.errors import InputError
from tfface.images.decoding import content_digest
from tfface.images.pillow_decoder import FORMATS, read_size

# Bytes that are read and hashed at a time.
_BLOCK = 1 << 22
# A record: its length, the checksum of that, the bytes, their checksum.
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
# Of an image's digest; two of 2**32 different images are alike with a probability of 2**-65.
_DIGEST_BYTES = 16
# Beyond so many values an attribute is a free text, and its values are not counted any more.
MOST_VALUES = 1000


@dataclass
class ShardContent:
    """What a record file really holds; in arrays, as there may be millions of records.

    Attributes:
        problems: one line each; empty when the file is as dataset.json says.
        offsets: of each record and of the end of the last, in bytes.
        labels: of each record; -1 where it has no label of a listed identity or can't be read.
        num_bytes: of each image file; 0 where it can't be read.
        digests: the first 16 bytes of each image's `content_digest`, one after another.
        kinds: (format, height, width) -> images, of those that have a label.
        attributes: name -> value -> images; a name with more values than `MOST_VALUES` keeps so
            many of them and one more.
    """

    problems: list[str] = field(default_factory=list)
    offsets: array = field(default_factory=lambda: array("q", [0]))
    labels: array = field(default_factory=lambda: array("i"))
    num_bytes: array = field(default_factory=lambda: array("i"))
    digests: bytearray = field(default_factory=bytearray)
    kinds: Counter = field(default_factory=Counter)
    attributes: dict[str, Counter] = field(default_factory=dict)


def read_shard(
    folder: Path, shard: Shard, num_identities: int, advance: Callable[[int], None]
) -> ShardContent:
    """Reads a file once: its hash, the records' checksums, labels, image headers and hashes.

    Of other threads' work, most goes on meanwhile: reading and hashing let it.

    Args:
        folder: of the dataset.
        shard: what the file should be; its size is not looked at.
        num_identities: labels are below it.
        advance: called with a number of records after so many have been read.
    """
    file = folder / shard.file
    content = ShardContent()
    digest = hashlib.sha256()
    strange_labels: dict[int, list[int]] = {}
    try:
        with file.open("rb", buffering=0) as opened:
            blocks = _hashed_blocks(opened, digest)
            for number, data in enumerate(_records(blocks, content, file)):
                label = _add_record(content, data, num_identities, f"{file}: record {number}")
                if label is not None:
                    strange_labels.setdefault(label, []).append(number)
                if number % 256 == 255:
                    advance(256)
            advance(len(content.labels) % 256)
            for _ in blocks:
                pass
    except OSError as error:
        content.problems.append(f"{file}: can't be read: {error.strerror or error}")
        return content
    for label, numbers in strange_labels.items():
        content.problems.append(
            f"{file}: label {label} of {len(numbers)} records (the first is record {numbers[0]}), "
            f"but the labels listed are 0..{num_identities - 1}"
        )
    if (found := len(content.labels)) != shard.records:
        content.problems.append(f"{file}: {found} records, but {DATASET_FILE} says {shard.records}")
    if (found := digest.hexdigest()) != shard.sha256:
        content.problems.append(
            f"{file}: its SHA-256 is {found}, but {DATASET_FILE} says {shard.sha256}"
        )
    return content


def _hashed_blocks(opened, digest) -> Iterator[bytes]:
    while block := opened.read(_BLOCK):
        digest.update(block)
        yield block


def _records(blocks: Iterator[bytes], content: ShardContent, file: Path) -> Iterator[bytes | None]:
    """Yields the bytes of each record, None where their checksum is wrong.

    Ends before the end of the file where a record's length can't be trusted.
    """
    pending, place = b"", 0
    number = 0

    def fill(size: int) -> bool:
        """Reads on until `size` bytes from `place` are there, if there are so many."""
        nonlocal pending, place
        if len(pending) - place >= size:
            return True
        parts = [pending[place:]]
        missing = size - len(parts[0])
        while missing > 0 and (block := next(blocks, b"")):
            parts.append(block)
            missing -= len(block)
        pending, place = b"".join(parts), 0
        return missing <= 0

    while fill(1):
        where = f"{file}: record {number} (at byte {content.offsets[-1]})"
        if not fill(_HEADER.size):
            content.problems.append(f"{where}: the file ends inside it")
            return
        length, checksum = _HEADER.unpack_from(pending, place)
        if masked_crc(pending[place : place + 8]) != checksum:
            content.problems.append(
                f"{where}: the checksum of its length is wrong, so neither it nor the rest of the "
                "file can be read"
            )
            return
        size = _HEADER.size + length + _FOOTER.size
        if not fill(size):
            content.problems.append(f"{where}: the file ends inside it")
            return
        data = pending[place + _HEADER.size : place + size - _FOOTER.size]
        [checksum] = _FOOTER.unpack_from(pending, place + size - _FOOTER.size)
        content.offsets.append(content.offsets[-1] + size)
        place += size
        number += 1
        if masked_crc(data) == checksum:
            yield data
        else:
            content.problems.append(f"{where}: its checksum is wrong")
            yield None


def _add_record(
    content: ShardContent, data: bytes | None, num_identities: int, where: str
) -> int | None:
    """Adds one record to what the file holds; returns its label when nobody has it."""
    record, label = None, -1
    if data is not None:
        try:
            record, label = example.deserialize(data)
        except InputError as error:
            content.problems.append(f"{where}: {error}")
    known = 0 <= label < num_identities
    content.labels.append(label if known else -1)
    if record is None:
        content.num_bytes.append(0)
        content.digests.extend(bytes(_DIGEST_BYTES))
        return None
    content.num_bytes.append(len(record.encoded))
    content.digests.extend(content_digest(record.encoded)[:_DIGEST_BYTES])
    header = read_size(record.encoded)
    if header is None:
        content.problems.append(
            f"{where} ({record.filename}): not an image that can be read ({FORMATS})"
        )
    if not known:
        return label
    content.kinds[header or ("unknown", 0, 0)] += 1
    for name, value in example.attribute_values(record).items():
        values = content.attributes.setdefault(name, Counter())
        if value in values or len(values) <= MOST_VALUES:
            values[value] += 1
    return None
