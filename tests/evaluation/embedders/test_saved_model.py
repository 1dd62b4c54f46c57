"""SavedModel folders as embedders."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.options import PixelInput

ROOT = Path(__file__).resolve().parents[3]
HEIGHT, WIDTH, SIZE = 8, 6, 5
WEIGHTS = np.random.default_rng(0).normal(size=(HEIGHT * WIDTH * 3, SIZE)).astype(np.float32)


def images(count):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def expected(batch, pixels=None, flip=True):
    """What the models below give: their weights are applied to [height, width, channel]."""
    pixels = pixels or PixelInput()

    def embed(some):
        return pixels.apply(some).reshape(len(some), -1) @ WEIGHTS

    return embed(batch) + embed(batch[:, :, ::-1]) if flip else embed(batch)


class Net(tf.Module):
    """As others write SavedModels: with a variable, channels first if they like."""

    def __init__(self, shape, dtype=tf.float32, channels_first=False):
        super().__init__()
        self.weights = tf.Variable(WEIGHTS)
        self.channels_first = channels_first
        self.embed = tf.function(self._embed, input_signature=[tf.TensorSpec(shape, dtype, "x")])

    def _embed(self, x):
        x = tf.transpose(x, (0, 2, 3, 1)) if self.channels_first else x
        flat = tf.reshape(tf.cast(x, tf.float32), (-1, len(WEIGHTS)))
        return {"embeddings": flat @ self.weights}


def save(folder, net, **signatures):
    tf.saved_model.save(net, folder, signatures=signatures or {"serving_default": net.embed})
    return folder


def keras_model():
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    dense = keras.layers.Dense(SIZE, use_bias=False)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    dense.set_weights([WEIGHTS])
    return model


def test_what_keras_exports(tmp_path):
    keras_model().export(tmp_path / "net_v1.2", verbose=False)
    for given in (tmp_path / "net_v1.2", f"{tmp_path / 'net_v1.2'}/."):
        embedder = load_embedder(given, batch_size=4)
        assert embedder.name == "net_v1.2"
        assert embedder.image_size == (HEIGHT, WIDTH)
        for count in (1, 4, 9):
            found = embedder.embed(images(count))
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected(images(count)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("channels_first", [False, True])
def test_what_others_save(tmp_path, batch, channels_first):
    shape = (batch, 3, HEIGHT, WIDTH) if channels_first else (batch, HEIGHT, WIDTH, 3)
    folder = save(tmp_path / "net", Net(shape, channels_first=channels_first))
    pixels = PixelInput("bgr", 1 / 255, 0.0)
    embedder = load_embedder(folder, batch_size=4, flip=False, pixels=pixels)
    for count in (1, 7):
        found = embedder.embed(images(count))
        right = expected(images(count), pixels, flip=False)
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4)


def test_whole_numbers_are_the_pixels_themselves(tmp_path):
    folder = save(tmp_path / "net", Net((None, HEIGHT, WIDTH, 3), tf.uint8))
    for order in ("rgb", "bgr"):
        pixels = PixelInput(order, 1, 0)
        given = None if order == "rgb" else pixels
        found = load_embedder(folder, pixels=given).embed(images(3))
        np.testing.assert_allclose(found, expected(images(3), pixels), rtol=1e-4, atol=1e-2)
    with pytest.raises(InputError, match=r"net: the model takes uint8 pixels: --input-range must"):
        load_embedder(folder, pixels=PixelInput())


def test_size_that_is_free(tmp_path):
    folder = save(tmp_path / "net", Net((None, None, None, 3)))
    with pytest.raises(InputError, match="takes images of any size: set it with --image-size"):
        load_embedder(folder)
    embedder = load_embedder(folder, image_size=(HEIGHT, WIDTH))
    np.testing.assert_allclose(embedder.embed(images(2)), expected(images(2)), rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match=r"net: the model fails on 4 images of 9x6 \(InvalidArg"):
        load_embedder(folder, image_size=(9, WIDTH)).embed(np.zeros((2, 9, WIDTH, 3), np.uint8))


def test_fingerprint_differs_where_weights_do(tmp_path):
    net = Net((None, HEIGHT, WIDTH, 3))
    before = load_embedder(save(tmp_path / "before", net)).fingerprint
    net.weights.assign_add(tf.ones_like(net.weights))
    assert load_embedder(save(tmp_path / "after", net)).fingerprint != before
    assert load_embedder(tmp_path / "before").fingerprint == before
    # The same folder, with its weights elsewhere.
    (tmp_path / "before/variables").rename(tmp_path / "variables")
    (tmp_path / "before/variables").symlink_to(tmp_path / "variables")
    assert load_embedder(tmp_path / "before").fingerprint == before
    for file in (tmp_path / "after/variables").iterdir():
        (tmp_path / "variables" / file.name).write_bytes(file.read_bytes())
    assert load_embedder(tmp_path / "before").fingerprint != before


class Two(tf.Module):
    @tf.function(
        input_signature=[tf.TensorSpec((None, 4, 4, 3)), tf.TensorSpec((), name="temperature")]
    )
    def two_inputs(self, x, temperature):
        return {"y": tf.reshape(x, (-1, 48)) * temperature}

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 3))])
    def two_outputs(self, x):
        return {"a": x, "b": x}

    @tf.function(input_signature=[tf.TensorSpec(None, name="x")])
    def no_shape(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec((None, 48), name="x")])
    def no_images(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="x")])
    def strings(self, x):
        return {"y": x}

    @tf.function(input_signature=[])
    def no_input(self):
        return {"y": tf.zeros((1, 2))}


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("two_inputs", r"takes temperature \(\) float32, x \(None, 4, 4, 3\) float32: expected on"),
        ("two_outputs", "the model returns a .* float32, b .* float32: expected embeddings alone"),
        ("no_shape", "doesn't say what shape it takes"),
        ("no_images", r"the model takes \[None, 48\]: expected RGB images"),
        ("strings", r"takes x \(None,\) string: expected one input of float32 or uint8 images"),
        ("no_input", "the model takes nothing: expected one input"),
    ],
)
def test_what_does_not_embed_images(tmp_path, signature, message):
    two = Two()
    folder = save(tmp_path / "net", two, serving_default=getattr(two, signature))
    with pytest.raises(InputError, match=message) as error:
        load_embedder(folder)
    assert "\n" not in str(error.value)


def test_what_is_no_sound_saved_model(tmp_path):
    net = Net((None, HEIGHT, WIDTH, 3))
    other = save(tmp_path / "other", net, mine=net.embed)
    with pytest.raises(InputError, match=r"other: has no signature serving_default \(it has: mine"):
        load_embedder(other)

    without_weights = save(tmp_path / "without_weights", net)
    for file in (without_weights / "variables").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="without_weights: can't be loaded as a SavedModel"):
        load_embedder(without_weights)

    for name, content in (
        ("noise", os.urandom(300)),
        ("empty", b""),
        ("half", (other / "saved_model.pb").read_bytes()[:2000]),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: can't be loaded as a SavedModel") as error:
            load_embedder(tmp_path / name)
        assert "\n" not in str(error.value)

    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"a model is .*a SavedModel folder"):
        load_embedder(tmp_path / "folder")


@pytest.mark.slow
def test_under_jax(tmp_path):
    pytest.importorskip("jax")
    save(tmp_path / "net", Net((None, HEIGHT, WIDTH, 3)))
    np.save(tmp_path / "images.npy", images(3))
    np.save(tmp_path / "expected.npy", expected(images(3)))
    code = (
        "import numpy as np\n"
        "from tfface.evaluation.embedders.embedder import load_embedder\n"
        "embeddings = load_embedder('net').embed(np.load('images.npy'))\n"
        "np.testing.assert_allclose(embeddings, np.load('expected.npy'), rtol=1e-3, atol=1e-3)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
    )


def net_that(does):
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, HEIGHT, WIDTH, 3), tf.float32, "x")])
        def embed(self, x):
            does()
            return {"embeddings": tf.reduce_mean(x, (1, 2))}

    return Other()


@pytest.mark.parametrize(
    ("does", "operation"),
    [
        (lambda: tf.io.write_file("trapped", "x"), "WriteFile"),
        (lambda: tf.io.read_file("/etc/passwd"), "ReadFile"),
        (lambda: tf.print("x", output_stream="file://trapped"), "StringFormat"),
        (lambda: tf.io.matching_files("/*"), "MatchingFiles"),
        (
            lambda: tf.raw_ops.SaveV2(
                prefix="trapped", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros(1)]
            ),
            "SaveV2",
        ),
        (lambda: tf.py_function(print, [tf.zeros(1)], []), "EagerPyFunc"),
    ],
)
def test_programs_that_do_more_than_compute_are_refused(tmp_path, monkeypatch, does, operation):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "net", net_that(does))
    with pytest.raises(InputError, match=f"net: refused: a SavedModel is a program, .*{operation}"):
        load_embedder(folder)
    assert not list(tmp_path.glob("trapped*"))


def test_programs_that_save_by_the_folders_own_functions_are_refused(tmp_path):
    folder = save(tmp_path / "net", Net((None, HEIGHT, WIDTH, 3)))
    read = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    library = read.meta_graphs[0].graph_def.library.function
    saver = next(f.signature.name for f in library if "traced_save" in f.signature.name)
    other = next(f for f in library if "traced_" not in f.signature.name)
    node = other.node_def.add(name="more", op="PartitionedCall")
    node.attr["f"].func.name = saver
    (folder / "saved_model.pb").write_bytes(read.SerializeToString())
    with pytest.raises(InputError, match=r"refused: .* calls __inference__traced_save"):
        load_embedder(folder)


def test_a_second_description_beside_is_refused(tmp_path):
    folder = save(tmp_path / "net", Net((None, HEIGHT, WIDTH, 3)))
    (folder / "saved_model.pbtxt").write_text("")
    with pytest.raises(InputError, match=r"refused: it contains saved_model\.pbtxt beside"):
        load_embedder(folder)


def test_constants_that_are_not_there_are_refused(tmp_path):
    folder = save(tmp_path / "net", net_that(lambda: tf.fill((3, 3), 1.0)))
    read = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    node = read.meta_graphs[0].graph_def.library.function[0].node_def.add(name="c", op="Const")
    node.attr["value"].tensor.float_val.append(1.0)
    node.attr["value"].tensor.tensor_shape.dim.add(size=10**12)
    (folder / "saved_model.pb").write_bytes(read.SerializeToString())
    with pytest.raises(InputError, match=r"refused: .* has constants of 1,000,000,000,"):
        load_embedder(folder)
