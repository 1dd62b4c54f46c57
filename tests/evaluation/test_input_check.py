"""Pixels that don't suit a model are noticed, and those that do are left alone."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.real_faces import lfw
from tfface.data.pairs import PairSet
from tfface.evaluation import sanity_checks
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder, EmbeddingStore
from tfface.evaluation.embedders.external import ExternalEmbedder, ImageInput
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, parse_range
from tfface.evaluation.sanity_checks import preprocessing_warning

SIZE = 8
RIGHT = PixelInput()


def pair_set(num_people=60, noise=(15, 15, 60), seed=0):
    """People are patterns; what differs between pictures of one is mostly in blue."""
    rng = np.random.default_rng(seed)
    people = rng.integers(60, 196, (num_people, 1, SIZE, SIZE, 1))
    pictures = people + rng.normal(0, 1, (num_people, 2, SIZE, SIZE, 3)) * noise
    pictures = np.clip(pictures, 0, 255).astype(np.uint8).reshape(-1, SIZE, SIZE, 3)
    first = np.arange(0, 2 * num_people, 2)
    return PairSet(
        name="patterns",
        images=[tf.io.encode_png(picture).numpy() for picture in pictures],
        image_names=[f"picture {i}" for i in range(len(pictures))],
        first=np.tile(first, 2),
        second=np.concatenate([first + 1, (first + 3) % (2 * num_people)]),
        is_genuine=np.repeat([True, False], num_people),
    )


def model(pixels, *, is_uint8=False, path=Path("net.onnx")):
    """Made for RGB of -1..1: it trusts blue little, and larger values are all one to it."""
    weights = np.random.default_rng(7).normal(size=(SIZE, SIZE, 3, 32)) * [[1], [0.5], [0.02]] / 8

    def run(images):
        values = RIGHT.apply(images) if is_uint8 else images
        return np.tanh(np.tensordot(values, weights, 3))

    takes = ImageInput(None, SIZE, SIZE, channels_first=False, is_uint8=is_uint8)
    return ExternalEmbedder(run, path, takes, EmbedderOptions(pixels=pixels))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("range_given", ["-1..1", "(x-127.5)/128", "(x-128)/128"])
def test_the_right_pixels_are_left_alone(seed, range_given):
    embedder = model(PixelInput("rgb", *parse_range(range_given)))
    assert preprocessing_warning(embedder, pair_set(seed=seed), seed=seed) is None


@pytest.mark.parametrize("range_given", ["-1..1", "0..1", "0..255", "-3..5"])
def test_the_other_color_order_is_noticed(range_given):
    embedder = model(PixelInput("bgr", *parse_range(range_given)))
    line = preprocessing_warning(embedder, pair_set())
    shown = range_given if range_given == "-1..1" else "'(x-127.5)/128'"
    assert line.startswith(
        f"net: --color-order rgb --input-range {shown} suits the model better than "
        f"--color-order bgr --input-range {range_given}, which was used: 60 genuine pairs of "
        "patterns lie "
    )
    assert "\n" not in line


def test_another_range_is_noticed():
    line = preprocessing_warning(model(PixelInput("rgb", 1, 0)), pair_set())
    assert line.startswith(
        "net: --color-order rgb --input-range '(x-127.5)/128' suits the model better"
    )


def test_grey_pictures_have_no_color_order():
    grey = pair_set(noise=(0, 0, 0))
    assert preprocessing_warning(model(PixelInput("bgr")), grey) is None


def test_whole_numbers_have_one_range():
    bgr = PixelInput("bgr", 1, 0)
    assert preprocessing_warning(model(None, is_uint8=True), pair_set()) is None
    line = preprocessing_warning(model(bgr, is_uint8=True), pair_set())
    assert line.startswith(
        "net: --color-order rgb --input-range 0..255 suits the model better than --color-order bg"
    )


def test_embeddings_of_all_kinds_are_kept(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"what fingerprints are made of")
    cached = CachedEmbedder(model(PixelInput("bgr"), path=path), tmp_path / "cache", print)
    line = preprocessing_warning(cached, pair_set())
    assert line == preprocessing_warning(model(PixelInput("bgr")), pair_set())
    # One store for each pixel format; that of the embedder with its own options stays empty.
    sizes = [len(EmbeddingStore(path, print)) for path in sorted((tmp_path / "cache").iterdir())]
    empty, *others = sorted(sizes)
    assert empty == 0
    assert len(others) == 6
    assert min(others) == max(others) > 0
    assert preprocessing_warning(cached, pair_set()) == line
    assert sizes == [
        len(EmbeddingStore(path, print)) for path in sorted((tmp_path / "cache").iterdir())
    ]


def test_nothing_is_said_of_few_pairs_or_of_models_that_know():
    assert preprocessing_warning(model(PixelInput("bgr")), pair_set(num_people=29)) is None
    assert preprocessing_warning(load_embedder("pixels"), pair_set()) is None


def test_embeddings_without_direction_are_left_to_the_figures():
    def run(images):
        return np.zeros((len(images), 4)) if images.max() > 2 else images[:, 0, :, 0]

    takes = ImageInput(None, SIZE, SIZE, channels_first=False)
    given = PixelInput("rgb", 1, 0)
    dead = ExternalEmbedder(run, Path("net.onnx"), takes, EmbedderOptions(pixels=given))
    assert preprocessing_warning(dead, pair_set()) is None
    # As one of those that are tried it's no better than what was given.
    assert preprocessing_warning(dead.with_pixels(RIGHT, flip=True), pair_set()) is None


@pytest.mark.parametrize("given", ["rgb", "bgr"])
def test_a_published_model(test_data, monkeypatch, given):
    # Of the kinds that are tried, only the one with the other order.
    monkeypatch.setattr(sanity_checks, "_RANGES", ())
    embedder = load_embedder(
        test_data / "data" / "mobilefacenet_192.tflite", pixels=PixelInput(given)
    )
    line = preprocessing_warning(embedder, lfw(test_data, 80))
    if given == "rgb":
        assert line is None
    else:
        assert line.startswith(
            "mobilefacenet_192: --color-order rgb --input-range '(x-127.5)/128' suits the"
        )
