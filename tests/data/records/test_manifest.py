"""dataset.json and identities.csv."""

import csv
import dataclasses
import json
import os

import pytest

from tfface.data.records import manifest
from tfface.data.records.manifest import DatasetFolder, Identity, Shard, SourceSummary
from tfface.errors import InputError


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data-00000-of-00001.tfrecord").write_bytes(b"12345")
    return DatasetFolder(
        identities=[Identity("Zoë, the 1st", "a"), Identity(os.fsdecode(b"caf\xe9\n"), "b")],
        images_per_identity=[2, 1],
        image_size=(112, 96),
        sources=[SourceSummary("a", "folder", 2, 1), SourceSummary("b", "folder", 1, 1)],
        seed=4,
        shards=[Shard("data-00000-of-00001.tfrecord", 3, 5, "ab")],
        attributes=("light", "pose"),
        left_out=[("too few", 2, 3)],
    )


def test_round_trip(dataset, tmp_path):
    manifest.write(tmp_path, dataset)
    assert manifest.read(tmp_path) == dataset


def test_names_that_a_spreadsheet_would_run_come_back(dataset, tmp_path):
    names = ['=HYPERLINK("x")', "'-1"]
    identities = [Identity(name, "+source") for name in names]
    manifest.write(tmp_path, dataclasses.replace(dataset, identities=identities))
    assert manifest.read(tmp_path).identities == identities
    with (tmp_path / "identities.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert row["name"][0] == row["source"][0] == "'"


def test_the_published_layout(dataset, tmp_path):
    manifest.write(tmp_path, dataset)
    content = json.loads((tmp_path / "dataset.json").read_text())
    assert content == {
        "format_version": 1,
        "num_images": 3,
        "num_identities": 2,
        "image_size": [112, 96],
        "attributes": ["light", "pose"],
        "sources": [
            {"name": "a", "format": "folder", "num_images": 2, "num_identities": 1},
            {"name": "b", "format": "folder", "num_images": 1, "num_identities": 1},
        ],
        "left_out": [{"reason": "too few", "num_identities": 2, "num_images": 3}],
        "seed": 4,
        "shards": [
            {"file": "data-00000-of-00001.tfrecord", "records": 3, "bytes": 5, "sha256": "ab"}
        ],
    }
    with (tmp_path / "identities.csv").open(errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"label": "0", "name": "Zoë, the 1st", "source": "a", "num_images": "2"}


def make_pipe(folder):
    (folder / "dataset.json").unlink()
    os.mkfifo(folder / "dataset.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: (d / "dataset.json").unlink(), r"has no dataset\.json"),
        (lambda d: (d / "dataset.json").write_text("{"), r"dataset\.json: can't be read"),
        (lambda d: (d / "dataset.json").write_text("[]"), "must be an object, got a list"),
        (lambda d: edit(d, format_version=2), "format_version is 2, and this version of tfface"),
        (lambda d: edit(d, sources=None), "sources: must be a list, got null"),
        (lambda d: (d / "dataset.json").write_text("[" * 99_999), r"dataset\.json: can't be read"),
        (
            lambda d: (d / "dataset.json").write_text("9" * 9999),
            "read: a number of too many digits",
        ),
        (make_pipe, r"dataset\.json: can't be read: is no regular file"),
        *(
            (lambda d, change=change: edit(d, **change), r"dataset\.json: " + why)
            for change, why in [
                ({"num_images": "3"}, 'num_images: must be a whole number, got "3"'),
                ({"num_identities": True}, "num_identities: must be a whole number, got true"),
                ({"image_size": [112]}, "image_size.1: is missing"),
                ({"image_size": [-1, 2]}, "image_size.0: must be 0 or more, got -1"),
                ({"sources": [{"name": 1}]}, "sources.0.name: must be text, got 1"),
                ({"sources": [{"name": "a"}]}, "sources.0.format: is missing"),
                ({"sources": [1]}, "sources.0: must be an object, got 1"),
                ({"seed": None}, "seed: must be a whole number, got null"),
                ({"attributes": "pose"}, 'attributes: must be a list, got "pose"'),
                ({"attributes": [1]}, "attributes.0: must be text, got 1"),
                ({"attributes": ["\udce9"]}, "attributes.0: no text in UTF-8, got"),
                ({"shards": {}}, "shards: must be a list, got an object"),
                ({"sources": {}}, "sources: must be a list, got an object"),
            ]
        ),
        *(
            (lambda d, file=file: edit_shard(d, file=file), "shards.0.file: not a file's name")
            for file in [
                *("../data.tfrecord", "/etc/passwd", "sub/data.tfrecord", "", ".", ".."),
                *("a\0b", 100_000 * "a"),
            ]
        ),
        (lambda d: edit_shard(d, file=7), "shards.0.file: must be text, got 7"),
        (lambda d: edit_shard(d, records=-3), "shards.0.records: must be 0 or more, got -3"),
        (lambda d: edit_shard(d, bytes="5"), 'shards.0.bytes: must be a whole number, got "5"'),
        (lambda d: edit_shard(d, sha256=None), "shards.0.sha256: must be text, got null"),
        (lambda d: edit(d, shards=shards(d) * 2), "a shard is listed twice"),
        (lambda d: edit_identities(d, b""), "3 images of 2 identities, but .* lists 0 of 0"),
        (lambda d: edit_identities(d, b"x,a,b,1\n"), r"needs the columns .* whole numbers\)"),
        (lambda d: edit_identities(d, b"0,a,b,-1\n"), r"needs the columns .* whole numbers\)"),
        (lambda d: edit_identities(d, b"0,a\n"), "needs the columns label, name, source, num_"),
        (lambda d: edit_identities(d, b"1,a,b,2\n"), "the labels are not 0, 1, 2, ... in order"),
        (lambda d: edit_identities(d, b"0," + b"a" * 999_999), "field larger than field limit"),
        (lambda d: edit(d, num_images=4), "4 images of 2 identities, but its shards hold 3"),
        (lambda d: (d / "identities.csv").unlink(), r"identities\.csv: can't be read: No such"),
        (lambda d: (d / "identities.csv").write_text("a,b\n1,2\n"), "needs the columns label"),
        (lambda d: cut_identity(d), "but its shards hold 3 and identities.csv lists 2 of 1"),
        (lambda d: (d / "data-00000-of-00001.tfrecord").unlink(), "tfrecord: missing"),
        (
            lambda d: (d / "data-00000-of-00001.tfrecord").write_bytes(b"1234"),
            r"tfrecord: 4 bytes, but dataset\.json says 5",
        ),
    ],
)
def test_altered_folders_are_refused(dataset, tmp_path, change, message):
    manifest.write(tmp_path, dataset)
    change(tmp_path)
    with pytest.raises(InputError, match=message):
        manifest.read(tmp_path)


def edit(folder, **changes):
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(content | changes))


def shards(folder):
    return json.loads((folder / "dataset.json").read_text())["shards"]


def edit_shard(folder, **changes):
    edit(folder, shards=[shards(folder)[0] | changes])


def edit_identities(folder, rows: bytes):
    (folder / "identities.csv").write_bytes(b"label,name,source,num_images\n" + rows)


def cut_identity(folder):
    (folder / "identities.csv").write_text("label,name,source,num_images\n0,Ann,a,2\n")
