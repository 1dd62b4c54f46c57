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
    assert "empty.png: no usable face found" in capsys.readouterr().out


def test_a_model_that_has_moved(staff):
    (staff / "m.keras").rename(staff / "other.keras")
    arguments = [str(staff / "photos" / "1.png"), "--gallery", str(staff / "g")]
    with pytest.raises(InputError, match=r"g: its model is no longer at .*m\.keras: name it"):
        identify.main(arguments)
    identify.main([*arguments, "--model", str(staff / "other.keras")])
