"""What commands share that take photos."""

import os
from pathlib import Path

import pytest

from tfface.cli.photo_options import answer_each
from tfface.errors import InputError


def size_of(photo: Path) -> int:
    if "bad" in photo.name:
        raise InputError(f"{photo}: can't be read: it is empty")
    return len(photo.name)


def test_photos_that_can_not_be_read_are_left_out():
    skipped: list[tuple[str, str]] = []
    not_text = Path(os.fsdecode(b"bad\xff.jpg"))
    photos = [Path("a.jpg"), not_text, Path("bcd.jpg")]
    found = answer_each(photos, size_of, skipped, description="measuring")
    assert list(found) == [(photos[0], 5), (photos[2], 7)]
    assert skipped == [(r"bad\udcff.jpg", "can't be read: it is empty")]


def test_no_photo_can_be_read():
    photos = [Path("bad.jpg"), Path("bad.png")]
    message = r"^bad\.jpg: can't be read: it is empty; nor can 1 more be used"
    with pytest.raises(InputError, match=message):
        list(answer_each(photos, size_of, [], description="measuring"))


def test_mistakes_in_what_is_done_with_an_answer_are_not_of_the_photo():
    skipped: list[tuple[str, str]] = []
    found = answer_each([Path("a.jpg")], size_of, skipped, description="measuring")
    next(found)
    with pytest.raises(InputError, match="the model can't be run"):
        found.throw(InputError("the model can't be run"))
    assert skipped == []
