"""`compare`: one answer about two photos, and never a threshold that nobody measured."""

import numpy as np
import pytest

import tfface
from tests.api.dot_photos import group_photo, landscape, photo_of
from tfface.api.embedding import Threshold

pytestmark = pytest.mark.usefixtures("dot_detector")


def test_the_same_person_and_another():
    same = tfface.compare(photo_of("Anna"), photo_of("Anna", 2), model="pixels", threshold=0.9)
    other = tfface.compare(photo_of("Anna"), photo_of("Cleo"), model="pixels", threshold=0.9)
    assert same.is_same is True
    assert other.is_same is False
    assert same.cosine > 0.9 > other.cosine
    assert same.threshold_source == "given by the caller"
    assert repr(same).startswith(f"same person: cosine {same.cosine:.3f} >= 0.900\n")
    assert repr(other).startswith("different people: cosine ")
    # As the model takes them.
    assert same.first.image.shape == same.second.image.shape == (32, 32, 3)


def test_without_a_threshold_nothing_is_decided():
    answer = tfface.compare(photo_of("Anna"), photo_of("Anna", 2), model="pixels")
    assert answer.is_same is None
    assert answer.threshold is None
    assert "none is known for pixels: measure one on pairs" in answer.threshold_source
    assert "evaluate_verification" in repr(answer)
    assert answer.to_dict()["is_same"] is None
    assert "not decided" in answer._repr_html_()


@pytest.mark.parametrize("threshold", [1.01, -2, float("nan")])
def test_a_threshold_that_is_no_cosine(threshold):
    with pytest.raises(tfface.InputError, match="must be a cosine from -1 to 1"):
        tfface.compare(photo_of("Anna"), photo_of("Ben"), model="pixels", threshold=threshold)


def test_a_threshold_of_drawn_faces_is_warned_about(capsys):
    embedder = tfface.load_embedder("pixels")
    of_drawn = Threshold(0.5, "the run's evaluation on 3,000 pairs of 'synthetic'", "synthetic")
    embedder.threshold = lambda given=None: of_drawn
    photos = (photo_of("Anna"), photo_of("Anna", 2))
    tfface.compare(*photos, model=embedder)
    said = capsys.readouterr().err
    assert (
        "the threshold of pixels was measured on drawn faces and does not hold for photos" in said
    )
    [anna] = tfface.align(photos[0])
    tfface.compare(anna.image, anna.image, model=embedder, aligned=True)
    assert "drawn" not in capsys.readouterr().err


def test_all_faces_are_compared():
    answer = tfface.compare(
        group_photo("Cleo", "Anna"), photo_of("Anna", 1), model="pixels", threshold=0.9
    )
    assert answer.cosines.shape == (2, 1)
    assert answer.is_same
    assert answer.cosine == answer.cosines.max()
    # The face on the right.
    assert answer.first.box[0] > 400
    assert [len(faces) for faces in answer.all_faces] == [2, 1]
    row, column = np.argwhere(answer.cosines == answer.cosine)[0]
    assert answer.all_faces[0][row] is answer.first
    assert answer.all_faces[1][column] is answer.second


def test_a_photo_without_a_face(tmp_path):
    landscape().save(tmp_path / "hills.png")
    with pytest.raises(tfface.InputError, match=r"hills\.png: no usable face found .*aligned=True"):
        tfface.compare(photo_of("Anna"), tmp_path / "hills.png", model="pixels")


def test_which_of_two_photos_in_memory_is_wrong():
    with pytest.raises(tfface.InputError, match=r"^the first photo: no usable face found"):
        tfface.compare(landscape(), photo_of("Anna"), model="pixels")
    with pytest.raises(tfface.InputError, match=r"^the second photo: not an image that can be"):
        tfface.compare(photo_of("Anna"), b"no image", model="pixels")


def test_aligned_faces_are_taken_as_they_are():
    [anna] = tfface.align(photo_of("Anna"))
    [again] = tfface.align(photo_of("Anna", 1))
    answer = tfface.compare(anna.image, again.image, model="pixels", threshold=0.9, aligned=True)
    assert answer.is_same
    assert answer.first.box.tolist() == [0, 0, 112, 112]


def test_as_a_dict_and_as_a_figure():
    answer = tfface.compare(photo_of("Anna"), photo_of("Ben"), model="pixels", threshold=0.5)
    found = answer.to_dict()
    assert found["cosine"] == answer.cosine
    assert np.shape(found["cosines"]) == (1, 1)
    assert [len(face["box"]) for face in found["faces"]] == [4, 4]
    figure = answer.plot()
    assert len(figure.axes) == 2
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_model_that_is_none():
    with pytest.raises(tfface.InputError, match="a model must be what load_embedder returns"):
        tfface.compare(photo_of("Anna"), photo_of("Ben"), model=3)
    with pytest.raises(tfface.InputError, match="gone: no such model"):
        tfface.compare(photo_of("Anna"), photo_of("Ben"), model="gone")
