"""Whole models as Keras 2 has saved them: what they compute, and what is refused.

keras2.h5 and its outputs are written by Keras 2 itself (`keras2_network.py`).
"""

import json
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.backbones.weights.made_weights import made_images
from tests.training.recipes import load_tiny
from tfface.backbones import BACKBONES
from tfface.backbones.weights.legacy_h5 import load_legacy_h5
from tfface.backbones.weights.legacy_layers import LegacyGraph
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.training.recognizer import build_embedder

HERE = Path(__file__).resolve().parent
GIVEN = HERE / "keras2.h5"
EXPECTED = json.loads((HERE / "keras2.json").read_text())
IMAGES = made_images(16, 12)
# Pixels of which the network sees IMAGES.
PIXELS = IMAGES * 128 + 127.5


def run(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


@pytest.fixture
def changed(tmp_path):
    """Returns a function that writes a copy whose description it has changed."""

    def write(change, arrays=None):
        path = shutil.copy(GIVEN, tmp_path / "changed.h5")
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            layers = {each["name"]: each for each in config["config"]["layers"]}
            new = change(config["config"], layers)
            file.attrs["model_config"] = json.dumps(config if new is None else new)
            if arrays is not None:
                arrays(file)
        return Path(path)

    return write


def unchanged(config, layers):
    pass


def test_it_computes_what_keras_2_computes(capsys):
    model = load_legacy_h5(GIVEN)
    np.testing.assert_allclose(run(model, IMAGES), EXPECTED, atol=1e-5)
    assert (
        "left out behind its embedding: centers (elsewhere>UnitCenters)" in capsys.readouterr().out
    )
    # What a file's regularizers add to the loss is for the recipe to say.
    assert not model.losses


def test_its_network_is_saved_as_plain_layers(tmp_path):
    load_legacy_h5(GIVEN).save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    np.testing.assert_allclose(run(again, IMAGES), EXPECTED, atol=1e-5)


def test_it_embeds_pixels(tmp_path):
    path = shutil.copy(GIVEN, tmp_path / "Net.H5")
    embedder = load_embedder(path, flip=False)
    assert (embedder.name, embedder.image_size) == ("Net", (16, 12))
    images = np.clip(PIXELS, 0, 255).astype(np.uint8)
    seen = (images.astype(np.float32) - 127.5) / 128
    found = embedder.embed(images)
    np.testing.assert_allclose(found, run(load_legacy_h5(GIVEN), seen), atol=1e-5)
    both = load_embedder(path).embed(images)
    np.testing.assert_allclose(both, found + embedder.embed(images[:, :, ::-1]), atol=1e-5)


def test_a_classifier_behind_the_embedding_is_left_out(changed, capsys):
    def classify(config, layers):
        layers["centers"].update(class_name="Dense")
        layers["centers"]["config"].update(units=5, activation="softmax")

    found = run(load_legacy_h5(changed(classify)), IMAGES)
    np.testing.assert_allclose(found, EXPECTED, atol=1e-5)
    assert "left out behind its embedding: centers (Dense)" in capsys.readouterr().out


def test_a_sequential_model():
    layers = [
        {"class_name": "Flatten", "config": {"name": "flat", "batch_input_shape": [None, 2, 2, 3]}},
        {"class_name": "Dense", "config": {"name": "fc", "units": 4, "activation": "linear"}},
    ]
    graph = LegacyGraph({"name": "sequential", "layers": layers})
    assert graph.output(graph.outputs[0]).shape == (None, 4)
    assert [tuple(each.shape) for each in graph.inputs] == [(None, 2, 2, 3)]
    # As Sequential([network, ...]), which Keras 2 writes with an input.
    given = {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 12]}}
    inner = {"name": "inner", "layers": [given, layers[1]]}
    outer = [given, {"class_name": "Sequential", "config": inner}, layers[1]]
    graph = LegacyGraph({"name": "outer", "layers": outer})
    assert graph.output(graph.outputs[0]).shape == (None, 4)
    assert isinstance(graph.made["inner"], keras.Model)


def in_layer(name, **options):
    return lambda config, layers: layers[name]["config"].update(options)


def as_class(name, kind, **options):
    def change(config, layers):
        layers[name].update(class_name=kind)
        layers[name]["config"].update(options)

    return change


def cycle(config, layers):
    layers["add"]["inbound_nodes"][0][1] = ["leaky", 0, 0, {}]


def large_images(config, layers):
    layers["images"]["config"]["batch_input_shape"] = [None, 4096, 12, 3]
    config["output_layers"] = [["Conv", 0, 0]]


def two_outputs(config, layers):
    config["output_layers"] = [["embedding", 0, 0], ["flatten", 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (as_class("prelu", "elsewhere>Acon"), r"refused: its layer prelu is a elsewhere>Acon, and"),
        (as_class("prelu", "Lambda"), "refused: its layer prelu is a Lambda, and only plain"),
        (in_layer("shared", activation="os.system"), "shared has the activation os.system"),
        (in_layer("shared", activation={"class_name": "x"}), "shared has the activation {'class"),
        (in_layer("shared", kernel_size={"a": 1}), "refused: its layer shared has kernel_size"),
        (in_layer("Conv", data_format="channels_first"), "its layer Conv takes channels first"),
        (in_layer("Conv/BatchNorm", renorm=True), "Conv/BatchNorm is a batch renormalization"),
        (in_layer("shared", units=3), "can't be loaded as a model of Keras 2"),
        (in_layer("GDC_conv", filters=10**9), "GDC_conv wants a weight of 8,000,000,000 numbers"),
        (large_images, "images may have at most 2048 pixels"),
        (in_layer("tf.nn.relu6", function="io.write_file"), r"tf.nn.relu6 is TensorFlow's io\.wr"),
        (in_layer("pre_embedding", scale=True), r"pre_embedding a gamma of \[7\] is needed, and"),
        (in_layer("GDC_conv", filters=9), r"of \[1, 1, 8, 9\] is needed, and it holds one of \[1,"),
        (two_outputs, r"has 2 outputs \(embedding, flatten\): save a model of the embedding alone"),
        (cycle, "takes its own output"),
        (lambda config, layers: config["layers"].append(layers["add"]), "a layer with the name"),
        (lambda config, layers: config.update(layers=[]), "must have at most 3000 layers"),
        (lambda config, layers: [1], "can't be loaded as a model of Keras 2"),
    ],
)
def test_what_is_refused(changed, change, message):
    with pytest.raises(InputError, match=message) as error:
        load_legacy_h5(changed(change))
    assert "\n" not in str(error.value)


def external(file):
    file["model_weights/shared/outside"] = h5py.ExternalLink("/etc/passwd", "/")


def without_arrays(file):
    del file["model_weights/GDC_dw"]


def of_keras_3(file):
    file.attrs["keras_version"] = "3.15.0"


def as_array(file):
    file.attrs["model_config"] = np.zeros(3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (external, "outside' is an external link"),
        (without_arrays, "holds no weights of its layer GDC_dw"),
        (of_keras_3, r"a model of Keras 3\.15\.0: save it as \.keras"),
        (as_array, "its model_config is not a text"),
        (lambda file: file.attrs.__delitem__("model_config"), "holds no model but weights alone"),
        (lambda file: file.attrs.__setitem__("model_config", "[" * 99_999), "nested too deep"),
    ],
)
def test_files_that_hold_something_else(changed, arrays, message):
    with pytest.raises(InputError, match=message):
        load_legacy_h5(changed(unchanged, arrays))


def test_a_file_that_is_no_hdf5(tmp_path):
    (tmp_path / "net.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"net\.h5: can't be loaded as a model of Keras 2"):
        load_embedder(tmp_path / "net.h5")


def test_a_recipe_trains_on_from_it(tmp_path):
    part = f"model.backbone={{name: keras_file, path: {GIVEN}}}"
    more = ["model.neck.batch_norm=false", "model.embedding_size=null"]
    embedder = build_embedder(load_tiny(tmp_path, part, *more).model, (16, 12), tmp_path)
    np.testing.assert_allclose(run(embedder, PIXELS), EXPECTED, atol=1e-4)
    assert len(embedder.get_layer("backbone").trainable_weights) == 19


def test_a_part_of_it_is_a_backbone():
    backbone = BACKBONES["keras_file"](GIVEN, "both", image_size=(16, 12))
    assert backbone.network.name == "backbone"
    assert backbone.network.output_shape == (None, 8, 8, 8)
    assert backbone.input_normalization == "facenet"
    assert "GDC_conv" not in [layer.name for layer in backbone.network.layers]


def test_a_keras_file_is_a_backbone(tmp_path):
    network = load_legacy_h5(GIVEN)
    network.save(tmp_path / "net.keras")
    backbone = BACKBONES["keras_file"](tmp_path / "net.keras", image_size=(16, 12))
    assert backbone.input_normalization == "raw"
    np.testing.assert_allclose(run(backbone.network, IMAGES)[:, 0, 0], EXPECTED, atol=1e-5)


def test_as_weights_of_another_backbone_it_says_how_to_use_it(tmp_path):
    for name in ("mobilenet_v2", "plain_cnn"):
        part = f"model.backbone={{name: {name}, weights: {GIVEN}}}"
        with pytest.raises(InputError, match="name: keras_file, path: "):
            build_embedder(load_tiny(tmp_path, part).model, (32, 32), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (32, 32)}, r"takes \[\[None, 16, 12, 3\]\], and data.image_size is 32x32"),
        ({"until": "bot"}, "has no layer until: bot; did you mean 'both'"),
        ({"path": Path("missing.h5")}, r"keras_file: missing\.h5: no such file"),
        ({"path": Path("net.tflite")}, r"keras_file: net\.tflite: a TensorFlow Lite model can't"),
        (
            {"path": GIVEN.with_name("iresnet.onnx")},
            r"iresnet\.onnx: must be a \.keras or \.h5 file; weights in other formats are loaded",
        ),
        ({"weights": "imagenet"}, "keras_file has no 'imagenet' weights"),
    ],
)
def test_backbones_that_can_not_be_built(options, message):
    with pytest.raises(InputError, match=message):
        BACKBONES["keras_file"](**({"path": GIVEN, "image_size": (16, 12)} | options))
