"""`.keras` files of anybody: loaded as Keras does, or refused in a line."""

import copy
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from tests.fuzz.samples import network_with_code, small_network
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.backbones.weights.loading import load_weights
from tfface.errors import InputError


@pytest.fixture
def path(tmp_path):
    small_network().save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def rewrite(path, change=None, weights=None, kind=zipfile.ZIP_STORED, **more):
    """Writes a `.keras` file anew.

    Args:
        change: given config.json, changes it.
        weights: the new bytes of model.weights.h5.
        more: further entries.
    """
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        config = json.loads(entries["config.json"])
        change(config)
        entries["config.json"] = json.dumps(config)
    if weights is not None:
        entries["model.weights.h5"] = weights
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in {**entries, **more}.items():
            archive.writestr(name, content)


def layer(config, class_name):
    return next(one for one in config["config"]["layers"] if one["class_name"] == class_name)


def test_what_keras_saves_is_loaded(path):
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 12, 3)).astype(np.float32)
    expected = keras.saving.load_model(path)(images)
    np.testing.assert_array_equal(load_keras_file(path)(images), expected)


def test_a_lambda_is_refused_and_why(tmp_path):
    network_with_code().save(tmp_path / "code.keras")
    expected = (
        r"code\.keras: refused: it contains code .* type Lambda is code; .* from plain layers$"
    )
    with pytest.raises(InputError, match=expected):
        load_keras_file(tmp_path / "code.keras")


@pytest.mark.parametrize(
    "part",
    [
        {"class_name": "system", "module": "os", "config": {}},
        {"class_name": "function", "module": "os", "config": "system"},
        {"class_name": "Image", "module": "keras_cv.layers", "config": {}},
        {"class_name": "get_file", "module": "keras.utils", "config": {}},
        {"class_name": "x", "module": ["keras.layers"], "config": {}},
    ],
)
def test_other_modules_are_not_imported(path, part):
    rewrite(path, lambda config: layer(config, "Dense")["config"].update(kernel_initializer=part))
    with pytest.raises(InputError, match=r"refused: it asks for .*, which is not a layer of Keras"):
        load_keras_file(path)


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper", "StringLookup", "JaxLayer"])
def test_layers_that_need_what_is_elsewhere_are_refused(path, kind):
    rewrite(path, lambda config: layer(config, "Dense").update(class_name=kind))
    with pytest.raises(InputError, match=rf"refused: it contains code or needs .* type {kind} is"):
        load_keras_file(path)


def test_weights_that_the_file_does_not_hold_are_not_made(path):
    rewrite(path, lambda config: layer(config, "Dense")["config"].update(units=10**12))
    with pytest.raises(
        InputError, match=r"refused: its layer dense\w* wants a weight of 4,000,000,"
    ):
        load_keras_file(path)


def test_what_layers_make_of_images_is_of_plausible_size(tmp_path):
    inputs = keras.Input((16, 12, 3))
    features = keras.layers.UpSampling2D(3000)(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(features)
    keras.Model(inputs, outputs).save(tmp_path / "net.keras")
    with pytest.raises(InputError, match=r"outputs 5,184,000,000 values for each image; at most"):
        load_keras_file(tmp_path / "net.keras")


def gate(features):
    """Many branches of one tensor that are all needed at the end."""
    branches = [keras.layers.UpSampling2D(8)(features) for _ in range(40)]
    return keras.layers.Add()(branches)


def attend(features):
    places = keras.layers.Reshape((-1, 3))(features)
    return keras.layers.MultiHeadAttention(16, 1)(places, places)


@pytest.mark.parametrize(
    ("side", "build", "message"),
    [
        (1024, keras.layers.UpSampling2D(8), "outputs 201,326,592 values for each image; at most"),
        (2048, keras.layers.Conv2D(40, 3), "outputs 167,444,640 values for each image; at most"),
        (300, gate, r"its layers need 70\d,\d+,\d+ values in memory for each image"),
        (256, attend, r"its layers need 68,719,\d+,\d+ values in memory for each image"),
    ],
)
def test_layers_that_hold_too_much_together_are_refused(tmp_path, side, build, message):
    inputs = keras.Input((side, side, 3))
    rows = keras.layers.Reshape((-1, 1))(build(inputs))
    outputs = keras.layers.Flatten()(keras.layers.MaxPooling1D(rows.shape[1])(rows))
    keras.Model(inputs, outputs).save(tmp_path / "net.keras")
    with pytest.raises(InputError, match=f"refused: .*{message}"):
        load_keras_file(tmp_path / "net.keras")


def test_large_images_are_refused(tmp_path):
    inputs = keras.Input((100_000, 100_000, 3))
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)).save(tmp_path / "net.keras")
    with pytest.raises(
        InputError, match=r"refused: it takes .* images may have at most 2048 pixels"
    ):
        load_keras_file(tmp_path / "net.keras")


def test_deep_models_are_refused(path):
    def nest(config):
        inner = copy.deepcopy(layer(config, "Functional"))
        for _ in range(100):
            inner = {"class_name": "Sequential", "module": "keras", "config": {"layers": [inner]}}
        layer(config, "Functional").update(config={"layers": [inner]})

    rewrite(path, nest)
    with pytest.raises(InputError, match="nested more than 200 deep"):
        load_keras_file(path)
    rewrite(path, **{"config.json": '{"a":' * 100_000 + "1" + "}" * 100_000})
    with pytest.raises(InputError, match="can't be loaded as a Keras model"):
        load_keras_file(path)


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil", "assets/list.txt"])
def test_other_entries_are_refused(path, name):
    rewrite(path, **{name: "x"})
    with pytest.raises(InputError, match=f"refused: it contains the file '{name}'"):
        load_keras_file(path)


def test_a_bomb_is_refused(path):
    rewrite(path, weights=bytes(1 << 26), kind=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="is compressed or encrypted, which such files never are"):
        load_keras_file(path)


@pytest.fixture
def weights(tmp_path):
    small_network().save_weights(tmp_path / "net.weights.h5")
    return tmp_path / "net.weights.h5"


def link(file):
    file["layers/dense/link"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file):
    file["layers/dense/link"] = h5py.SoftLink("/layers")


def external(file):
    file.create_dataset("a", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "a", (4,))
    file.create_virtual_dataset("a", layout)


def ring(file):
    file["layers/dense/ring"] = file["/"]


def claim(file):
    file.create_dataset("a", (2**40,), "f4")


def bomb(file):
    file.create_dataset("a", (1 << 24,), "f4", compression="gzip", data=np.zeros(1 << 24))


def text(file):
    file.create_dataset("a", (2,), h5py.string_dtype())


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (link, "is an external link"),
        (soft, "is an external link"),
        (external, "lies in another file"),
        (virtual, "lies in another file"),
        (ring, "twice, again"),
        (claim, "declares 4,398,046,511,104 bytes, but 0 are stored"),
        (bomb, "is chunked or compressed"),
        (text, "is not an array of numbers"),
    ],
)
def test_weights_are_arrays_of_the_file_and_nothing_else(path, weights, change, reason, kind):
    with h5py.File(weights, "r+") as file:
        change(file)
    if kind == "keras":
        rewrite(path, weights=weights.read_bytes())
        with pytest.raises(InputError, match=reason):
            load_keras_file(path)
    else:
        with pytest.raises(InputError, match=reason):
            load_weights(small_network(), weights)
