"""`load_embedder` and `embed`: images of every kind, and what is none."""

import keras
import numpy as np
import pytest

import tfface
from tests.api.dot_photos import photo_of

SHAPE = (32, 32, 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)


@pytest.fixture
def model():
    return tfface.load_embedder("pixels")


def test_arrays_files_and_faces_are_one(model, images, tmp_path):
    from PIL import Image

    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    expected = model.embed(images)
    np.testing.assert_array_equal(model.embed(paths), expected)
    np.testing.assert_array_equal(model.embed([str(path) for path in paths]), expected)
    np.testing.assert_array_equal(model.embed(paths[1]), expected[1:2])


@pytest.mark.usefixtures("dot_detector")
def test_faces_of_a_photo(model):
    faces = tfface.align(photo_of("Anna"), image_size=model.image_size)
    np.testing.assert_array_equal(model.embed(faces), model.embed(faces[0].image[None]))


def test_images_of_another_size_are_resized(model, tmp_path):
    from PIL import Image

    large = np.random.default_rng(0).integers(0, 255, (2, 80, 80, 3)).astype(np.uint8)
    Image.fromarray(large[0]).save(tmp_path / "large.png")
    np.testing.assert_array_equal(model.embed(tmp_path / "large.png"), model.embed(large)[:1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, *SHAPE)), r"got float64 \[2, 32, 32, 3\]"),
        (np.zeros(SHAPE, np.uint8), r"uint8 \[n, height, width, 3\].*got uint8 \[32, 32, 3\]"),
        (np.zeros((0, *SHAPE), np.uint8), r"at least one, of 1 or more pixels, got uint8 \[0, 32"),
        ([], "no images to embed"),
        ([3], "got a list with int"),
        ("gone.png", r"gone\.png: no such photo"),
    ],
)
def test_what_are_no_images(model, given, message):
    with pytest.raises(tfface.InputError, match=message):
        model.embed(given)


def test_options_of_a_model_that_has_none():
    with pytest.raises(tfface.InputError, match="omit --color-order"):
        tfface.load_embedder("pixels", color_order="bgr")
    with pytest.raises(
        tfface.InputError, match="--set and overrides change a recipe, and pixels is not one"
    ):
        tfface.load_embedder("pixels", overrides=["data.image_size=32"])


def test_a_recipe_is_its_starting_network():
    model = tfface.load_embedder(
        tfface.recipe.find_recipe("quickstart"), overrides=["model.embedding_size=4"]
    )
    assert model.name == "quickstart"
    assert model.embed(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 4)


def test_a_cache(images, tmp_path):
    model = tfface.load_embedder("pixels", cache=tmp_path / "cache")
    np.testing.assert_array_equal(model.embed(images), model.embed(images))
    assert list((tmp_path / "cache").rglob("embeddings.sqlite"))


def test_a_keras_model_is_a_model(images):
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()], name="flat")
    answer = tfface.compare(images[0], images[0], model=network, threshold=0.5, aligned=True)
    assert (answer.model, answer.is_same) == ("flat", True)


@pytest.mark.parametrize(
    ("size", "may_be"),
    [
        ((112, 112), True),
        ((112, 96), True),
        ((218, 178), True),
        ((300, 400), False),
        ((9, 1), False),
    ],
)
def test_shapes_of_aligned_faces(size, may_be):
    square, wide = (
        tfface.api.embedding.as_embedder(
            keras.Sequential([keras.Input((*shape, 3)), keras.layers.Flatten()])
        )
        for shape in ((32, 32), (30, 40))
    )
    if may_be:
        square.check_shape_of_aligned(*size, "a.jpg")
    else:
        with pytest.raises(
            tfface.InputError, match=r"^a\.jpg: can't be an aligned face, as it has"
        ):
            square.check_shape_of_aligned(*size, "a.jpg")
    # That of the model is right, too.
    wide.check_shape_of_aligned(300, 400, "a.jpg")
    # One that was trained on photos takes them.
    square._was_trained_on_unaligned = True
    square.check_shape_of_aligned(*size, "a.jpg")


def test_the_baseline_takes_images_of_any_shape(tmp_path):
    for cache in (None, tmp_path / "cache"):
        tfface.load_embedder("pixels", cache=cache).check_shape_of_aligned(300, 400, "a.jpg")


def test_options_that_mean_nothing():
    with pytest.raises(tfface.InputError, match="color_order must be rgb or bgr, got 'grb'"):
        tfface.load_embedder("pixels", color_order="grb")
    for size in (0, -1, "x"):
        with pytest.raises(tfface.InputError, match="batch_size must be a whole number from 1 to"):
            tfface.load_embedder("pixels", batch_size=size)


def test_the_name_of_a_recipe_is_no_model(tmp_path, monkeypatch):
    """A network that nobody has trained isn't taken for the run of that name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        tfface.InputError, match=r"'tfface train quickstart' makes .*runs/quickstart; the"
    ):
        tfface.load_embedder("quickstart")
