"""Reading a page without a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path


class Balanced(HTMLParser):
    """Checks that every element is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read_page(path: Path) -> str:
    """Returns a page's text; fails where an element stays open or something would be fetched."""
    page = path.read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert not re.search(r"(src|href)=\"(?!data:)|https?:|@import|url\(", page)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    return "\n".join(parser.text)
