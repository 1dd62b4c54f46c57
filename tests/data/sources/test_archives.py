"""Shards, tables and lists of a folder of identities are the images that the folder is."""

import json

import pytest

from tests.data.small_faces import encoded, write_folder
from tests.data.sources.archives import write_list, write_parquet, write_webdataset
from tfface.data.records.conversion import convert
from tfface.data.sources.opening import detect_format

COUNTS = {"ann": 4, "Bob Dylan": 2, "Zoë": 3}
COPIES = {
    "webdataset": lambda folder, copy: write_webdataset(folder, copy),
    "webdataset, json": lambda folder, copy: write_webdataset(folder, copy, as_json=True),
    "parquet": lambda folder, copy: write_parquet(folder, copy),
}


def contents(folder):
    """File -> bytes of a dataset folder, without what says which format it came from."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    del found[".plan.json"]
    dataset = json.loads(found.pop("dataset.json"))
    formats = [source.pop("format") for source in dataset["sources"]]
    return formats, dataset, found


@pytest.fixture(scope="module")
def from_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    write_folder(folder / "faces", COUNTS)
    # As in LFW, whose names of files are different in all folders.
    (folder / "faces" / "Cleo").mkdir()
    (folder / "faces" / "Cleo" / "Cleo_0001.jpg").write_bytes(encoded(99))
    convert([f"faces={folder / 'faces'}"], folder / "dataset", num_shards=2)
    return folder / "faces", contents(folder / "dataset")


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_converts_to_the_same_bytes(from_folder, tmp_path, kind):
    faces, (_, dataset, files) = from_folder
    copy = COPIES[kind](faces, tmp_path / "copy")
    format = kind.partition(",")[0]
    assert detect_format(copy) == format
    assert detect_format(min(copy.iterdir())) == format
    convert([f"faces={copy}"], tmp_path / "dataset", num_shards=2)
    formats, same_dataset, same_files = contents(tmp_path / "dataset")
    assert formats == [format]
    assert same_dataset == dataset
    assert same_files == files


def test_a_list_converts_to_the_same_bytes(tmp_path):
    # In the order of the lines, so a list that is sorted as a folder is.
    write_folder(tmp_path / "faces", {"ann": 4, "bob": 2})
    listed = write_list(tmp_path / "faces", tmp_path / "faces" / "list.txt")
    lines = listed.read_text().splitlines()
    assert lines[0] == "ann/0.jpg ann"
    convert([f"faces={listed}"], tmp_path / "of_list", num_shards=2)
    listed.unlink()
    convert([f"faces={tmp_path / 'faces'}"], tmp_path / "of_folder", num_shards=2)
    assert contents(tmp_path / "of_list")[1:] == contents(tmp_path / "of_folder")[1:]
