"""Weights by the graph of an ONNX model: exporters fold batch norms and rename what is left."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.backbones.weights.made_weights import SIZES, made_images
from tests.backbones.weights.test_torch_weights import (
    CASES,
    GOLDEN,
    IRESNET_NECK,
    embedder_of,
    small_iresnet,
)
from tfface.backbones.mobilefacenet import mobilefacenet
from tfface.backbones.weights.loading import load_initial_weights
from tfface.backbones.weights.onnx_file import load_onnx
from tfface.errors import InputError
from tfface.training.folded_norms import refresh_statistics

HERE = Path(__file__).resolve().parent
FILES = ("iresnet_old", "iresnet", "ir_se")


def embedder_for(file: str) -> tuple:
    name = file.removesuffix("_old")
    build, neck, size = CASES[name]
    backbone = build(image_size=SIZES[name])
    return backbone, embedder_of(backbone, neck, size), name


@pytest.mark.parametrize("file", FILES)
def test_outputs_are_those_of_pytorch(file):
    backbone, embedder, name = embedder_for(file)
    line = load_initial_weights(HERE / f"{file}.onnx", backbone, embedder)
    assert "into the backbone and the neck; " in line
    assert "batch norms are folded into layers of the file" in line
    found = keras.ops.convert_to_numpy(embedder(made_images(*SIZES[name])))
    np.testing.assert_allclose(found, GOLDEN[name], atol=1e-4)


def test_training_goes_on_from_folded_batch_norms():
    """With the statistics of images, a training step sees what inference does."""
    backbone, embedder, name = embedder_for("iresnet")
    load_initial_weights(HERE / "iresnet.onnx", backbone, embedder)
    images = (127.5 * (made_images(*SIZES[name], count=6) + 1)).astype(np.uint8)
    pixels = keras.layers.Rescaling(1 / 127.5, -1.0)
    given = keras.Input(images.shape[1:])
    backbone_again = embedder.get_layer("backbone")
    whole = keras.Model(given, embedder(pixels(given)))
    before = keras.ops.convert_to_numpy(whole(images))
    scaled = keras.ops.convert_to_numpy(pixels(images))
    number = refresh_statistics(embedder, [scaled[:2], scaled[2:]])
    norms = [x for x in backbone_again.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert 0 < number < len(norms)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(whole(images)), before, atol=1e-4)
    assert refresh_statistics(embedder, [scaled]) == 0
    norm = backbone_again.get_layer("bn1")
    inside = keras.Model(backbone_again.input, [norm.input, norm.output])
    value, normed = (keras.ops.convert_to_numpy(x) for x in inside(scaled))
    np.testing.assert_allclose(norm.moving_mean, value.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, value.var((0, 1, 2)), rtol=1e-4)
    in_training = keras.ops.convert_to_numpy(norm(value, training=True))
    np.testing.assert_allclose(in_training, normed, atol=1e-3)


def changed(tmp_path, change) -> Path:
    model = onnx.load(HERE / "iresnet.onnx")
    change(model.graph)
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def refusal(path: Path, backbone=None) -> str:
    backbone = backbone or CASES["iresnet"][0](image_size=(32, 32))
    embedder = embedder_of(backbone, IRESNET_NECK, 16)
    before = embedder.get_weights()
    with pytest.raises(InputError, match="does not fit this backbone: ") as error:
        load_initial_weights(path, backbone, embedder)
    for one, other in zip(before, embedder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return str(error.value)


def test_a_graph_of_another_network():
    deeper = small_iresnet((1, 2, 2, 1))
    assert "it holds a graph of" in refusal(HERE / "iresnet.onnx", deeper)
    other = mobilefacenet(blocks=[2, 1, 1, 1], scale=1, image_size=(32, 32))
    assert "15 of them convolutions" in refusal(HERE / "iresnet.onnx", other)


def test_other_strides(tmp_path):
    def change(graph):
        node = next(n for n in graph.node if n.op_type == "Conv")
        node.attribute.extend([helper.make_attribute("dilations", [2, 2])])

    message = refusal(changed(tmp_path, change))
    assert "has Conv with [8, 3, 3, 3] where the backbone's conv1 is Conv2D with [8, 3" in message


def test_a_graph_that_runs_in_a_circle(tmp_path):
    def change(graph):
        del graph.node[:]
        graph.node.append(helper.make_node("Identity", ["a"], ["b"]))
        graph.node.append(helper.make_node("Identity", ["b"], ["a"]))
        graph.output[0].name = "a"

    assert "its graph has a cycle" in refusal(changed(tmp_path, change))


@pytest.mark.parametrize("op", ["Identity", "Relu"])
def test_a_node_that_is_given_nothing(tmp_path, op):
    def change(graph):
        del graph.node[:]
        graph.node.append(helper.make_node(op, [], ["a"]))
        graph.output[0].name = "a"

    assert "its graph begins where the backbone has the layer" in refusal(changed(tmp_path, change))


def test_an_attribute_of_another_type(tmp_path):
    def change(graph):
        node = next(n for n in graph.node if n.op_type == "Conv")
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("strides", 1))

    with pytest.raises(InputError, match="damaged: strides of a node is of another type"):
        load_onnx(changed(tmp_path, change))


def scale_pixels(graph) -> None:
    """Puts (pixels - 127.5) / 128 in front, as some published files have it."""
    first = next(n for n in graph.node if n.op_type == "Conv")
    numbers = {"mean": 127.5, "factor": 1 / 128}
    graph.initializer.extend(
        numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()
    )
    graph.node.insert(0, helper.make_node("Sub", [first.input[0], "mean"], ["centered"]))
    graph.node.insert(1, helper.make_node("Mul", ["centered", "factor"], ["scaled"]))
    first.input[0] = "scaled"


def test_a_graph_that_scales_pixels_itself(tmp_path):
    path = changed(tmp_path, scale_pixels)
    backbone = CASES["iresnet"][0](image_size=(32, 32))
    for scale, offset in ((1 / 128, -127.5 / 128), (1 / 127.5, -1.0)):
        images = keras.Input((32, 32, 3))
        rescaled = keras.layers.Rescaling([scale] * 3, [offset] * 3, name="input_normalization")
        features = backbone.network(rescaled(images))
        embedder = keras.Model(images, features)
        if offset == -1.0:
            with pytest.raises(InputError, match=r"set model\.input_normalization: facenet"):
                load_initial_weights(path, backbone, embedder)
        else:
            assert "into the backbone" in load_initial_weights(path, backbone, embedder)


def test_a_published_mobilefacenet_whose_batch_norms_are_folded(test_data, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = onnx.load(test_data / "data" / "mobilefacenet_casia_112x96.onnx")
    fold(model.graph)
    onnx.save(model, tmp_path / "folded.onnx")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 112, 96, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "folded.onnx")
    [expected] = session.run(None, {"x": images.transpose(0, 3, 1, 2)})
    backbone = mobilefacenet("original", image_size=(112, 96))
    embedder = embedder_of(backbone, {"pooling": "flatten", "batch_norm": True}, 128)
    line = load_initial_weights(tmp_path / "folded.onnx", backbone, embedder)
    assert "; 50 batch norms are folded into layers of the file" in line
    found = keras.ops.convert_to_numpy(embedder(images))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_arrays_with_names_behind_pixels_that_are_scaled(test_data, tmp_path):
    model = onnx.load(test_data / "data" / "mobilefacenet_casia_112x96.onnx")
    scale_pixels(model.graph)
    onnx.save(model, tmp_path / "scaled.onnx")
    backbone = mobilefacenet("original", image_size=(112, 96))
    images = keras.Input((112, 96, 3))
    rescaled = keras.layers.Rescaling([1 / 127.5] * 3, [-1.0] * 3, name="input_normalization")
    embedder = keras.Model(images, backbone.network(rescaled(images)))
    with pytest.raises(InputError, match=r"set model\.input_normalization: facenet"):
        load_initial_weights(tmp_path / "scaled.onnx", backbone, embedder)


def fold(graph) -> None:
    """Folds each batch norm behind a convolution into it, and renames all arrays."""
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        convolution = made[norm.input[0]]
        gamma, beta, mean, variance = (arrays.pop(name) for name in norm.input[1:])
        factor = gamma / np.sqrt(variance + 1e-5)
        arrays[convolution.input[1]] = arrays[convolution.input[1]] * factor[:, None, None, None]
        arrays[norm.output[0]] = beta - mean * factor
        convolution.input.append(norm.output[0])
        convolution.output[0] = f"{norm.output[0]}_made"
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == norm.output[0] and node is not convolution:
                    node.input[place] = convolution.output[0]
        graph.node.remove(norm)
    del graph.initializer[:]
    names = {name: f"{1000 + number}" for number, name in enumerate(arrays)}
    graph.initializer.extend(numpy_helper.from_array(arrays[n], names[n]) for n in names)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
