"""The page's answers are those of `tfface.compare` and `Gallery.identify`."""

import threading

import numpy as np
import pytest

import tfface
from tests.api.dot_photos import group_photo, landscape, photo_of
from tests.demo.serving import encoded
from tfface.demo import photo_answers
from tfface.demo.photo_answers import PhotoAnswers

pytestmark = pytest.mark.usefixtures("dot_detector")


def test_two_photos_are_compared_as_by_compare(answers):
    first, second = group_photo("Cleo", "Anna", "Ben"), photo_of("Anna", 1)
    expected = tfface.compare(first, second, model="pixels", threshold=0.9)
    answer = answers.compare(encoded(first), encoded(second))
    others = answer.pop("other_boxes")
    assert answer.pop("text") == repr(expected)
    assert answer == expected.to_dict()
    assert answer["is_same"] is True
    # Those of Cleo and Ben, left and right of the one that decides.
    assert sorted(box[0] // 400 for box in others[0]) == [0, 2]
    assert others[1] == []


def test_faces_get_names_as_by_identify(answers):
    photo = group_photo("Ben", "Cleo", "Anna")
    expected = answers.gallery.identify(photo, top=3)
    faces = answers.identify(encoded(photo))["faces"]
    assert faces == [face.to_dict() for face in expected]
    by_place = sorted(faces, key=lambda face: face["box"][0])
    assert [face["name"] for face in by_place] == ["Ben", None, "Anna"]
    # Not that of pairs.
    assert {face["threshold"] for face in faces} == {0.95}


def test_a_gallery_without_a_threshold_uses_the_given_one(answers, tmp_path):
    gallery = tfface.Gallery.build("pixels", {"Anna": photo_of("Anna")})
    own = PhotoAnswers(gallery.model, gallery=gallery, threshold=0.7)
    [face] = own.identify(encoded(photo_of("Anna", 1)))["faces"]
    assert (face["name"], face["threshold"]) == ("Anna", 0.7)


def test_which_photo_has_no_face(answers):
    anna, empty = encoded(photo_of("Anna")), encoded(landscape())
    with pytest.raises(tfface.InputError, match=r"^the first photo: no usable face found"):
        answers.compare(empty, anna)
    with pytest.raises(tfface.InputError, match=r"^the second photo: no usable face found"):
        answers.compare(anna, empty)
    with pytest.raises(tfface.InputError, match=r"^the second photo: not an image that can be"):
        answers.compare(anna, b"GIF? no")
    with pytest.raises(tfface.InputError, match=r"^the photo: no usable face found"):
        answers.identify(empty)


def test_without_a_threshold_nothing_is_decided():
    undecided = PhotoAnswers(tfface.load_embedder("pixels"))
    anna = encoded(photo_of("Anna"))
    answer = undecided.compare(anna, anna)
    assert answer["is_same"] is None
    assert answer["text"].startswith("not decided: cosine 1.000\n")
    model, threshold = undecided.description
    assert model == "model: pixels"
    assert threshold.startswith("threshold: none is known for pixels: measure one on pairs")
    with pytest.raises(ValueError, match="without a gallery nobody has a name"):
        undecided.identify(anna)


def test_what_the_page_says_of_itself(answers):
    assert answers.description == [
        "model: pixels",
        "same person if cosine >= 0.900 (given by the caller)",
        f"gallery: {answers.gallery.path}, 4 images of 2 people",
        "in the gallery if cosine >= 0.950 (kept with the gallery)",
    ]


def test_aligned_faces_are_used_as_they_are():
    face = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    given = PhotoAnswers(tfface.load_embedder("pixels"), threshold=0.5, aligned=True)
    photo = encoded(tfface.alignment.photo_faces.open_photo(face))
    assert given.compare(photo, photo)["faces"][0]["box"] == [0, 0, 32, 32]


def test_one_question_at_a_time(answers, monkeypatch):
    inside, most = 0, 0
    counting = threading.Lock()

    def compare(*photos, **options):
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        answer = tfface.compare(*photos, **options)
        with counting:
            inside -= 1
        return answer

    monkeypatch.setattr(photo_answers, "compare", compare)
    anna = encoded(photo_of("Anna"))
    threads = [threading.Thread(target=answers.compare, args=(anna, anna)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)
