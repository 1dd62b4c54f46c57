"""Embedding in bfloat16: only where it is close to float32, and with auto only where faster."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import tfface
from tests.data.pairs.made_folder import write_folder
from tfface.cli import evaluate_verification
from tfface.errors import InputError
from tfface.evaluation.classifier import load_classifier
from tfface.evaluation.embedders import precision
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.embedders.precision import BFloat16Embedder, in_precision

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only on TensorFlow"
)

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def as_if_here(monkeypatch):
    """The processor has bfloat16, and TensorFlow oneDNN."""
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: ["AMX"])
    monkeypatch.setattr(precision.onednn, "is_on", lambda: True)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 127.5, -1)(images)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.SeparableConv2D(16, 3)(x))
    return keras.Model(images, layers.Dense(8)(x))


@pytest.fixture
def far(monkeypatch):
    """No embedding in bfloat16 is close enough."""
    monkeypatch.setattr(precision, "_LEAST_COSINE", 1.1)


def times(monkeypatch, exact, half):
    monkeypatch.setattr(BFloat16Embedder, "_seconds", lambda *_: [exact, half])


def make(network, *, only_if_faster=False):
    return BFloat16Embedder(KerasEmbedder(network, "n", 4), only_if_faster=only_if_faster)


def test_is_close_and_not_the_same(network, capsys):
    exact, embedder = KerasEmbedder(network, "n", 4), make(network)
    found, expected = embedder.embed(IMAGES), exact.embed(IMAGES)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    assert not np.array_equal(found, expected)
    assert capsys.readouterr().out.startswith(
        "precision: bfloat16; cosines to float32 of the first"
    )
    assert embedder.fingerprint != exact.fingerprint
    # Only the first batch decides, and says so; other functions still compute in float32.
    np.testing.assert_array_equal(embedder.embed(IMAGES), found)
    np.testing.assert_array_equal(exact.embed(IMAGES), expected)
    assert capsys.readouterr().out == ""


def test_falls_back(network, far, capsys):
    exact, embedder = KerasEmbedder(network, "n", 4), make(network)
    np.testing.assert_array_equal(embedder.embed(IMAGES), exact.embed(IMAGES))
    assert embedder.fingerprint == exact.fingerprint
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("precision: float32; in bfloat16 an embedding of the first 4 images")


def test_damaged_weights_are_no_reason_for_bfloat16(capsys):
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(4)])
    model.layers[-1].bias.assign([np.nan] * 4)
    assert np.isnan(make(model).embed(IMAGES)).all()
    assert "precision: float32" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "is_half"), [((2.0, 1.0), True), ((1.04, 1.0), False)])
def test_auto_takes_the_faster(network, monkeypatch, capsys, seconds, is_half):
    times(monkeypatch, *seconds)
    exact, embedder = KerasEmbedder(network, "n", 4), make(network, only_if_faster=True)
    assert np.array_equal(embedder.embed(IMAGES), exact.embed(IMAGES)) != is_half
    assert (embedder.fingerprint != exact.fingerprint) == is_half
    chosen = "bfloat16" if is_half else "float32"
    expected = f"precision: {chosen}; a batch took {seconds[0]:.3f} s in float32 and 1.000 s in"
    assert capsys.readouterr().out.startswith(expected)


def test_batches_are_timed(network):
    assert min(make(network)._seconds(IMAGES)) > 0


@pytest.mark.parametrize("only_if_faster", [False, True])
@pytest.mark.parametrize("is_far", [False, True])
def test_the_cache_keeps_precisions_apart(
    network, monkeypatch, request, tmp_path, only_if_faster, is_far
):
    times(monkeypatch, 2.0, 1.0)
    if is_far:
        request.getfixturevalue("far")
    exact = KerasEmbedder(network, "n", 4)
    expected = exact.embed(IMAGES)
    # Some are known in float32.
    CachedEmbedder(exact, tmp_path, print).embed(IMAGES[:3])
    cached = CachedEmbedder(make(network, only_if_faster=only_if_faster), tmp_path, print)
    found = cached.embed(IMAGES)
    if is_far:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    else:
        assert (found != expected).any(axis=1).all()
    again = CachedEmbedder(exact, tmp_path, print).embed(IMAGES)
    np.testing.assert_allclose(again, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("is_cached", [False, True])
@pytest.mark.parametrize("is_half", [False, True])
def test_settles_for_the_precision_of_other_embeddings(
    network, tmp_path, capsys, is_cached, is_half
):
    exact, half = KerasEmbedder(network, "n", 4), make(network)
    expected = (half if is_half else exact).embed(IMAGES)
    wanted = (half if is_half else exact).fingerprint
    capsys.readouterr()
    # Neither of itself would have begun with both.
    embedder = make(network, only_if_faster=is_half)
    if is_cached:
        embedder = CachedEmbedder(embedder, tmp_path, print)
    embedder.settle("of another model")
    assert embedder.fingerprint != wanted
    embedder.settle(wanted)
    assert (embedder.fingerprint, embedder.settle) == (wanted, None)
    # The cache has an order of its own.
    np.testing.assert_allclose(embedder.embed(IMAGES), expected, rtol=1e-5, atol=1e-6)
    # No batch decides any more.
    precision = "bfloat16" if is_half else "float32"
    assert capsys.readouterr().out == (
        f"precision: {precision}, as of the embeddings that are there\n"
    )


def test_only_what_measures_first_can_be_settled(network):
    embedder = make(network)
    assert embedder.settle is not None
    embedder.embed(IMAGES)
    assert embedder.settle is None
    assert KerasEmbedder(network, "n", 4).settle is None
    assert load_embedder("pixels").settle is None


class TestWhatHasNone:
    def test_other_formats(self):
        assert in_precision(load_embedder("pixels"), "auto", "pixels").name == "pixels"
        with pytest.raises(InputError, match=r"pixels: --precision bfloat16 is for run folders"):
            load_embedder("pixels", precision="bfloat16")

    def test_other_devices(self, network, monkeypatch):
        monkeypatch.setattr(precision, "is_tf_cpu", lambda: False)
        exact = KerasEmbedder(network, "n")
        assert in_precision(exact, "auto", "n") is exact
        with pytest.raises(InputError, match="on TensorFlow with oneDNN and without a GPU"):
            in_precision(exact, "bfloat16", "n")

    def test_other_processors(self, network, monkeypatch, capsys):
        monkeypatch.setattr(precision, "bfloat16_instructions", list)
        exact = KerasEmbedder(network, "n")
        assert in_precision(exact, "auto", "n") is exact
        assert "no instructions for bfloat16" in capsys.readouterr().out

    def test_mistakes(self):
        with pytest.raises(InputError, match="precision"):
            tfface.load_embedder("pixels", precision="half")


class TestGalleries:
    @pytest.fixture
    def path(self, network, tmp_path):
        network.save(tmp_path / "n.keras")
        return tmp_path / "n.keras"

    def build(self, path, precision, **options):
        model = tfface.load_embedder(path, precision=precision, **options)
        people = dict(zip("abcde", IMAGES, strict=True))
        folder = path.parent / "gallery"
        gallery = tfface.Gallery.build(model, people, path=folder, aligned=True)
        return gallery, json.loads((folder / "gallery.json").read_text())["load_options"]

    def test_keeps_bfloat16_and_queries_in_it(self, path, monkeypatch, capsys):
        gallery, kept = self.build(path, "bfloat16")
        assert kept == {"model": str(path), "precision": "bfloat16"}
        expected = gallery.model.embed(IMAGES)
        # A query's first batch doesn't decide, however far it is from float32.
        monkeypatch.setattr(precision, "_LEAST_COSINE", 1.1)
        capsys.readouterr()
        for model in (
            None,
            *(tfface.load_embedder(path, precision=p) for p in ("bfloat16", "auto")),
        ):
            again = tfface.Gallery.load(gallery.path, model)
            [found] = again.identify(IMAGES[2], aligned=True)
            assert found.candidates[0].name == "c"
            np.testing.assert_array_equal(again.model.embed(IMAGES), expected)
            assert "precision: bfloat16, as of the embeddings" in capsys.readouterr().out

    @pytest.mark.parametrize("asked", ["bfloat16", "auto"])
    def test_what_fell_back_is_in_float32(self, path, far, asked, monkeypatch, capsys):
        gallery, kept = self.build(path, asked)
        assert kept == {"model": str(path)}
        monkeypatch.setattr(precision, "_LEAST_COSINE", 0.9)
        times(monkeypatch, 2.0, 1.0)
        exact = KerasEmbedder(keras.saving.load_model(path), "n").embed(IMAGES)
        for model in (
            None,
            *(tfface.load_embedder(path, precision=p) for p in ("bfloat16", "auto")),
        ):
            again = tfface.Gallery.load(gallery.path, model)
            np.testing.assert_allclose(again.model.embed(IMAGES), exact, rtol=1e-5, atol=1e-5)

    def test_another_precision_is_said(self, path, tmp_path):
        gallery, _ = self.build(path, "bfloat16")
        message = (
            r"were computed in bfloat16, and this 'n' computes in float32: load it with "
            r"precision='bfloat16' \(tfface\.load_embedder\), or name no model"
        )
        with pytest.raises(InputError, match=message):
            tfface.Gallery.load(gallery.path, path)
        half = gallery.model
        in_float32 = tfface.Gallery.build(
            tfface.load_embedder(path), {"a": IMAGES[0]}, path=tmp_path / "other", aligned=True
        )
        with pytest.raises(InputError, match="computed in float32, and this 'n' computes in bfloa"):
            tfface.Gallery.load(in_float32.path, half)

    def test_a_device_without_it(self, path, monkeypatch):
        gallery, _ = self.build(path, "bfloat16")
        monkeypatch.setattr(precision.onednn, "is_on", lambda: False)
        with pytest.raises(
            InputError, match="gallery: its embeddings were computed in bfloat16, wh"
        ):
            _ = tfface.Gallery.load(gallery.path).model

    def test_with_a_cache(self, path, tmp_path):
        gallery, kept = self.build(path, "bfloat16", cache=tmp_path / "cache")
        assert kept["precision"] == "bfloat16"
        model = tfface.load_embedder(path, precision="auto", cache=tmp_path / "cache")
        again = tfface.Gallery.load(gallery.path, model)
        expected = tfface.Gallery.load(gallery.path).model.embed(IMAGES)
        np.testing.assert_array_equal(again.model.embed(IMAGES), expected)


def test_options_of_the_commands(network, tmp_path, capsys):
    network.save(tmp_path / "n.keras")
    templates = write_folder(tmp_path / "templates", photos=False)
    arguments = [tmp_path / "n.keras", "--no-check", "--templates", templates]
    for chosen in ("bfloat16", "float32"):
        evaluate_verification.main([*map(str, arguments), "--precision", chosen])
        assert ("precision: bfloat16" in capsys.readouterr().out) == (chosen == "bfloat16")


def test_classifiers(network, tmp_path):
    network.save(tmp_path / "n.keras")
    (tmp_path / "classes.txt").write_text("".join(f"{i}\n" for i in range(8)))
    classifier = load_classifier(
        tmp_path / "n.keras", classes=tmp_path / "classes.txt", precision="bfloat16"
    )
    assert isinstance(classifier.embedder, BFloat16Embedder)
