"""JSON that anybody may have written."""

import dataclasses
from pathlib import Path

import pytest

from tfface.errors import InputError
from tfface.json_file import Count, ListOf, Text, check_version, checked_as, parse_as


@dataclasses.dataclass
class Row:
    name: Text
    size: tuple[Count, Count] | None = None


def test_what_fits_is_read():
    assert parse_as(list[Row], '[{"name": "\\udce9", "size": [1, 2]}, {"name": "a"}]') == [
        Row("\udce9", (1, 2)),
        Row("a"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deep"),
        ("3", "^must be a list, got 3$"),
        ("[[1]]", "^0: must be an object, got a list$"),
        ('[{"name": {}}]', r"^0\.name: must be text, got an object$"),
        ("[{}]", r"^0\.name: is missing$"),
        ('[{"name": 1}]', r"^0\.name: must be text, got 1$"),
        ('[{"name": "a", "size": [1, true]}]', r"^0\.size\.1: must be a whole number, got true$"),
        ('[{"name": "a", "size": [1, 2.0]}]', r"^0\.size\.1: must be a whole number, got 2\.0$"),
        ('[{"name": "a", "size": [1, -2]}]', r"^0\.size\.1: must be 0 or more, got -2$"),
        ('[{"name": "a", "size": [1, 9223372036854775808]}]', r"must be less than 9223"),
        ('[{"name": "a", "size": [1]}]', r"^0\.size\.1: is missing$"),
        ('[{"name": "a", "size": [1, 2, 3]}]', r"^0\.size: must have 2 entries, got more$"),
        ('[{"name": null}]', r"^0\.name: must be text, got null$"),
        ('[{"name": "a", "size": "\\u001b[2J\\n"}]', r"^[ -~]*$"),
    ],
)
def test_what_does_not_fit_is_one_line(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_as(ListOf[Row], text)
    assert str(error.value).isprintable()
    assert len(str(error.value)) <= 200


def test_what_is_parsed_already():
    assert checked_as(dict[str, Count], {"a": 1}) == {"a": 1}
    with pytest.raises(ValueError, match=r'^a: must be a whole number, got "1"$'):
        checked_as(dict[str, Count], {"a": "1"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"a\.json: must be an object, got a list$"),
        ({}, r"a\.json: version is missing$"),
        ({"version": None}, r"version is null, and this version of tfface reads 1$"),
        ({"version": True}, r"version is true, and"),
        ({"version": "1"}, r'version is "1", and'),
        ({"version": {"a": 1}}, r"version is an object, and"),
    ],
)
def test_other_versions_are_refused(content, message):
    check_version(Path("a.json"), {"version": 1}, "version", 1)
    with pytest.raises(InputError, match=message):
        check_version(Path("a.json"), content, "version", 1)
