"""People whose faces are dots, in a gallery, and a page that knows them."""

import pytest

import tfface
import tfface.api.faces
import tfface.demo.photo_answers
import tfface.gallery.photos
from tests.api.dot_photos import GroupDetector, write_photos
from tests.demo.serving import serving
from tfface.demo.photo_answers import PhotoAnswers


@pytest.fixture(scope="module")
def dot_detector():
    with pytest.MonkeyPatch.context() as patch:
        for module in (tfface.api.faces, tfface.gallery.photos, tfface.demo.photo_answers):
            patch.setattr(module, "shared_detector", GroupDetector)
        yield


@pytest.fixture(scope="module")
def answers(dot_detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    people = write_photos(folder / "staff", {"Anna": range(2), "Ben": range(2)})
    gallery = tfface.Gallery.build("pixels", people, path=folder / "gallery", threshold=0.95)
    return PhotoAnswers(gallery.model, gallery=gallery, threshold=0.9)


@pytest.fixture(scope="module")
def server(answers):
    with serving(answers) as started:
        yield started
