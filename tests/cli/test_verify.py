"""tfface verify: two photos, one answer."""

import json

import pytest
from PIL import Image

from tests.cli.test_gallery import drawn  # noqa: F401
from tfface.cli import verify
from tfface.errors import InputError


@pytest.fixture
def arguments(drawn):  # noqa: F811
    photos = drawn / "photos"
    return [str(photos / "0.png"), str(photos / "1.png"), "--model", str(drawn / "m.keras")]


def test_an_answer(arguments, capsys):
    arguments[1] = arguments[0]
    verify.main([*arguments, "--threshold", "0.9"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["same person: cosine 1.000 >= 0.900", "threshold: given by the caller"]
    assert lines[2].startswith(f"{arguments[0]}: the face at ")


def test_without_a_threshold_nothing_is_decided(arguments, capsys, tmp_path):
    verify.main([*arguments, "--json", str(tmp_path / "a.json")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("not decided: cosine ")
    assert lines[1].startswith("threshold: none is known for m: ")
    assert " give it as --threshold (" in lines[1]
    answer = json.loads((tmp_path / "a.json").read_text())
    assert answer["is_same"] is None
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(InputError, match=r"mine\.json: is there already"):
        verify.main([*arguments, "--json", str(tmp_path / "mine.json")])


def test_unaligned_photos_that_are_said_to_be_aligned(arguments, capsys):
    for photo in arguments[:2]:
        with Image.open(photo) as opened:
            opened.crop((0, 0, 300, 300)).save(photo)
    verify.main([*arguments, "--aligned", "--threshold", "0.5"])
    said = capsys.readouterr()
    verdict = said.out.splitlines()[0]
    assert verdict.partition(": cosine ")[0] in ("same person", "different people")
    assert verdict.endswith(
        f" 0.500 (can't be trusted: {arguments[0]} and {arguments[1]} look unaligned)"
    )
    assert said.err.count("looks unaligned: ") == 2
    assert said.err.splitlines()[0] == f"loading {arguments[-1]}"


def test_photos_that_can_not_be_aligned_faces_by_their_shape(arguments):
    with pytest.raises(InputError) as caught:
        verify.main([*arguments, "--aligned"])
    assert str(caught.value) == (
        f"{arguments[0]}: can't be an aligned face, as it has 400x300 pixels: drop --aligned "
        "(aligned=True in Python), and its faces are found"
    )


def test_a_photo_without_a_face(arguments, tmp_path):
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "empty.png")
    arguments[1] = str(tmp_path / "empty.png")
    with pytest.raises(InputError, match=r"empty\.png: no usable face found .*; if it is"):
        verify.main(arguments)
