"""Raw photos of real people, with the real detector and a trained network."""

import tarfile

import pytest

import tfface


@pytest.fixture(scope="module")
def photos(test_data, tmp_path_factory):
    """The folder of 64 photos."""
    folder = tmp_path_factory.mktemp("photos")
    with tarfile.open(test_data / "data" / "deepface_pairs.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder / "deepface_pairs"


@pytest.fixture(scope="module")
def model(test_data):
    return tfface.load_embedder(test_data / "data" / "mobilefacenet_192.tflite")


def test_two_people_in_one_photo(photos):
    first, second = tfface.align(photos / "couple.jpg")
    assert first.confidence > 0.99
    assert second.confidence > 0.99
    assert first.box[2] < second.box[0]


def test_photos_of_one_person_and_of_two(photos, model):
    same = tfface.compare(photos / "img1.jpg", photos / "img2.jpg", model=model, threshold=0.4)
    other = tfface.compare(photos / "img1.jpg", photos / "img3.jpg", model=model, threshold=0.4)
    assert (same.is_same, other.is_same) == (True, False)
    # Nobody has measured one for this file.
    assert tfface.compare(photos / "img1.jpg", photos / "img2.jpg", model=model).is_same is None


def test_a_gallery_of_raw_photos(photos, model):
    people = {
        "Angelina": [photos / "img1.jpg", photos / "img2.jpg"],
        "Jennifer": [photos / "img3.jpg", photos / "img12.jpg"],
    }
    gallery = tfface.Gallery.build(model, people, threshold=0.4)
    assert gallery.last_change.skipped == []
    [angelina] = gallery.identify(photos / "img4.jpg")
    assert angelina.name == "Angelina"
    names = [answer.name for answer in gallery.identify(photos / "couple.jpg")]
    assert names == ["Angelina", None]


def test_unaligned_photos_are_never_embedded_in_silence(photos, model, capsys):
    model.embed([photos / "img1.jpg"])
    assert "looks unaligned" in capsys.readouterr().err
    faces = tfface.align(photos / "img1.jpg")
    model.embed(faces)
    assert capsys.readouterr().err == ""
    with pytest.raises(tfface.InputError, match=r"img1\.jpg: can't be an aligned face, as it has"):
        tfface.compare(photos / "img1.jpg", faces[0].image, model=model, aligned=True)
