"""EfficientNets give the same whatever way Keras' published weights come to them.

Keras builds another network for these weights than for any other (`backbones/normalization.py`).
"""

import keras
import numpy as np
import pytest

from tests.backbones.weights.test_published_h5 import publish
from tests.training.recipes import load_tiny
from tfface.backbones import BACKBONES
from tfface.backbones.normalization import fold_published
from tfface.backbones.weights import loading
from tfface.training.checkpoint_file import write_arrays
from tfface.training.checkpoint_state import (
    load_checkpoint,
    load_weights,
    state_arrays,
    weight_arrays,
)
from tfface.training.distribution import _LocalCopy
from tfface.training.recognizer import Recognizer, build_embedder, build_recognizer
from tfface.training.run_progress import RunProgress
from tfface.training.warm_start import read_warm_start

SIZE = (32, 32)
BACKBONE = "model.backbone={name: efficientnet_b0, weights: none}"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def published_file(tmp_path_factory):
    """As Keras publishes it: with the standard deviations where the layer takes variances."""
    keras.utils.set_random_seed(3)
    network = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(*SIZE, 3)
    )
    normalization = find(network, keras.layers.Normalization)[0]
    normalization.adapt_mean.assign(MEAN)
    normalization.adapt_variance.assign(DEVIATION)
    return publish(network, tmp_path_factory.mktemp("published") / "efficientnetb0_notop.h5")


@pytest.fixture(scope="module")
def of_keras(published_file):
    """What keras.applications makes of `weights="imagenet"`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(published_file))
        return keras.applications.EfficientNetB0(include_top=False, input_shape=(*SIZE, 3))


def find(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def images() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)


def normalized(network) -> np.ndarray:
    """What the first convolution of a network gets to see."""
    begin = keras.Model(network.input, network.get_layer("stem_conv_pad").output)
    return keras.ops.convert_to_numpy(begin(images()))


def check_same(network, expected):
    """What they compute; where their layers differ, the last bits do."""
    np.testing.assert_allclose(normalized(network), normalized(expected), rtol=1e-5, atol=1e-5)
    behind = [
        net.weights[[w.path for w in net.weights].index("stem_conv/kernel") :]
        for net in (network, expected)
    ]
    for one, other in zip(*behind, strict=True):
        np.testing.assert_array_equal(one, other)


def random_network() -> keras.Model:
    return BACKBONES["efficientnet_b0"](image_size=SIZE).network


def test_the_first_convolution_sees_what_efficientnet_was_trained_with(of_keras):
    pixels = (images() / 255 - MEAN) / DEVIATION
    np.testing.assert_allclose(normalized(of_keras)[:, :-1, :-1], pixels, rtol=1e-4, atol=1e-4)


def test_the_published_file(published_file, of_keras):
    network = BACKBONES["efficientnet_b0"](image_size=SIZE, weights=published_file).network
    check_same(network, of_keras)


@pytest.mark.parametrize("suffix", [".weights.h5", pytest.param(".keras", marks=pytest.mark.slow)])
def test_a_file_of_the_network_that_keras_built(tmp_path, of_keras, suffix):
    path = tmp_path / f"net{suffix}"
    of_keras.save_weights(path) if suffix == ".weights.h5" else of_keras.save(path)
    network = random_network()
    loading.load_weights(network, path)
    check_same(network, of_keras)


@pytest.mark.slow
def test_a_file_of_what_came_from_such_a_file(tmp_path, of_keras):
    of_keras.save(tmp_path / "first.keras")
    second, third = random_network(), random_network()
    loading.load_weights(second, tmp_path / "first.keras")
    second.save_weights(tmp_path / "second.weights.h5")
    loading.load_weights(third, tmp_path / "second.weights.h5")
    check_same(third, of_keras)
    second.save(tmp_path / "second.keras")
    loading.load_weights(third, tmp_path / "second.keras")
    check_same(third, of_keras)


@pytest.mark.slow
def test_a_file_of_a_network_that_began_at_random(tmp_path):
    network, loaded = random_network(), random_network()
    network.save_weights(tmp_path / "net.weights.h5")
    loading.load_weights(loaded, tmp_path / "net.weights.h5")
    check_same(loaded, network)
    np.testing.assert_allclose(normalized(loaded)[:, :-1, :-1], images() / 255, rtol=1e-6)


@pytest.fixture
def old_run(tmp_path, published_file):
    """A run that started from the published weights; its embedder."""
    part = f"model.backbone={{name: efficientnet_b0, weights: {published_file}}}"
    embedder = build_embedder(load_tiny(tmp_path, part).model, SIZE, tmp_path)
    (tmp_path / "old").mkdir()
    embedder.save(tmp_path / "old" / "model.keras")
    return embedder


def start_from_old(folder) -> tuple[Recognizer, str]:
    recipe = load_tiny(folder, BACKBONE, "model.init_from=old")
    recognizer = build_recognizer(recipe.model, SIZE, 2, folder)
    return recognizer, read_warm_start(recipe.model, folder).fill(recognizer.embedder)


@pytest.mark.slow
def test_init_from_a_run(tmp_path, old_run):
    new, report = start_from_old(tmp_path)
    check_same(new.backbone, old_run.get_layer("backbone"))
    # Nor does the report mention a layer that only one of the two has.
    assert "layers of the backbone" not in report


@pytest.mark.slow
def test_what_is_saved_computes_as_what_was_trained(tmp_path, old_run):
    new, _ = start_from_old(tmp_path)
    new.embedder.save(tmp_path / "new.keras")
    saved = keras.saving.load_model(tmp_path / "new.keras")
    np.testing.assert_array_equal(normalized(saved.get_layer("backbone")), normalized(new.backbone))


@pytest.mark.slow
def test_a_resumed_run(tmp_path, old_run):
    """Its network is built at random and filled from the checkpoint."""
    stopped, _ = start_from_old(tmp_path)
    resumed = build_recognizer(load_tiny(tmp_path, BACKBONE).model, SIZE, 2, tmp_path)
    for recognizer in (stopped, resumed):
        recognizer.compile(optimizer="sgd")
        recognizer.optimizer.build(recognizer.trainable_variables)
    checkpoint, weights = tmp_path / "checkpoint.safetensors", tmp_path / "weights.safetensors"
    write_arrays(checkpoint, state_arrays(stopped), RunProgress().to_json())
    load_checkpoint(checkpoint, resumed)
    np.testing.assert_array_equal(normalized(resumed.backbone), normalized(stopped.backbone))
    write_arrays(weights, weight_arrays(stopped))
    kept = build_recognizer(load_tiny(tmp_path, BACKBONE).model, SIZE, 2, tmp_path)
    load_weights(weights, kept)
    np.testing.assert_array_equal(normalized(kept.backbone), normalized(stopped.backbone))


@pytest.mark.slow
def test_a_copy_for_one_process_of_several(old_run):
    copy = _LocalCopy(old_run)
    with copy.synced():
        expected, found = (model.get_layer("backbone") for model in (old_run, copy.model))
        np.testing.assert_array_equal(normalized(found), normalized(expected))


@pytest.mark.slow
def test_other_normalizations_stay_as_they_are():
    for name in ("efficientnet_v2_b0", "convnext_tiny"):
        network = BACKBONES[name](image_size=SIZE).network
        before = network.get_weights()
        fold_published(network)
        for one, other in zip(network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)
