"""What a sweep varies, and the trials that it makes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.training.sweep_axes import (
    SweepAxis,
    format_value,
    make_trials,
    parse_axis,
    short_keys,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.name=sgd,adam,adamw", ("sgd", "adam", "adamw")),
        ("a.rate=0.1, 1e-2,3", (0.1, 0.01, 3)),
        ("a=[{name: sgd}, adam]", ({"name": "sgd"}, "adam")),
        ("a=sgd,{name: sgd, rate: 0.1}", ("sgd", {"name": "sgd", "rate": 0.1})),
        ("a=[64, 128],[32]", ([64, 128], [32])),
        ("a=[[64, 128]]", ([64, 128],)),
        ("a='x,y',\"z\"", ("x,y", "z")),
        ("a=none", ("none",)),
        ("a=null,true", (None, True)),
        ("a=b=c,d", ("b=c", "d")),
    ],
)
def test_values(text, values):
    found = parse_axis(text)
    assert found.key == text.partition("=")[0]
    assert found.values == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", r"--sweep a: must be PLACE=VALUE,VALUE,\.\.\., as in training"),
        ("a=", "must be PLACE=VALUE"),
        ("=a,b", "must be PLACE=VALUE"),
        ("a=[b", "a value is not valid YAML"),
        ("a=[]", "the list of values is empty"),
        ("a=sgd,adam,sgd", "sgd is given twice"),
    ],
)
def test_what_is_no_list_of_values(text, message):
    with pytest.raises(InputError, match=message):
        parse_axis(text)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("sgd", "sgd"),
        (0.001, "0.001"),
        (None, "null"),
        (True, "true"),
        ({"name": "sgd", "learning_rate": 0.1}, "sgd learning_rate=0.1"),
        ({"arcface": {"margin": 0.3}}, "arcface margin=0.3"),
        ({"source": "folder", "path": "a"}, "folder path=a"),
        ({"fraction": 0.2, "by": "image"}, "fraction=0.2 by=image"),
        (
            ["random_flip", {"gaussian_noise": {"stddev": 2}}],
            "[random_flip, gaussian_noise stddev=2]",
        ),
        ([], "[]"),
        ({}, "{}"),
        ("", "''"),
    ],
)
def test_names_of_values(value, name):
    assert format_value(value) == name


@pytest.mark.parametrize(
    ("places", "short"),
    [
        (["training.stages.0.optimizer.name"], ["optimizer"]),
        (["model.backbone.name", "training.stages.0.epochs"], ["backbone", "epochs"]),
        (
            ["training.stages.0.epochs", "training.stages.1.epochs"],
            ["stages.0.epochs", "stages.1.epochs"],
        ),
        (
            ["training.stages.0.optimizer", "training.stages.0.optimizer.learning_rate"],
            ["optimizer", "learning_rate"],
        ),
        (["name"], ["name"]),
    ],
)
def test_short_places(places, short):
    assert short_keys(places) == short


def test_every_combination():
    varied = [parse_axis("a.optimizer.name=sgd,adam"), parse_axis("a.optimizer.rate=0.1,0.2")]
    variants = make_trials(varied, "recipe")
    assert [variant.name for variant in variants] == [
        "optimizer=sgd, rate=0.1",
        "optimizer=sgd, rate=0.2",
        "optimizer=adam, rate=0.1",
        "optimizer=adam, rate=0.2",
    ]
    assert variants[1].overrides == ['a.optimizer.name="sgd"', "a.optimizer.rate=0.2"]
    assert variants[1].folder == "optimizer-sgd--rate-0.2"


def test_nothing_varied_is_the_recipe():
    [variant] = make_trials([], "my recipe")
    assert (variant.name, variant.overrides) == ("my recipe", [])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a=1,2", "a=3"], "--sweep a: given twice; give all its values at once"),
        (["training.seed=1,2"], "give --seeds N"),
        (["a=1,'1'"], "two variants would be called '1'"),
    ],
)
def test_what_makes_no_variants(texts, message):
    with pytest.raises(InputError, match=message):
        make_trials([parse_axis(text) for text in texts], "recipe")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(0, 1) | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(VALUES)
def test_folders_can_be_made_and_told_apart(value):
    [variant] = make_trials([SweepAxis("a.b", (value,))], "recipe")
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", variant.folder)
    [again] = make_trials([SweepAxis("a.b", (value,))], "recipe")
    assert again.folder == variant.folder
    [other] = make_trials([SweepAxis("a.b", ([value, "x"],))], "recipe")
    assert other.folder != variant.folder
