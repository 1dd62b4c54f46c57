"""JSON that anybody may have written."""

import dataclasses

import pytest

from tfface.json_file import Count, ListOf, Text, checked_as, parse_as


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
        ("3", "Input should be a valid list, not 3"),
        ("[[1]]", r"^0: Input should be a dictionary or an instance of Row$"),
        ('[{"name": {}}]', r"^0\.name: Input should be an instance of str, not {}$"),
        ("[{}]", r"^0\.name: Field required$"),
        ('[{"name": 1}]', r"^0\.name: Input should be an instance of str, not 1$"),
        ('[{"name": "a", "size": [1, true]}]', r"0\.size\.1: .* valid integer, not True"),
        ('[{"name": "a", "size": [1, 2.0]}]', r"0\.size\.1: .* valid integer, not 2\.0"),
        ('[{"name": "a", "size": [1, -2]}]', r"greater than or equal to 0, not -2"),
        ('[{"name": "a", "size": [1, 9223372036854775808]}]', r"less than"),
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
    with pytest.raises(ValueError, match=r"^a: .* integer, not '1'"):
        checked_as(dict[str, Count], {"a": "1"})
