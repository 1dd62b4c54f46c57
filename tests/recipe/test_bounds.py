"""Numbers that decide about memory or time have an upper bound, and a line when above it."""

import argparse
import typing

import pytest
from pydantic.fields import FieldInfo

from tests.training.recipes import load_tiny
from tfface.cli import command
from tfface.errors import InputError
from tfface.registry import options_schema
from tfface.training.registries import REGISTRIES

PARTS = [
    (kind, name) for kind in ("backbones", "heads", "augmentations") for name in REGISTRIES[kind]
]


def unbounded(annotation: object, bounds: list) -> bool:
    """Whether a whole number without an upper bound is allowed somewhere in an annotation."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *more = typing.get_args(annotation)
        bounds = [*bounds, *more]
    if annotation is int:
        flat = [one for b in bounds for one in (b.metadata if isinstance(b, FieldInfo) else [b])]
        return not any(hasattr(one, "le") or hasattr(one, "lt") for one in flat)
    # A bound of a list is not one of what it holds.
    return any(unbounded(inner, []) for inner in typing.get_args(annotation))


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_whole_numbers_of_networks_have_a_bound(kind, name):
    for option, field in options_schema(REGISTRIES[kind][name]).model_fields.items():
        assert not unbounded(field.annotation, field.metadata), option


def test_the_look_finds_what_has_none():
    assert unbounded(int, [])
    assert unbounded(list[int] | None, [])
    assert not unbounded(bool | float, [])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "model.embedding_size=99999999",
            "model.embedding_size: 99999999 is not allowed; must be less than or equal to 65536",
        ),
        (
            "data.batch_size=999999999999",
            "data.batch_size: 999999999999 is not allowed; must be less than or equal to 65536",
        ),
        (
            "model.neck.hidden_units=[99999999]",
            "model.neck.hidden_units.0: 99999999 is not allowed; must be less than or equal to "
            "65536",
        ),
        (
            f"data.augment=[{', '.join(['random_flip'] * 3000)}]",
            r"data.augment: .* is not allowed; must have at most 64 items",
        ),
    ],
)
def test_a_number_above_it(tmp_path, override, line):
    with pytest.raises(InputError, match=line) as raised:
        load_tiny(tmp_path, override)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("option", "text", "most"),
    [
        (command.batch_size, "999999999999", 8192),
        (command.workers, "100000", 1024),
        (command.cells, "101", 100),
        (command.shards, "100000", 99999),
    ],
)
def test_options_of_tools(option, text, most):
    assert option(str(most)) == most
    with pytest.raises(
        argparse.ArgumentTypeError, match=f"^must be a whole number from 1 to {most}, got '{text}'$"
    ):
        option(text)
