"""A recipe with an experiment's name holds the values that its author ran."""

import re
from pathlib import Path

import pytest
import yaml

from tfface import recipe as recipes
from tfface.training.registries import REGISTRIES

_HERE = Path(__file__).resolve().parent
_RECIPES = _HERE.parent / "recipes"
VALUES: dict[str, dict] = yaml.safe_load(
    (_HERE / "experiment_values.yaml").read_text(encoding="utf-8")
)


def values_of(name: str) -> dict:
    """The author's values of a recipe: {place: value}."""
    values = dict(VALUES[name])
    del values["published"]
    same = values.pop("same", None)
    return (values_of(same) if same else {}) | values


def at(content, place: str):
    """What a resolved recipe says at a place, as in --set."""
    for key in place.split("."):
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def differences(given, wanted, place: str) -> list[str]:
    """Compares what the table states, and nothing that it leaves open.

    A name alone stands for a part with open options.
    """
    if isinstance(wanted, dict):
        return [
            line
            for key in wanted
            for line in differences(given[key], wanted[key], f"{place}.{key}")
        ]
    if isinstance(wanted, list) and len(given) == len(wanted):
        return [
            line
            for number, value in enumerate(wanted)
            for line in differences(given[number], value, f"{place}.{number}")
        ]
    if isinstance(wanted, str) and isinstance(given, dict):
        given = given["name"]
    return [] if given == wanted else [f"{place}: {given}, the author's is {wanted}"]


@pytest.mark.parametrize("name", VALUES)
def test_holds_the_authors_values(name):
    content = recipes.load(_RECIPES / f"{name}.yaml", REGISTRIES).model_dump(mode="json")
    found = []
    for place, wanted in values_of(name).items():
        found += differences(at(content, place), wanted, place)
    assert found == []


def test_a_value_that_drifts_is_found():
    content = recipes.load(_RECIPES / "vgg16_transfer.yaml", REGISTRIES).model_dump(mode="json")
    content["data"]["augment"][1]["hue"] = 0.02
    place = "data.augment"
    assert differences(at(content, place), values_of("vgg16_transfer")[place], place) == [
        "data.augment.1.hue: 0.02, the author's is 0.05"
    ]


def section_of_header(text: str, word: str) -> str:
    """What the header of a recipe says behind `Published:` and the like, on one line."""
    lines = re.findall(rf"^# {word}:.*\n(?:#   +.*\n)*", text, re.MULTILINE)
    assert len(lines) == 1
    return re.sub(r"\n# +", " ", lines[0])


@pytest.mark.parametrize("name", VALUES)
def test_header_states_the_authors_figures_and_what_is_ours(name):
    text = (_RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    published = section_of_header(text, "Published")
    assert [figure for figure in VALUES[name]["published"] if figure not in published] == []
    assert "value" in text.partition("# Source")[0]
    assert section_of_header(text, "Ours")


def test_the_figures_are_those_of_the_notes(test_data):
    notes = (test_data / "EXPERIMENTS.md").read_text(encoding="utf-8")
    seeds = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted((test_data / "seeds").iterdir())
    ]
    text = "\n".join([notes, *seeds])
    # The notes write these as shares, the headers in percent.
    missing = [
        figure
        for values in VALUES.values()
        for figure in values["published"]
        if figure not in text and f"{float(figure) / 100:.4f}" not in text
    ]
    assert missing == []
