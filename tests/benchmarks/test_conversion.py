"""The synthetic set is a valid .rec, and its conversion is measured."""

import numpy as np
import pytest
import synthetic_recordio
from conversion import as_text, measure_conversion
from synthetic_recordio import write_synthetic_recordio

from tfface.data.sources.recordio import RecordIOSource
from tfface.errors import InputError
from tfface.images.validation import check_images


@pytest.mark.slow
def test_synthetic_recordio(tmp_path):
    write_synthetic_recordio(tmp_path / "synthetic", num_images=500, num_identities=7)
    source = RecordIOSource(tmp_path / "synthetic")
    assert source.num_images == 500
    counts = np.bincount(source.labels)
    assert len(counts) == 7
    assert counts.min() == 71
    assert counts.max() == 72
    encoded = [source.read(index).encoded for index in range(500)]
    assert len(set(encoded)) == 500
    sizes, bad = check_images(encoded)
    assert not bad
    assert (sizes == 112).all()
    assert (tmp_path / "synthetic/property").read_text() == "7,112,112"


@pytest.mark.slow
def test_measurement(tmp_path):
    [row] = measure_conversion([1e-4], tmp_path, num_runs=1, num_workers=2)
    assert row["num_images"] == 582
    assert row["num_identities"] == 9
    assert row["peak_memory_mib"] > 100
    assert row["relative_time"] == row["conversion_s"] / row["baseline_s"]
    # What it made is gone.
    assert not list(tmp_path.iterdir())
    text = as_text([row | {"images_per_s": 10_000.0, "startup_s": 0.0}])
    assert text.endswith("at this rate all 5,822,653 images of MS1M take 10 minutes")


@pytest.mark.slow
def test_a_conversion_that_fails_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(
        synthetic_recordio,
        "write_synthetic_recordio",
        lambda folder, images, identities: (
            folder.mkdir(),
            (folder / "train.rec").write_bytes(b""),
        ),
    )
    with pytest.raises(InputError, match=r"convert_tfrecord\.py .*: error: .*train\.rec"):
        measure_conversion([1e-4], tmp_path, num_runs=1, num_workers=None)
