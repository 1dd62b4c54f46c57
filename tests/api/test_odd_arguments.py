"""Arguments of every odd type and value: each is used, or refused in one line."""

import math
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfface

FACE = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
FACES = {"source": "synthetic", "num_identities": 3, "images_per_identity": 3, "size": 32}
GREY = np.full((60, 80, 3), 128, np.uint8)

ODD = (
    *(None, True, "x", "3", "", b"x", -1, 0, 1, 1.5, math.nan, math.inf, 10**30, 10**5000),
    *([], [1], ["x"], (1, 2, 3), {}, {"x": 1}, {"x"}, object(), Image.fromarray(FACE)),
    *(np.array([1, 2]), np.array([None]), np.float32(0.5), np.int64(2), np.bool_(True)),
)

IMAGES = (
    *ODD,
    *(np.zeros((0, 32, 32, 3), np.uint8), np.zeros((2, 0, 32, 3), np.uint8)),
    *(np.zeros((2, 32, 32, 3)), np.full((2, 32, 32, 3), np.nan, np.float32)),
    *(FACE, FACE[None, :, :, 0], np.zeros((1, 4, 4, 4), np.uint8), np.zeros((2, 4, 4, 3), bool)),
    *(np.array([FACE, None], object), [FACE, FACE], [FACE, FACE[:5]], [FACE, "x"], [[]], [None]),
    *(np.broadcast_to(np.uint8(0), (1, 100_000, 100_000, 3)), (image for image in [FACE])),
    *(["gone.jpg"], [b"x"], [Image.fromarray(FACE)]),
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Some odd values are names of folders that are made."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def model():
    return tfface.load_embedder("pixels")


@pytest.fixture(scope="module")
def gallery(model):
    return tfface.Gallery.build(model, {"Anna": FACE, "Ben": 255 - FACE}, aligned=True)


@pytest.fixture(scope="module")
def classifier(model):
    def certain(embeddings):
        return np.tile(np.float32([1, 0, 0]), (len(embeddings), 1))

    return tfface.Classifier(model.embedder, certain, ["000000", "000001", "000002"])


def refused(call: Callable[[Any], Any], values=ODD, most: int = 1) -> int:
    """Calls with each value and returns how many were refused, each in lines of the house."""
    messages = []
    for value in values:
        try:
            call(value)
        except tfface.InputError as error:
            messages.append(str(error).split("\n"))
    assert all(len(lines) <= most and max(map(len, lines)) < 1000 for lines in messages)
    return len(messages)


def test_of_a_gallery(model, gallery):
    def build(people, **options):
        return tfface.Gallery.build(model, people, aligned=True, **options)

    strangers = [FACE // 2, FACE // 3, FACE // 4]
    assert refused(lambda top: gallery.identify(FACE, top=top, aligned=True)) == len(ODD) - 2
    for threshold in (
        lambda given: gallery.identify(FACE, threshold=given, aligned=True),
        lambda given: build({"Anna": FACE}, threshold=given),
        lambda given: tfface.compare(FACE, FACE, model=model, threshold=given, aligned=True),
    ):
        # Of these None, -1, 0, 1 and 0.5 are thresholds.
        assert refused(threshold) == len(ODD) - 5
    assert refused(lambda index: build({"Anna": FACE}, index=index)) == len(ODD)
    assert refused(lambda fpir: gallery.calibrate(strangers, fpir=fpir, aligned=True)) >= (
        len(ODD) - 1
    )
    assert refused(lambda given: gallery.calibrate(given, fpir=0.5, aligned=True)) >= len(ODD) - 1
    assert refused(lambda name: gallery.remove(name)) == len(ODD)
    with pytest.raises(tfface.InputError, match="give the people to remove"):
        gallery.remove()
    assert refused(lambda name: gallery.add(FACE, name=name, aligned=True)) >= len(ODD) - 2
    assert refused(build) == len(ODD)
    hashable = [odd for odd in ODD if isinstance(odd, Hashable)]
    assert refused(lambda name: build({name: FACE}), hashable) == len(hashable) - 2
    assert refused(lambda photo: build({"Anna": photo})) == len(ODD) - 1
    assert refused(lambda path: tfface.Gallery.load(path)) == len(ODD)
    assert set(gallery.names) <= {"Anna", "Ben", "x", "3"}


def test_of_photos(model, gallery):
    assert refused(lambda photo: gallery.identify(photo, aligned=True)) == len(ODD) - 1
    assert refused(
        lambda photo: tfface.compare(photo, FACE, model=model, threshold=0, aligned=True)
    ) == (len(ODD) - 1)
    assert refused(lambda given: tfface.compare(FACE, FACE, model=given, aligned=True)) == len(ODD)
    for option, usable in (
        ("image_size", 0),
        ("min_confidence", 2),
        ("min_size", 3),
        ("detection_size", 0),
    ):
        call = lambda given, name=option: tfface.align(GREY, **{name: given})  # noqa: E731
        assert refused(call) == len(ODD) - usable, option


def test_blank_images_can_not_be_compared(model, gallery):
    blank = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(tfface.InputError, match="the embedding of the photo is all zeros, so it"):
        tfface.compare(FACE, blank, model=model, threshold=0.5, aligned=True)
    with pytest.raises(tfface.InputError, match="the embedding of the photo is all zeros, so it"):
        gallery.identify(blank, aligned=True)


def test_images_to_embed(model, classifier):
    assert refused(model.embed, IMAGES) == len(IMAGES)
    assert refused(classifier.scores, IMAGES) == len(IMAGES)
    assert classifier.scores(np.zeros((2, 16, 48, 3), np.uint8)).shape == (2, 3)


def test_aligned_faces_of_several_sizes(model):
    landmarks, box = np.zeros((5, 2)), np.zeros(4)
    faces = [
        tfface.AlignedFace(np.full((size, size, 3), 9, np.uint8), box, landmarks, 1.0)
        for size in (32, 112)
    ]
    faces[0].image[:9] = faces[1].image[:31] = 200
    embeddings = model.embed(faces)
    np.testing.assert_array_equal(embeddings[1], model.embed([faces[1]])[0])


@pytest.mark.slow
def test_of_models(classifier):
    for option in (
        *("image_size", "batch_size", "input_range", "output", "cache"),
        *("data_dir", "overrides", "color_order"),
    ):
        call = lambda given, name=option: tfface.load_embedder("pixels", **{name: given})  # noqa: E731
        assert refused(call) >= len(ODD) - 5, option
    assert refused(tfface.load_embedder) == len(ODD)
    assert refused(tfface.load_classifier) == len(ODD)
    for option in ("classes", "scores", "batch_size", "image_size", "output"):
        call = lambda given, name=option: tfface.load_classifier("gone", **{name: given})  # noqa: E731
        assert refused(call) == len(ODD), option
    for option in ("image_size", "neck", "input_normalization", "embedding_size"):
        call = lambda given, name=option: tfface.build_embedder(  # noqa: E731
            "plain_cnn", **{"image_size": 32, "embedding_size": 4, name: given}
        )
        values = [odd for odd in ODD if odd is not True and not _is_one(odd)]
        assert refused(call, values) >= len(values) - 6, option
    assert refused(lambda name: tfface.build_embedder(name, image_size=32)) == len(ODD)


def _is_one(odd) -> bool:
    return isinstance(odd, int) and odd == 1


@pytest.mark.slow
def test_of_data(model):
    for option, usable in (
        ("image_size", 2),
        ("batch_size", 2),
        ("augment", 1),
        ("samples_per_identity", 3),
        ("cache", 0),
        ("seed", 3),
        ("epochs", 2),
    ):
        call = lambda given, name=option: tfface.image_dataset(  # noqa: E731
            FACES, **{"image_size": 8, "batch_size": 4, name: given}
        )
        assert refused(call) == len(ODD) - usable, option
    assert refused(tfface.open_source) == len(ODD)


@pytest.mark.slow
def test_of_evaluations(model, classifier):
    for option, usable in (
        ("gallery_shots", 2),
        ("open_set_fraction", 2),
        ("seed", 3),
        ("index", 0),
        ("search_width", 3),
        ("distance", 0),
    ):
        call = lambda given, name=option: tfface.evaluate_identification(  # noqa: E731
            model, FACES, **{"gallery_shots": 2, name: given}
        )
        assert refused(call) >= len(ODD) - usable, option
    assert refused(lambda pairs: tfface.evaluate_verification(model, pairs)) == len(ODD)
    assert refused(lambda data: tfface.evaluate_classification(classifier, data)) == len(ODD)
    assert refused(lambda given: tfface.evaluate_classification(given, FACES)) == len(ODD)
    for option in ("group_by", "person"):
        call = lambda given, name=option: tfface.evaluate_classification(  # noqa: E731
            classifier, FACES, **{name: given}
        )
        assert refused(call) == len(ODD) - 1, option


def test_of_training(tmp_path):
    assert refused(tfface.train, most=5) == len(ODD)
    broken = {"data": 1}
    assert refused(lambda given: tfface.train(broken, overrides=given), most=9) == len(ODD)
    assert refused(lambda given: tfface.train(broken, callbacks=given), most=9) == len(ODD)
    with pytest.raises(tfface.InputError, match="overrides must be a list of texts"):
        tfface.train("quickstart", overrides="a=b")
    with pytest.raises(tfface.InputError, match="a callback must be a keras"):
        tfface.train("quickstart", tmp_path / "run", callbacks=[print])
    assert not (tmp_path / "run").exists()
