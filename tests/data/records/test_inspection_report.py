"""What an inspection leaves: a report, a table and two pictures."""

import json

import matplotlib.image
import numpy as np
import pytest

from tests.data.broken_datasets import COUNTS, make_dataset, shard
from tfface.data.records import inspection_report
from tfface.data.records.duplicates import find_duplicate_images
from tfface.data.records.inspection import inspect_dataset
from tfface.data.records.inspection_report import choose_images, draw_inspection, write_inspection


@pytest.fixture(scope="module")
def inspection(tmp_path_factory):
    return inspect_dataset(make_dataset(tmp_path_factory.mktemp("inspected")))


@pytest.fixture
def sheets(monkeypatch):
    """What is drawn: (pictures, captions, title, columns) of each sheet."""
    drawn = []

    def draw(path, pictures, captions, *, title, columns, cell):
        drawn.append((pictures, captions, title, columns))

    monkeypatch.setattr(inspection_report, "draw_contact_sheet", draw)
    return drawn


def test_files(inspection, tmp_path):
    report = write_inspection(
        tmp_path / "out", inspection, find_duplicate_images(inspection.labels, inspection.digests)
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("contact_sheet.png", "duplicates.csv", "images_per_identity.png", "report.json")
    ]
    assert json.loads((tmp_path / "out/report.json").read_text()) == report
    assert report["dataset"] == str(inspection.folder)
    assert report["problems"] == []
    assert report["num_images"] == 20
    assert report["duplicates"] == {
        "within_identity": {"pairs": 0, "identities": 0},
        "across_identities": {"pairs": 0, "identities": 0, "examples": []},
    }
    for name in ("contact_sheet.png", "images_per_identity.png"):
        assert matplotlib.image.imread(tmp_path / "out" / name).std() > 0.01


def test_a_dataset_that_is_gone_has_no_pictures(tmp_path):
    folder = make_dataset(tmp_path, num_shards=1)
    shard(folder, 0).unlink()
    inspection = inspect_dataset(folder)
    report = write_inspection(
        tmp_path / "out", inspection, find_duplicate_images(inspection.labels, inspection.digests)
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("duplicates.csv", "report.json")
    ]
    assert report["problems"] == inspection.problems
    assert report["num_images"] == 0


def test_the_sheet_has_a_row_for_each_identity(inspection, tmp_path, sheets):
    draw_inspection(inspection, tmp_path, rows=3, columns=4, seed=0)
    [(pictures, captions, title, columns)] = sheets
    assert len(pictures) == len(captions) == 12
    assert columns == 4
    # Two have 4 images or more; the third is the one with the most of the others.
    assert title == "data: the 3 identities with the most images"
    firsts = [caption.split("\n") for caption in captions[::4]]
    assert [lines[1:] for lines in firsts] == [
        *(["ann", "label 0"], ["bob", "label 1"], ["dora 2", "label 3"])
    ]
    assert captions[3] == ""
    assert (pictures[3] == 255).all()
    for lines, picture in zip(firsts, pictures[::4], strict=True):
        assert lines[0].endswith(".jpg")
        assert picture.shape == (16, 16, 3)


def test_the_sheet_is_drawn_by_the_seed(inspection, tmp_path, sheets):
    for seed in (0, 0, *range(1, 9)):
        draw_inspection(inspection, tmp_path, rows=1, columns=3, seed=seed)
    captions = [captions for _, captions, _, _ in sheets]
    assert captions[0] == captions[1]
    assert len({tuple(one) for one in captions}) > 4
    # Only those who fill a row.
    assert {one[0].split("\n")[1] for one in captions} <= {"ann", "bob", "dora 2"}
    assert sheets[0][2] == "data: 1 of the 3 identities with 3 images or more"


def test_more_rows_than_identities(inspection, tmp_path, sheets):
    draw_inspection(inspection, tmp_path, rows=99, columns=1, seed=0)
    assert len(sheets[0][0]) == len(COUNTS)


def test_images_are_drawn_without_repetition():
    labels = np.array([0, 1, 1, -1, 1, 0, 1])
    assert choose_images(labels, 1, 9, seed=3).tolist() == [1, 2, 4, 6]
    chosen = {tuple(choose_images(labels, 1, 2, seed)) for seed in range(40)}
    assert len(chosen) == 6
    assert all(first < second for first, second in chosen)
