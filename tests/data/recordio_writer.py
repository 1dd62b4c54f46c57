"""Writes MXNet record files, as the tools of MXNet and InsightFace do."""

import struct
from collections.abc import Sequence
from pathlib import Path

MAGIC = struct.pack("<I", 0xCED7230A)


def payload(labels: float | Sequence[float], image: bytes = b"", key: int = 0) -> bytes:
    """A header, with a list of labels when `labels` is one, and the image."""
    if isinstance(labels, int | float):
        return struct.pack("<IfQQ", 0, labels, key, 0) + image
    header = struct.pack("<IfQQ", len(labels), 0, key, 0)
    return header + struct.pack(f"<{len(labels)}f", *labels) + image


def framed(payload: bytes) -> bytes:
    """A record, in several parts where the payload holds the magic at a multiple of 4."""
    parts, start = [], 0
    for place in range(0, len(payload) - 3, 4):
        if payload[place : place + 4] == MAGIC:
            parts.append(payload[start:place])
            start = place + 4
    parts.append(payload[start:])
    last = len(parts) - 1
    kinds = [0] if last == 0 else [1] + [2] * (last - 1) + [3]
    return b"".join(
        MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )


def write(rec: Path, records: dict[int, bytes], *, index: bool = True) -> Path:
    """Writes payloads, by key, in the order given; and the index beside them."""
    rec.parent.mkdir(parents=True, exist_ok=True)
    lines, offset = [], 0
    with rec.open("wb") as file:
        for key, content in records.items():
            lines.append(f"{key}\t{offset}\n")
            offset += file.write(framed(content))
    if index:
        rec.with_suffix(".idx").write_text("".join(lines))
    return rec


def insightface_records(images: Sequence[Sequence[bytes]]) -> dict[int, bytes]:
    """The records of InsightFace's layout; `images[i]` are those of identity i, and may be none."""
    records, key = {}, 1
    ranges = []
    for identity, encoded in enumerate(images):
        ranges.append((key, key + len(encoded)))
        for image in encoded:
            records[key] = payload(identity, image, key)
            key += 1
    first = key
    for start, end in ranges:
        records[key] = payload([start, end], key=key)
        key += 1
    records[0] = payload([first, key])
    return records
