"""Models of other formats: layouts, fixed batches, sizes, and what isn't one of them."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import helper, numpy_helper

from tfface.backbones.weights.onnx_file import read_onnx
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.external import ExternalEmbedder, read_image_input
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, parse_range

HEIGHT, WIDTH, SIZE = 8, 6, 5
F4 = np.dtype(np.float32)
WEIGHTS = np.random.default_rng(0).normal(size=(HEIGHT * WIDTH * 3, SIZE)).astype(np.float32)


def images(count, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def expected(batch, pixels=None, flip=True):
    """What the models below give: their weights are applied to [height, width, channel]."""
    pixels = pixels or PixelInput()

    def embed(some):
        return pixels.apply(some).reshape(len(some), -1) @ WEIGHTS

    return embed(batch) + embed(batch[:, :, ::-1]) if flip else embed(batch)


def write_onnx(path, batch="n", height=HEIGHT, width=WIDTH, type=np.float32):
    """Channels first, as PyTorch exports; letters are sizes that are free."""
    channels_first = WEIGHTS.reshape(HEIGHT, WIDTH, 3, SIZE).transpose(2, 0, 1, 3)
    weights = np.ascontiguousarray(channels_first.reshape(-1, SIZE)).astype(type)
    return write_onnx_graph(path, weights, [batch, 3, height, width])


def write_onnx_graph(path, weights, shape):
    kind = helper.np_dtype_to_tensor_dtype(weights.dtype)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["embeddings"]),
        ],
        "embedder",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("embeddings", kind, [shape[0], weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def write_tflite(path, batch=None, quantized=False):
    @tf.function(input_signature=[tf.TensorSpec((batch, HEIGHT, WIDTH, 3))])
    def embed(given):
        return tf.matmul(tf.reshape(given, (-1, len(WEIGHTS))), WEIGHTS)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()])
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [PixelInput().apply(images(8)[i : i + (batch or 1)])] for i in range(4)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize("batch", ["n", 1, 3])
@pytest.mark.parametrize("flip", [True, False])
def test_onnx(tmp_path, batch, flip):
    path = write_onnx(tmp_path / "net.onnx", batch)
    embedder = load_embedder(path, batch_size=4, flip=flip)
    assert embedder.name == "net"
    assert embedder.image_size == (HEIGHT, WIDTH)
    for count in (1, 4, 9):
        found = embedder.embed(images(count))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected(images(count), flip=flip), rtol=1e-4, atol=1e-3)


def test_extensions_are_known_in_upper_case(tmp_path):
    for path in (write_onnx(tmp_path / "net.ONNX"), write_tflite(tmp_path / "net.TFLite")):
        found = load_embedder(path).embed(images(2))
        np.testing.assert_allclose(found, expected(images(2)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch", [None, 2])
def test_tflite(tmp_path, batch):
    embedder = load_embedder(write_tflite(tmp_path / "net.tflite", batch), batch_size=4)
    assert embedder.image_size == (HEIGHT, WIDTH)
    for count in (1, 4, 9):
        found = embedder.embed(images(count))
        np.testing.assert_allclose(found, expected(images(count)), rtol=1e-4, atol=1e-3)


def test_a_quantized_tflite(tmp_path):
    embedder = load_embedder(write_tflite(tmp_path / "net.tflite", 1, quantized=True))
    found, right = embedder.embed(images(6)), expected(images(6))
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), right.ravel())[0, 1] > 0.99


def test_models_that_take_whole_numbers_get_the_pixels_themselves(tmp_path):
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["float"], to=helper.np_dtype_to_tensor_dtype(F4)),
            helper.make_node("Flatten", ["float"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["embeddings"]),
        ],
        "embedder",
        [helper.make_tensor_value_info("images", 2, ["n", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("embeddings", 1, ["n", SIZE])],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())

    @tf.function(input_signature=[tf.TensorSpec((None, HEIGHT, WIDTH, 3), tf.uint8)])
    def embed(given):
        return tf.matmul(tf.reshape(tf.cast(given, tf.float32), (-1, len(WEIGHTS))), WEIGHTS)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()])
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    right = expected(images(3), PixelInput(scale=1, shift=0))
    for file in ("net.onnx", "net.tflite"):
        found = load_embedder(tmp_path / file).embed(images(3))
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-2)
        with pytest.raises(InputError, match=r"takes uint8 pixels: --input-range must be 0\.\.255"):
            load_embedder(tmp_path / file, pixels=PixelInput())


def test_pixels_are_as_the_user_says(tmp_path):
    scale, shift = parse_range("0..1")
    pixels = PixelInput("bgr", scale, shift)
    embedder = load_embedder(write_onnx(tmp_path / "net.onnx"), pixels=pixels)
    found = embedder.embed(images(3))
    np.testing.assert_allclose(found, expected(images(3), pixels), rtol=1e-4, atol=1e-4)


def test_sizes(tmp_path):
    free = write_onnx(tmp_path / "free.onnx", height="h", width="w")
    with pytest.raises(InputError, match=r"free\.onnx: the model takes images of any size: set it"):
        load_embedder(free)
    embedder = load_embedder(free, image_size=(HEIGHT, WIDTH))
    np.testing.assert_allclose(embedder.embed(images(2)), expected(images(2)), rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="the model takes images 6 pixels wide, not 8"):
        load_embedder(write_onnx(tmp_path / "net.onnx"), image_size=(8, 8))


def test_what_is_no_such_model(tmp_path):
    for suffix in (".onnx", ".tflite"):
        with pytest.raises(InputError, match="no such file"):
            load_embedder(tmp_path / f"gone{suffix}")
        (tmp_path / f"noise{suffix}").write_bytes(os.urandom(200))
        with pytest.raises(InputError, match=f"noise{suffix}: can't be loaded as"):
            load_embedder(tmp_path / f"noise{suffix}")
    with pytest.raises(InputError, match="expected one input of float32 or uint8 images"):
        load_embedder(write_onnx(tmp_path / "double.onnx", type=np.float64))
    with pytest.raises(InputError, match="omit --color-order, --input-range and --image-size"):
        load_embedder("pixels", pixels=PixelInput())
    write_onnx_graph(tmp_path / "flat.onnx", WEIGHTS, ["n", len(WEIGHTS)])
    with pytest.raises(
        InputError, match=r"flat\.onnx: the model takes \[None, 144\]: expected RGB"
    ):
        load_embedder(tmp_path / "flat.onnx")


def test_published_models(test_data):
    folder = test_data / "data"
    tflite = load_embedder(folder / "mobilefacenet_192.tflite")
    assert tflite.image_size == (112, 112)
    assert tflite.embed(images(3, 112, 112)).shape == (3, 192)
    casia = load_embedder(folder / "mobilefacenet_casia_112x96.onnx")
    assert casia.image_size == (112, 96)
    assert casia.embed(images(3, 112, 96)).shape == (3, 128)


@pytest.mark.parametrize("location", ["../secret.bin", "link.bin", "sub/../../secret.bin", "/"])
def test_weights_outside_of_the_models_folder_are_not_read(tmp_path, location):
    """Neither to embed nor to start a backbone."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(secret)
    model = onnx.load(write_onnx(folder / "net.onnx"))
    [weights] = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    path = str(secret) if location == "/" else location
    weights.external_data.add(key="location", value=path)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"net\.onnx: can't be loaded as an ONNX model"):
        load_embedder(folder / "net.onnx")
    with pytest.raises(InputError, match=r"net\.onnx: cut short or damaged"):
        read_onnx(folder / "net.onnx")


def write_external(path, name):
    model = onnx.load(write_onnx(path))
    onnx.save(model, path, save_as_external_data=True, location=name, size_threshold=0)
    return path.parent / name


@pytest.mark.parametrize("name", ["net.onnx.data", "weights of " + 150 * "n", "größer.bin"])
def test_fingerprint_covers_weights_in_files_of_their_own(tmp_path, name):
    alone = load_embedder(write_onnx(tmp_path / "net.onnx")).fingerprint
    weights = write_external(tmp_path / "net.onnx", name)
    before = load_embedder(tmp_path / "net.onnx")
    assert before.fingerprint != alone
    assert load_embedder(tmp_path / "net.onnx").fingerprint == before.fingerprint
    assert before.with_pixels(before.pixels, flip=True).fingerprint == before.fingerprint
    weights.write_bytes((2 * WEIGHTS).tobytes())
    after = load_embedder(tmp_path / "net.onnx")
    assert not np.allclose(after.embed(images(2)), before.embed(images(2)))
    assert after.fingerprint != before.fingerprint


def write_outputs(path, outputs, *, order=(0, 1)):
    """An ONNX model of two outputs, the embeddings and their first `size` values each.

    Args:
        outputs: (name, size) of both.
        order: in which the file has them.
    """
    shapes = {name: ["n", size] for name, size in outputs}
    nodes = [helper.make_node("Flatten", ["images"], ["flat"])]
    initial = []
    for name, size in outputs:
        nodes.append(helper.make_node("MatMul", ["flat", f"{name} weights"], [name]))
        initial.append(numpy_helper.from_array(WEIGHTS[:, :size], f"{name} weights"))
    names = [outputs[place][0] for place in order]
    graph = helper.make_graph(
        nodes,
        "embedder",
        [helper.make_tensor_value_info("images", 1, ["n", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info(name, 1, shapes[name]) for name in names],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "outputs",
    [
        # By shape: a quality is one number.
        [("x", 5), ("quality", 1)],
        # By name.
        [("my_embedding", 5), ("logits", 4)],
        [("features", 5), ("logits", 4)],
    ],
)
def test_the_embedding_is_found_among_several_outputs(tmp_path, outputs, order):
    embedder = load_embedder(write_outputs(tmp_path / "net.onnx", outputs, order=order))
    np.testing.assert_allclose(embedder.embed(images(3)), expected(images(3)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("outputs", [[("x", 5), ("y", 4)], [("embedding", 5), ("embed", 4)]])
def test_an_unclear_output_has_to_be_named(tmp_path, outputs):
    path = write_outputs(tmp_path / "net.onnx", outputs)
    (first, _), (second, _) = outputs
    with pytest.raises(
        InputError, match=rf"2 outputs, and .*--model-output: {first} \[\?, 5\], {second} \[\?, 4"
    ):
        load_embedder(path)
    found = {name: load_embedder(path, output=name) for name in (first, second)}
    assert found[first].embed(images(2)).shape == (2, 5)
    assert found[second].embed(images(2)).shape == (2, 4)
    assert found[first].fingerprint != found[second].fingerprint
    with pytest.raises(InputError, match=r"--model-output z: the model has no such output, it has"):
        load_embedder(path, output="z")


def test_an_output_of_a_model_that_has_one(tmp_path):
    path = write_onnx(tmp_path / "net.onnx")
    assert load_embedder(path, output="embeddings").fingerprint == load_embedder(path).fingerprint
    with pytest.raises(InputError, match="pixels: --model-output chooses among the outputs of an"):
        load_embedder("pixels", output="embeddings")


def test_several_outputs_of_a_tflite(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((1, HEIGHT, WIDTH, 3))])
    def embed(given):
        flat = tf.reshape(given, (-1, len(WEIGHTS)))
        return {"a": tf.matmul(flat, WEIGHTS[:, :1]), "b": tf.matmul(flat, WEIGHTS)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()])
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    found = load_embedder(tmp_path / "net.tflite").embed(images(3))
    np.testing.assert_allclose(found, expected(images(3)), rtol=1e-4, atol=1e-3)


def test_onnx_runtime_prints_nothing_itself(tmp_path, capfd):
    embedder = load_embedder(
        write_onnx(tmp_path / "net.onnx", height="h", width="w"), image_size=(9, 9)
    )
    with pytest.raises(InputError, match=r"net\.onnx: the model fails on 2 images of 9x9"):
        embedder.embed(images(1, 9, 9))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("shape", [[None, 10**6, 8, 3], [1, 3, 8, 10**6], [10**6, 8, 8, 3]])
def test_absurd_sizes_are_refused(shape):
    path = Path("net.onnx")
    taken = read_image_input(path, shape)
    with pytest.raises(InputError, match=r"net\.onnx: refused: the model takes \d+ images of "):
        ExternalEmbedder(np.zeros, path, taken, EmbedderOptions())


def test_an_absurd_size_is_refused_of_a_model_that_takes_any():
    taken = read_image_input(Path("net.onnx"), [None, None, None, 3])
    for size in ((8192, 8192), (112, 2049)):
        with pytest.raises(InputError, match=r"net\.onnx: refused: images of .* 2048 pixels"):
            ExternalEmbedder(np.zeros, Path("net.onnx"), taken, EmbedderOptions(image_size=size))
    options = EmbedderOptions(image_size=(2048, 112))
    assert ExternalEmbedder(np.zeros, Path("net.onnx"), taken, options).image_size == (2048, 112)
