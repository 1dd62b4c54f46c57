"""Text and plot of the content of a dataset."""

import copy

import numpy as np

from tests.reporting.plot_files import is_plot
from tfface.reporting.dataset import plot_images_per_identity, to_text

DISTRIBUTION = {"min": 1, "median": 2.0, "mean": 2.345, "max": 1530, "sum": 3_000_000_000}
PAIR = {
    **{"name": "ann", "source": "a", "filename": "a/ann/1.jpg"},
    **{"other_name": "bob", "other_source": "b", "other_filename": "b/bob/2.jpg"},
}
STATISTICS = {
    "num_images": 12_345,
    "num_identities": 200,
    "num_files": 7,
    "sources": [
        {"name": "ms1m", "num_images": 12_000, "num_identities": 150},
        {"name": "kface", "num_images": 345, "num_identities": 50},
    ],
    "images_per_identity": {**DISTRIBUTION, "fewer_than": {"2": 50, "5": 100}},
    "bytes_per_image": DISTRIBUTION,
    "image_sizes": [{"height": 112, "width": 96, "num_images": 12_000}],
    "num_image_sizes": 4,
    "formats": {"JPEG": 12_000, "PNG": 345},
    "attributes": {"light": {"": 7, "L1": 1200}, "text": None},
    "duplicates": {
        "within_identity": {"pairs": 3, "identities": 2},
        "across_identities": {"pairs": 2, "identities": 4, "examples": [PAIR]},
    },
}


def test_all_lines():
    assert to_text(STATISTICS).split("\n") == [
        "12,345 images of 200 identities, 3.0 GB of images in 7 files",
        "source  images  identities",
        "ms1m    12,000         150",
        "kface      345          50",
        "images per identity: 1 to 1,530, median 2, mean 2.3",
        "identities with fewer than: 2 images 50 (25%), 5 images 100 (50%)",
        "bytes per image: 1 to 1,530, median 2, mean 2.3",
        "image sizes (height x width): 112 x 96 12,000 and 3 other sizes",
        "formats: JPEG 12,000, PNG 345",
        "attribute light: (none) 7, L1 1,200",
        "attribute text: more than 1,000 different values",
        "duplicate images within an identity: 3 copies (2 identities)",
        "duplicate images across identities: 2 pairs (4 identities)",
        "  a/ann/1.jpg (ann of a) = b/bob/2.jpg (bob of b)",
        "  and 1 more pairs",
    ]


def test_many_values_and_no_duplicates():
    statistics = copy.deepcopy(STATISTICS)
    statistics["attributes"] = {"pose": {f"C{i}": 1 for i in range(20)}}
    statistics["duplicates"] = {
        "within_identity": {"pairs": 0, "identities": 0},
        "across_identities": {"pairs": 0, "identities": 0, "examples": []},
    }
    lines = to_text(statistics).split("\n")
    assert lines[-3].endswith("C11 1 and 8 other values")
    assert lines[-2:] == [
        "duplicate images within an identity: 0 copies",
        "duplicate images across identities: 0 pairs",
    ]


def test_images_per_identity(tmp_path):
    rng = np.random.default_rng(0)
    counts = {"ms1m": rng.geometric(0.02, 5000), "kface": np.full(400, 50), "none": np.zeros(3)}
    plot_images_per_identity(tmp_path / "wide.png", counts, title="merged")
    plot_images_per_identity(tmp_path / "narrow.png", {"a": np.arange(40, 160)})
    plot_images_per_identity(tmp_path / "one.png", {"a": np.array([1])})
    for name in ("wide", "narrow", "one"):
        assert is_plot(tmp_path / f"{name}.png")
