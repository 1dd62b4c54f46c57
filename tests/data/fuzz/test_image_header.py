"""Damaged images have a header or none, and nothing worse comes of them."""

import hypothesis
import pytest

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import encoded
from tests.property_tests import examples
from tfface.images.header import read_header


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF"])
def test_headers(format):
    @hypothesis.given(damaged(encoded(0, 16, format)))
    @examples(100)
    def check(data):
        with only_input_errors():
            header = read_header(data)
            assert header is None or min(header.height, header.width) > 0

    check()
