"""Tests of the comparison, of updates and of the inputs."""

import copy
import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.golden import inputs, summaries
from tests.golden.comparison import Tolerance, differences
from tests.golden.golden_files import Golden, rounded, updated

TOLERANCE = Tolerance(relative=1e-3, absolute=1e-4)


def significant(pinned, found, tolerance=TOLERANCE) -> list[str]:
    return [d.path for d in differences(pinned, found, tolerance) if d.is_significant]


@pytest.mark.parametrize(
    ("pinned", "found"),
    [
        (1.0, 1.0009),
        (0.0, 9e-5),
        ({"a": [1, None, "x", True, 2.0]}, {"a": [1, None, "x", True, 2.0005]}),
    ],
)
def test_within_the_tolerance(pinned, found):
    assert significant(pinned, found) == []


@pytest.mark.parametrize(
    ("pinned", "found", "where"),
    [
        (1.0, 1.002, ""),
        (1.0, math.nan, ""),
        (1.0, 1, ""),
        (1, True, ""),
        (None, 0.0, ""),
        (1000, 1001, ""),
        ("a", "b", ""),
        ([1, 2], [1, 2, 3], ""),
        ([1, 2], [1, 3], "/1"),
        ({"a": 1}, {}, "/a"),
        ({}, {"a": 1}, "/a"),
        ({"a": {"b": 1.0}}, {"a": {"b": -1.0}}, "/a/b"),
    ],
)
def test_beyond_the_tolerance(pinned, found, where):
    assert significant(pinned, found) == [where]


class TestArrays:
    ARRAY = np.random.default_rng(0).normal(1e-3, 1, (20, 30)).astype("float32")

    def significant(self, other: np.ndarray) -> list[str]:
        return significant(summaries.of_array(self.ARRAY), summaries.of_array(other))

    def test_rounding(self):
        noise = np.random.default_rng(1).normal(1, 1e-4, self.ARRAY.shape)
        assert self.significant(self.ARRAY * noise) == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda array: -array,
            lambda array: array[::-1],
            lambda array: array[:, ::-1],
            lambda array: np.roll(array, 1, axis=0),
            lambda array: np.where(np.arange(600).reshape(20, 30) == 77, -array, array),
            lambda array: array * 1.003,
            lambda array: array.T,
        ],
        ids=["sign", "rows", "columns", "next row", "one entry", "size", "shape"],
    )
    def test_mistakes(self, change):
        assert self.significant(change(self.ARRAY))

    def test_zeros_must_stay_zeros(self):
        zeros = summaries.of_array(np.zeros(5, "float32"))
        assert significant(zeros, zeros) == []
        assert significant(zeros, summaries.of_array(np.full(5, 1e-9, "float32")))


class TestUpdates:
    BEFORE = Golden({"loss": 1.0, "epochs": 2}, {"here": {"head": "a"}, "there": {"head": "b"}})

    def updated(self, environment: str, loss: float, epochs: int = 2) -> Golden:
        result = {"values": {"loss": loss, "epochs": epochs}, "sha256": {"head": "new"}}
        return updated(self.BEFORE, result, environment, TOLERANCE)[0]

    def test_values_within_the_tolerance_are_kept(self):
        after = self.updated("elsewhere", 1.0001)
        assert after.values == self.BEFORE.values
        assert after.sha256 == {**self.BEFORE.sha256, "elsewhere": {"head": "new"}}

    def test_the_hash_of_an_environment_is_replaced(self):
        after = self.updated("here", 1.0001)
        assert after.sha256 == {"here": {"head": "new"}, "there": {"head": "b"}}

    @pytest.mark.parametrize(("loss", "epochs"), [(1.1, 2), (1.0, 3)])
    def test_other_values_drop_the_hashes_of_other_environments(self, loss, epochs):
        after = self.updated("here", loss, epochs)
        assert after == Golden({"loss": loss, "epochs": epochs}, {"here": {"head": "new"}})

    def test_a_new_pin(self):
        result = {"values": [1], "sha256": {"head": "new"}}
        assert updated(None, result, "here", TOLERANCE) == (
            Golden([1], {"here": {"head": "new"}}),
            [],
        )

    def test_rounding_keeps_float32(self):
        value = float(np.float32(1 / 3))
        before = {"a": [value, 1, None, "x", True]}
        after = rounded(copy.deepcopy(before))
        assert np.float32(after["a"][0]) == np.float32(value)
        assert after["a"][1:] == before["a"][1:]


def test_pillow_reads_the_images():
    pixels = inputs.face(3, 5)
    read = Image.open(io.BytesIO(inputs.png(pixels)))
    assert read.format == "PNG"
    np.testing.assert_array_equal(np.asarray(read), pixels)


def test_large_arrays_have_no_equal_rows():
    array = inputs.uniform(0, (512, 512))
    assert len(np.unique(array, axis=0)) == 512
    assert array.min() < -0.99
    assert array.max() > 0.99
