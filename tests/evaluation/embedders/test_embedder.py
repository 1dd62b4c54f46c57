"""Embedders: the flip-sum, batches of one shape, and loading what a user names."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import (
    EMBEDDERS,
    KerasEmbedder,
    RawPixelEmbedder,
    load_embedder,
)
from tfface.evaluation.embedders.model_kind import KINDS

ROOT = Path(__file__).resolve().parents[3]


def images(count, height=16, width=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def small_model(height=16, width=12, dtype="float32"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((height, width, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, dtype=dtype)(x)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(5, dtype=dtype)(x))


def flip_sum(model, batch):
    batch = batch.astype(np.float32)
    straight = model(batch, training=False)
    mirrored = model(batch[:, :, ::-1], training=False)
    return keras.ops.convert_to_numpy(straight) + keras.ops.convert_to_numpy(mirrored)


def test_keras_embedder_sums_image_and_mirrored_image():
    model = small_model()
    embedder = KerasEmbedder(model, "small", batch_size=4)
    assert embedder.name == "small"
    assert embedder.image_size == (16, 12)
    for count in (1, 4, 10):
        embeddings = embedder.embed(images(count))
        assert embeddings.shape == (count, 5)
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(embeddings, flip_sum(model, images(count)), rtol=1e-4, atol=1e-5)


def test_keras_embedder_follows_the_model_while_it_trains():
    model = small_model()
    embedder = KerasEmbedder(model, "small", batch_size=4)
    before = embedder.embed(images(3))
    model.set_weights([2 * weight + 0.1 for weight in model.get_weights()])
    after = embedder.embed(images(3))
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, flip_sum(model, images(3)), rtol=1e-4, atol=1e-4)


def test_keras_embedder_gives_float32_for_half_precision_models():
    embedder = KerasEmbedder(small_model(dtype="mixed_bfloat16"), "half", batch_size=2)
    assert embedder.embed(images(3)).dtype == np.float32


def test_keras_embedder_compiles_one_shape():
    calls = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            calls.append(x.shape)
            return x

    inputs = keras.Input((16, 12, 3))
    outputs = keras.layers.Flatten()(Counting()(inputs))
    embedder = KerasEmbedder(keras.Model(inputs, outputs), "counting", batch_size=4)
    embedder.embed(images(4))
    once = len(calls)
    embedder.embed(images(7))
    embedder.embed(images(1))
    assert len(calls) == once


@pytest.mark.parametrize("shape", [(None, None, 3), (16, 12, 1), (16,)])
def test_models_that_do_not_take_images_are_refused(shape):
    inputs = keras.Input(shape)
    with pytest.raises(InputError, match="expected one input of RGB images of a fixed size"):
        KerasEmbedder(keras.Model(inputs, keras.layers.Identity()(inputs)), "odd")


def test_models_that_do_not_give_vectors_are_refused():
    inputs = keras.Input((16, 12, 3))
    with pytest.raises(InputError, match="expected one embedding for each image"):
        KerasEmbedder(keras.Model(inputs, keras.layers.Identity()(inputs)), "odd")


def test_pixels():
    embedder = load_embedder("pixels")
    assert isinstance(embedder, RawPixelEmbedder)
    batch = images(3, *embedder.image_size)
    embeddings = embedder.embed(batch)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (3, 32 * 32)
    # A mirrored picture is the same picture; brighter or with more contrast, it has one direction.
    np.testing.assert_array_equal(embedder.embed(batch[:, :, ::-1]), embeddings)
    dim = (batch // 2).astype(np.uint8)
    np.testing.assert_array_equal(embedder.embed(dim + 100), embedder.embed(dim))
    assert not embedder.embed(np.full_like(batch, 77)).any()


def test_load_a_keras_file_and_a_run_folder(tmp_path):
    model = small_model()
    run = tmp_path / "my_run"
    run.mkdir()
    model.save(run / "model.keras")
    expected = flip_sum(model, images(2))
    for path, name in ((run, "my_run"), (run / "model.keras", "model"), (f"{run}/.", "my_run")):
        embedder = load_embedder(path, batch_size=2)
        assert embedder.name == name
        assert embedder.batch_size == 2
        np.testing.assert_allclose(embedder.embed(images(2)), expected, rtol=1e-4, atol=1e-5)


def test_a_keras_file_in_upper_case(tmp_path):
    small_model().save(tmp_path / "net.keras")
    expected = load_embedder(tmp_path / "net.keras").embed(images(2))
    (tmp_path / "net.keras").rename(tmp_path / "net.KERAS")
    np.testing.assert_array_equal(load_embedder(tmp_path / "net.KERAS").embed(images(2)), expected)


def test_code_in_a_model_file_is_refused(tmp_path):
    inputs = keras.Input((16, 12, 3))
    outputs = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "code.keras")
    with pytest.raises(InputError, match=r"code\.keras: refused: it contains code"):
        load_embedder(tmp_path / "code.keras")


def test_a_run_that_has_not_ended(tmp_path):
    for name in ("recipe.yaml", "environment.json"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="a run that ended before its first checkpoint: give its"):
        load_embedder(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="holds an unfinished run: finish it by its command with"):
        load_embedder(tmp_path)


def test_what_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"nothing: no such model; a model is .*\.keras file"):
        load_embedder(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"nothing\.keras: no such file"):
        load_embedder(tmp_path / "nothing.keras")
    with pytest.raises(InputError, match="not a model that can be evaluated"):
        load_embedder(tmp_path)
    (tmp_path / "damaged.keras").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(InputError, match=r"damaged\.keras: can't be loaded as a Keras model"):
        load_embedder(tmp_path / "damaged.keras")


def test_kinds_are_those_of_loaders():
    assert tuple(EMBEDDERS) == KINDS


@pytest.mark.parametrize("kind", EMBEDDERS)
def test_loaders_leave_other_arguments_alone(kind, tmp_path):
    assert EMBEDDERS[kind](str(tmp_path / "model.other"), 8) is None


@pytest.mark.slow
def test_another_backend(tmp_path):
    pytest.importorskip("jax")
    model = small_model()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "expected.npy", flip_sum(model, images(3)))
    np.save(tmp_path / "images.npy", images(3))
    code = (
        "import numpy as np\n"
        "from tfface.evaluation.embedders.embedder import load_embedder\n"
        "embeddings = load_embedder('model.keras', batch_size=2).embed(np.load('images.npy'))\n"
        "np.testing.assert_allclose(embeddings, np.load('expected.npy'), rtol=1e-3, atol=1e-4)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
    )


def test_fingerprint_differs_where_embeddings_do(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    before = KerasEmbedder(model, "a").fingerprint
    assert KerasEmbedder(model, "b", batch_size=2).fingerprint == before
    assert KerasEmbedder(model, "a", flip=False).fingerprint != before
    model.save(tmp_path / "a.keras")
    model.layers[-1].kernel.assign_add(keras.ops.ones((192, 4)))
    assert KerasEmbedder(model, "a").fingerprint != before
    model.save(tmp_path / "b.keras")
    a, b = (load_embedder(tmp_path / f"{name}.keras").fingerprint for name in "ab")
    assert a != b
    assert load_embedder(tmp_path / "a.keras").fingerprint == a
    assert load_embedder("pixels").fingerprint != load_embedder("pixels", flip=False).fingerprint
