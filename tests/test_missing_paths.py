"""An error about a missing path suggests paths with similar names."""

import pytest

from tfface.errors import InputError, did_you_mean
from tfface.files import os_errors
from tfface.images.people_folder import list_people
from tfface.paths import check_there, did_you_mean_path, not_there


@pytest.mark.parametrize(
    ("missing", "meant"),
    [
        ("ann.jpg", "anna.jpg"),
        ("Anna.JPG", ""),
        ("zzz", ""),
        ("nope.jpg", ""),
        ("gone/anna.jpg", ""),
        ("anna.jpg/x", ""),
        ("people/ben.pgn", "people/ben.png"),
        ("evil", "evil?[0m"),
    ],
)
def test_names_of_the_folder(tmp_path, missing, meant):
    (tmp_path / "people").mkdir()
    for name in ("anna.jpg", "people/ben.png", "evil\x1b[0m"):
        (tmp_path / name).touch()
    expected = f"; did you mean '{tmp_path / meant}'?" if meant else ""
    assert did_you_mean_path(tmp_path / missing) == expected
    with pytest.raises(InputError) as caught:
        check_there(tmp_path / missing, "photo")
    assert str(caught.value).endswith(f"{missing}: no such photo{expected}")
    with pytest.raises(InputError, match=r"can't be read: N") as caught, os_errors(missing):
        (tmp_path / missing).read_bytes()
    check_there(tmp_path / "anna.jpg")


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "anna.jpg").symlink_to("gone.jpg")
    with pytest.raises(InputError, match=r"anna\.jpg: a link to a photo that isn't there$"):
        check_there(tmp_path / "anna.jpg", "photo")


def test_a_name_that_can_not_be(tmp_path):
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(InputError, match=r"File name too long|no file can have this name"):
            check_there(tmp_path / name)


def test_of_the_other_kind(tmp_path):
    (tmp_path / "a.onnx").touch()
    assert not_there(tmp_path / "a.onnx", "folder") == (
        f"{tmp_path / 'a.onnx'}: is a file, and must be a folder"
    )
    with pytest.raises(InputError, match=r"a\.onnx: is a file, and must be a folder"):
        list_people(tmp_path / "a.onnx")


def test_words():
    assert did_you_mean("buildx", ["add", "build"], " for it") == "; did you mean 'build' for it?"
    assert did_you_mean("--quer", ["--query", "--seen"]) == "; did you mean '--query'?"
    assert did_you_mean("--overwrite", ["--source", "--seen"]) == ""
    assert did_you_mean("zzz", ["add", "build"]) == did_you_mean("x", []) == ""
