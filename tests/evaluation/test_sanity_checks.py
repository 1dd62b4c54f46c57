"""Pixels and alignments that don't suit a model are noticed, and those that do are left alone."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.evaluation.real_faces import lfw
from tfface.data.pairs import PairSet
from tfface.errors import InputError
from tfface.evaluation import sanity_checks
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder, EmbeddingStore
from tfface.evaluation.embedders.external import ExternalEmbedder, ImageInput
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, parse_range
from tfface.evaluation.sanity_checks import alignment_warning, preprocessing_warning
from tfface.synthetic import render_faces

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


@pytest.mark.parametrize("given", [pytest.param("rgb", marks=pytest.mark.slow), "bgr"])
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


@pytest.fixture(scope="module")
def faces():
    """Drawn, and aligned."""
    return [Image.fromarray(face) for face in render_faces(range(16), [0] * 16, 112)]


def encoded(pictures):
    files = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())
    return files


def check(pictures, what="drawn"):
    return alignment_warning(encoded(pictures), [f"face {i}" for i in range(len(pictures))], what)


def shifted(picture, x=0, y=0):
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, -y))


def enlarged(picture, scale):
    side = (picture.width - picture.width / scale) / 2
    return picture.resize(picture.size, box=(side, side, 112 - side, 112 - side))


@pytest.mark.parametrize("size", [(112, 112), (224, 224), (64, 64)])
def test_aligned_faces_of_any_size(faces, size):
    assert check([face.resize(size) for face in faces]) is None


def test_aligned_faces_with_narrow_margins(faces):
    assert check([face.crop((8, 0, 104, 112)) for face in faces]) is None


def test_faces_elsewhere(faces):
    line = check([shifted(face, y=14) for face in faces])
    assert line.startswith("drawn looks unaligned: alignment would move eyes, nose and mouth of ")
    assert " pixels (of 112); 2 is usual; " in line
    assert "tfface align" in line
    assert "\n" not in line
    assert check([enlarged(face, 1.5) for face in faces]) is not None


def test_faces_in_photos(faces):
    def in_photo(face):
        photo = Image.new("RGB", (300, 200), "grey")
        photo.paste(face, (20, 50))
        return photo

    assert check([in_photo(face) for face in faces]) is not None


def test_no_faces():
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    pictures = [Image.fromarray(block).resize((112, 112)) for block in blocks]
    line = check(pictures, "rooms")
    assert line.startswith(
        "rooms looks unaligned: no face was found in 10 of 10 sampled images; al"
    )


def test_nothing_is_said_of_tiny_images(faces):
    wrong = [shifted(face, x=20) for face in faces]
    assert check(wrong) is not None
    assert check([face.resize((24, 24)) for face in wrong]) is None
    assert check([face.resize((24, 24)) for face in wrong[:3]]) is None
    assert alignment_warning([], [], "nothing") is None


@pytest.fixture(scope="module")
def plain_faces(faces):
    """Those in which the detector finds the face: it misses some that are drawn."""
    found = [face for face in faces if check([face]) is None]
    assert len(found) >= 7
    return found


def test_a_few_images_are_looked_at_one_by_one(plain_faces):
    faces = plain_faces
    assert check(faces[:7]) is None
    assert check([shifted(faces[0], x=20)]).startswith(
        "face 0 looks unaligned: alignment would move its eyes, nose and mouth by 18 pixels"
    )
    line = check([*faces[:3], shifted(faces[3], x=20), Image.new("RGB", (112, 112), "grey")])
    assert line.startswith("2 of 5 images look unaligned, for example face 3: alignment would")
    assert check([Image.new("RGB", (200, 112), "grey")]).startswith(
        "face 0 looks unaligned: no face was found in it; align it with tfface align"
    )


@pytest.mark.slow
def test_each_of_many_images_is_looked_at_where_it_stands_for_itself(plain_faces):
    faces = (plain_faces * 3)[:16]
    pictures = [*faces, *faces[:15], shifted(faces[3], x=20), *faces]
    files, names = encoded(pictures), [f"face {i}" for i in range(len(pictures))]
    assert alignment_warning(files, names, "queries") is None
    line = alignment_warning(files, names, "queries", each=True)
    assert line.startswith("1 of 48 images looks unaligned, for example face 31: alignment would")
    aligned = encoded([*faces, *faces])
    assert alignment_warning(aligned, names, "queries", each=True) is None


def test_images_that_cant_be_decoded_are_named(faces):
    files = encoded(faces)
    files[3] = files[3][:100]
    with pytest.raises(InputError, match="face 3: the image data are damaged"):
        alignment_warning(files, [f"face {i}" for i in range(16)], "drawn")


def test_alignment_is_not_checked_without_the_packages(faces, monkeypatch, capsys):
    monkeypatch.setattr(sanity_checks, "find_spec", lambda package: None)
    sanity_checks._has_detector.cache_clear()
    try:
        for _ in range(2):
            assert check([shifted(face, x=20) for face in faces]) is None
    finally:
        sanity_checks._has_detector.cache_clear()
    [line] = capsys.readouterr().err.splitlines()
    assert "not checked whether faces are aligned" in line
    assert "pip install 'tfface[align]'" in line


def test_real_faces(test_data):
    pair_set = lfw(test_data, 8)
    what = (pair_set.images, pair_set.image_names, "lfw")
    assert alignment_warning(*what) is None
    assert alignment_warning(*what, each=True) is None
    pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in pair_set.images]
    assert check([shifted(picture, y=-9) for picture in pictures]) is not None
