"""Images are known by how their names end."""

import os

import pytest

from tfface.images.listing import extension


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "a.b.png", "a", "a.", ".jpg", "..jpg", "..a.jpg", "caf\xe9.J\xe9"]
)
def test_the_ending_is_that_of_python(name):
    assert extension(os.fsencode(name)) == os.path.splitext(name)[1].lower()


def test_an_ending_that_is_no_text_keeps_its_bytes():
    assert os.fsencode(extension(b"a.J\xe9")) == b".j\xe9"
