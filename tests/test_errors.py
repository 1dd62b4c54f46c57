"""Messages quote files, and a terminal must not obey those."""

import pytest

from tfface.errors import InputError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\rb\x07", "a?b?"),
        ("a\u202eb\u2028c", "a?b?c"),
        ("a\ud800", "a?"),
        ("two\nlines\tand é 日本", "two\nlines and é 日本"),
        ("a file's name of bytes, \udcff", "a file's name of bytes, \udcff"),
    ],
)
def test_what_a_terminal_obeys_is_left_out(given, said):
    assert str(InputError(given)) == said
