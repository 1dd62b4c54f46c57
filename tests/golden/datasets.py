"""Pins every file of converted datasets, byte for byte."""

from pathlib import Path

from tests.golden import inputs, internals, summaries

_DATA = Path("datasets")


def folders() -> dict:
    """Pins a folder in several shards, two merged folders, and a CSV list with attributes."""
    faces, others = _DATA / "faces", _DATA / "others"
    inputs.write_people(faces, range(9), range(5))
    inputs.write_people(faces, [9], range(1))
    inputs.write_people(others, range(7, 12), range(3))
    inputs.write(_DATA / "exclude.csv", "name,source\nperson08,others\nperson02,faces\n")
    rows = [
        f"faces/person{person:02d}/{number}.png,p{person},C{number},L{person % 2}"
        for person in range(9)
        for number in range(5)
    ]
    inputs.write(_DATA / "list.csv", "path,identity,pose,light\n" + "\n".join(rows) + "\n")
    return {
        "values": {
            "shards": _convert("shards", faces, "--shards", 3),
            "merged": _convert(
                *("merged", faces, others, "--shards", 2, "--seed", 7),
                *("--min-images", 2, "--exclude", _DATA / "exclude.csv"),
            ),
            "list": _convert("list", _DATA / "list.csv"),
        }
    }


def fixtures(test_data: Path) -> dict:
    """Pins real faces in record files and in K-Face's layout."""
    return {
        "values": {
            name: _convert(name, test_data / "fixtures" / name)
            for name in ("faces_rec", "flat_rec", "kface_shaped")
        }
    }


def _convert(name: str, *arguments: object) -> dict[str, str]:
    output = _DATA / "converted" / name
    internals.run_tool("convert_tfrecord", *arguments, "--output", output)
    return summaries.sha256_of_files(output)
