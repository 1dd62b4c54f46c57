"""The comparison itself: what counts as another value, and what a rewriting keeps."""

import copy
import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.golden import inputs, summaries
from tests.golden.comparison import Tolerance, differences
from tests.golden.values import Pinned, renewed, rounded

TOLERANCE = Tolerance(relative=1e-3, absolute=1e-4)


def counting(pinned, found, tolerance=TOLERANCE) -> list[str]:
    return [d.path for d in differences(pinned, found, tolerance) if d.counts]


@pytest.mark.parametrize(
    ("pinned", "found"),
    [
        (1.0, 1.0009),
        (0.0, 9e-5),
        ({"a": [1, None, "x", True, 2.0]}, {"a": [1, None, "x", True, 2.0005]}),
    ],
)
def test_the_same_as_far_as_is_allowed(pinned, found):
    assert counting(pinned, found) == []


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
def test_what_is_another_value(pinned, found, where):
    assert counting(pinned, found) == [where]


class TestArrays:
    ARRAY = np.random.default_rng(0).normal(1e-3, 1, (20, 30)).astype("float32")

    def counting(self, other: np.ndarray) -> list[str]:
        return counting(summaries.of_array(self.ARRAY), summaries.of_array(other))

    def test_rounding(self):
        noise = np.random.default_rng(1).normal(1, 1e-4, self.ARRAY.shape)
        assert self.counting(self.ARRAY * noise) == []

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
        assert self.counting(change(self.ARRAY))

    def test_zeros_stay_zeros(self):
        zeros = summaries.of_array(np.zeros(5, "float32"))
        assert counting(zeros, zeros) == []
        assert counting(zeros, summaries.of_array(np.full(5, 1e-9, "float32")))


class TestRewriting:
    BEFORE = Pinned({"loss": 1.0, "epochs": 2}, {"here": {"head": "a"}, "there": {"head": "b"}})

    def renewed(self, environment: str, loss: float, epochs: int = 2) -> Pinned:
        result = {"values": {"loss": loss, "epochs": epochs}, "sha256": {"head": "new"}}
        return renewed(self.BEFORE, result, environment, TOLERANCE)[0]

    def test_values_that_are_near_enough_stay(self):
        after = self.renewed("elsewhere", 1.0001)
        assert after.values == self.BEFORE.values
        assert after.sha256 == {**self.BEFORE.sha256, "elsewhere": {"head": "new"}}

    def test_the_hash_of_an_environment_is_replaced(self):
        after = self.renewed("here", 1.0001)
        assert after.sha256 == {"here": {"head": "new"}, "there": {"head": "b"}}

    @pytest.mark.parametrize(("loss", "epochs"), [(1.1, 2), (1.0, 3)])
    def test_other_values_leave_no_hash_of_before(self, loss, epochs):
        after = self.renewed("here", loss, epochs)
        assert after == Pinned({"loss": loss, "epochs": epochs}, {"here": {"head": "new"}})

    def test_a_new_pin(self):
        result = {"values": [1], "sha256": {"head": "new"}}
        assert renewed(None, result, "here", TOLERANCE) == (
            Pinned([1], {"here": {"head": "new"}}),
            [],
        )

    def test_numbers_are_kept_to_more_digits_than_float32_has(self):
        value = float(np.float32(1 / 3))
        before = {"a": [value, 1, None, "x", True]}
        after = rounded(copy.deepcopy(before))
        assert np.float32(after["a"][0]) == np.float32(value)
        assert after["a"][1:] == before["a"][1:]


def test_the_pictures_are_files_that_others_read():
    pixels = inputs.face(3, 5)
    read = Image.open(io.BytesIO(inputs.png(pixels)))
    assert read.format == "PNG"
    np.testing.assert_array_equal(np.asarray(read), pixels)


def test_large_arrays_have_no_two_rows_alike():
    array = inputs.uniform(0, (512, 512))
    assert len(np.unique(array, axis=0)) == 512
    assert array.min() < -0.99
    assert array.max() > 0.99
