"""Lists of a path and a label: what separates the two, and lines that are wrong."""

import pytest

from tests.data.small_faces import write_folder
from tfface.data.sources.opening import detect_format
from tfface.data.sources.text_list import ListSource
from tfface.errors import InputError


@pytest.fixture
def listed(tmp_path):
    """Writes a list beside a folder of images."""
    write_folder(tmp_path / "faces", {"ann b": 2, "bob": 1})

    def write(text):
        path = tmp_path / "list.txt"
        path.write_bytes(text.encode())
        return path

    return write


def test_the_last_word_or_what_follows_a_tab_is_the_label(listed):
    path = listed("faces/ann b/0.jpg 10\r\n\n  faces/bob/0.jpg   9  \nfaces/ann b/1.jpg\tann b\n")
    assert detect_format(path) == "list"
    source = ListSource(path)
    assert [identity.name for identity in source.identities] == ["10", "9", "ann b"]
    assert source.labels.tolist() == [0, 1, 2]
    assert source.filename(2) == "faces/ann b/1.jpg"


def test_paths_start_at_image_root(listed, tmp_path):
    source = ListSource(listed("bob/0.jpg 1"), image_root=tmp_path / "faces")
    assert source.read(0).encoded == (tmp_path / "faces/bob/0.jpg").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("faces/bob/0.jpg\n", "line 1: has no label: expected PATH LABEL"),
        ("\nfaces/bob/9.jpg 1\n", "line 2: faces/bob/9.jpg: can't be read below"),
        ("../list.txt 1\n", "line 1: ../list.txt: is outside of"),
        ("faces/bob/0.jpg 1\n" * 2, "line 2: faces/bob/0.jpg: was listed in line 1 already"),
        ("faces/bob/0.jpg\0 1\n", "line 1: holds a zero byte"),
    ],
)
def test_mistakes(listed, text, message):
    path = listed(text)
    with pytest.raises(InputError) as raised:
        ListSource(path)
    assert str(raised.value).startswith(f"{path}: {message}")
