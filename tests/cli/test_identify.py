"""tfface identify: who photos show, face by face."""

import json

import pytest
from PIL import Image

from tests.cli.test_gallery import drawn, said  # noqa: F401
from tfface.cli import identify
from tfface.errors import InputError


@pytest.fixture
def staff(drawn, capsys):  # noqa: F811
    """A gallery of three drawn people, which knows its model."""
    said(capsys, "build", drawn / "m.keras", drawn / "aligned", "--gallery", drawn / "g", "--find")
    return drawn


def test_the_gallery_knows_its_model(staff, capsys):
    photo = staff / "photos" / "2.png"
    identify.main([str(photo), "--gallery", str(staff / "g"), "--threshold", "0.9"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == [str(photo), "person2"]
    assert lines[-1] == "threshold: given by the caller"


def test_every_face_of_a_photo_is_named(staff, capsys):
    photo = Image.new("RGB", (700, 300), "grey")
    for person, left in ((0, 60), (1, 400)):
        with Image.open(staff / "photos" / f"{person}.png") as other:
            photo.paste(other.crop((0, 60, 200, 240)), (left, 60))
    photo.save(staff / "both.png")
    json_file = staff / "a.json"
    identify.main(
        [str(staff / "both.png"), "--gallery", str(staff / "g"), "--json", str(json_file)]
    )
    queries = json.loads(json_file.read_text())["queries"]
    assert {query["name"] for query in queries} == {"person0", "person1"}
    boxes = {query["name"]: query["box"] for query in queries}
    assert boxes["person0"][2] < 350 < boxes["person1"][0]


def test_a_photo_without_a_face(staff, capsys):
    Image.new("RGB", (300, 200), "grey").save(staff / "empty.png")
    with pytest.raises(InputError, match="no usable face was found in any photo; if the faces"):
        identify.main([str(staff / "empty.png"), "--gallery", str(staff / "g")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [str(staff / "empty.png"), "no", "face", "-", "-"]
    assert lines[-1].startswith(f"{staff / 'empty.png'}: no usable face found")


def test_photos_that_can_not_be_read_are_skipped(staff, capsys):
    """The others are answered; in a folder and by its own name it is one line."""
    photos = staff / "photos"
    (photos / "empty.jpg").touch()
    arguments = ["--gallery", str(staff / "g"), "--json", str(staff / "a.json")]
    reason = "can't be read: the file is empty (0 bytes)"
    for given in ([photos], [*sorted(photos.glob("*.png")), photos / "empty.jpg"]):
        identify.main([*map(str, given), *arguments])
        said = capsys.readouterr()
        lines = [line.split() for line in said.out.splitlines()]
        assert [line[1] for line in lines[1:4]] == ["person0", "person1", "person2"]
        assert said.err.splitlines() == [
            f"loading the model of {staff / 'g'}",
            f"warning: skipped 1 of 4 photos: {photos / 'empty.jpg'}: {reason}",
        ]
    content = json.loads((staff / "a.json").read_text())
    assert len(content["queries"]) == 3
    assert content["skipped"] == [{"image": str(photos / "empty.jpg"), "reason": reason}]
    with pytest.raises(InputError, match=r"^.*/empty\.jpg: can't be read: the file is empty"):
        identify.main([str(photos / "empty.jpg"), *arguments])


def test_files_that_are_no_photos_are_skipped(staff, capsys):
    """A pattern of the shell names them, too; a name of nothing is a mistake."""
    others = staff / "others"
    others.mkdir()
    (others / "Thumbs.db").write_bytes(b"thumbs")
    (others / "none").mkdir()
    photo = staff / "photos" / "2.png"
    arguments = ["--gallery", str(staff / "g"), "--json", str(staff / "no.json")]
    identify.main([*map(str, (*sorted(others.iterdir()), photo)), *arguments])
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[:2] == [str(photo), "person2"]
    last = said.err.splitlines()[-1]
    assert last.startswith(f"warning: skipped 2 of 3 photos: {others / 'Thumbs.db'}: not an image ")
    assert f"; {others / 'none'}: no image (" in last
    skipped = json.loads((staff / "no.json").read_text())["skipped"]
    assert [one["image"] for one in skipped] == [str(others / "Thumbs.db"), str(others / "none")]
    with pytest.raises(InputError, match=r"2\.pgn: no such photo or folder; did you mean .*2\.png"):
        identify.main([str(photo), str(photo.with_suffix(".pgn")), *arguments])


def test_photos_that_can_not_be_aligned_faces_by_their_shape(staff, capsys):
    photos, face = staff / "photos", staff / "aligned" / "person1" / "0.png"
    arguments = ["--gallery", str(staff / "g"), "--aligned"]
    reason = (
        "can't be an aligned face, as it has 400x300 pixels: drop --aligned (aligned=True in "
        "Python), and its faces are found"
    )
    with pytest.raises(InputError) as caught:
        identify.main([str(photos / "0.png"), *arguments])
    assert str(caught.value) == f"{photos / '0.png'}: {reason}"
    # Others are answered.
    capsys.readouterr()
    identify.main([str(face), str(photos / "0.png"), *arguments])
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[:2] == [str(face), "person1"]
    assert said.err.splitlines()[-1] == (
        f"warning: skipped 1 of 2 photos: {photos / '0.png'}: {reason}"
    )


def test_a_model_that_has_moved(staff):
    (staff / "m.keras").rename(staff / "other.keras")
    arguments = [str(staff / "photos" / "1.png"), "--gallery", str(staff / "g")]
    with pytest.raises(InputError, match=r"g: its model is no longer at .*m\.keras: name it"):
        identify.main(arguments)
    identify.main([*arguments, "--model", str(staff / "other.keras")])
