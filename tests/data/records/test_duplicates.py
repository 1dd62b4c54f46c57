"""Equal images are found, of one identity and of two, as the definition says."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.small_faces import encoded, write_folder
from tfface.data.records.conversion import convert
from tfface.data.records.duplicates import find_duplicate_images, write_duplicate_images
from tfface.data.records.inspection import inspect_dataset

images = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 5)), max_size=30)


@given(images)
def test_as_defined(images):
    labels, contents = [i[0] for i in images], [i[1] for i in images]
    within, across = set(), set()
    for content in set(contents):
        firsts = {}
        for index, image in enumerate(images):
            if image[1] == content and image[0] >= 0:
                if image[0] in firsts:
                    within.add((firsts[image[0]], index))
                firsts.setdefault(image[0], index)
        lowest = min(firsts, default=None)
        across |= {(firsts[lowest], firsts[label]) for label in firsts if label != lowest}
    digests = np.array([(c // 2, c % 2) for c in contents], np.uint64).reshape(-1, 2)
    found = find_duplicate_images(np.array(labels, np.int32), digests)
    assert {tuple(pair) for pair in found.within.tolist()} == within
    assert {tuple(pair) for pair in found.across.tolist()} == across
    for pairs in (found.within, found.across):
        assert pairs.tolist() == sorted(pairs.tolist())


@pytest.fixture
def inspection(tmp_path):
    a = write_folder(tmp_path / "a", {"ann": 3, "bob": 2})
    b = write_folder(tmp_path / "b", {"zoe": 1})
    (b / "zoe" / "0.jpg").write_bytes(encoded(77))
    (a / "ann" / "copy, of 0.jpg").write_bytes((a / "ann" / "0.jpg").read_bytes())
    (b / "zoe" / "same as bob.jpg").write_bytes((a / "bob" / "1.jpg").read_bytes())
    convert([str(a), str(b)], tmp_path / "data", num_shards=2)
    return inspect_dataset(tmp_path / "data")


def test_what_is_written(inspection, tmp_path):
    found = find_duplicate_images(inspection.labels, inspection.digests)
    write_duplicate_images(tmp_path / "new" / "duplicates.csv", inspection, found)
    with (tmp_path / "new" / "duplicates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "kind": "across",
        "name": "bob",
        "source": "a",
        "filename": "a/bob/1.jpg",
        "other_name": "zoe",
        "other_source": "b",
        "other_filename": "b/zoe/same as bob.jpg",
    }
    assert rows[1]["kind"] == "within"
    assert {rows[1]["filename"], rows[1]["other_filename"]} == {
        "a/ann/0.jpg",
        "a/ann/copy, of 0.jpg",
    }
    assert len(rows) == 2
