"""Files of every format: the same model as before, or none at all."""

import ast
import hashlib
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import ModelT, TensorType
from PIL import Image

import tfface
from tests.exporting.made import SIZE, exporter, faces, images, network, pair_set
from tests.golden.comparison import Tolerance, differences
from tfface.errors import InputError, harmless
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.metadata import ModelMetadata
from tfface.evaluation.embedders.options import PixelInput
from tfface.exporting import exporter as exporter_module
from tfface.exporting.exporter import Exporter, ExportResult, check_export
from tfface.exporting.formats import FORMATS
from tfface.exporting.litert_model import _weights
from tfface.exporting.model_card import CardFacts, card, code
from tfface.exporting.options import ExportOptions

NAMES = {"onnx": "a.onnx", "litert": "a.tflite", "saved_model": "a", "openvino": "a.xml"}
NEEDS = {"openvino": "openvino"}
FORMAT_CASES = [
    pytest.param(name, marks=pytest.mark.slow) if name == "openvino" else name for name in FORMATS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def written() -> dict[str, ExportResult]:
    return {}


@pytest.fixture(params=FORMAT_CASES)
def exported(request, folder, written) -> ExportResult:
    """A file of each format, written once."""
    name = request.param
    pytest.importorskip(NEEDS.get(name, "keras"), reason=f"needs the extra {name}")
    if name not in written:
        written[name] = Exporter(
            network(), "small", ExportOptions(), faces(), pair_set=pair_set(), timing=False
        ).write(folder / NAMES[name], name)
    return written[name]


def test_a_file_is_the_same_model(exported):
    assert exported.parity.num_images == 5
    assert exported.parity.cosine_min > 0.99999
    assert exported.parity.relative_error < 1e-4
    embedder = load_embedder(exported.path, flip=False)
    expected = network().predict_on_batch(images(7, seed=9).astype(np.float32))
    np.testing.assert_allclose(embedder.embed(images(7, seed=9)), expected, rtol=1e-4, atol=1e-4)


def test_a_file_needs_no_options(exported):
    embedder = tfface.load_embedder(exported.path)
    assert embedder.image_size == SIZE
    assert embedder.embedder.metadata == exported.metadata
    # As for the model before: its images are stretched, not cropped.
    assert not embedder.keeps_aspect
    measured = tfface.evaluate_verification(embedder, pair_set(), check=False)
    before, after = exported.original.verification, exported.verification
    # Threads may add up in another order: the same to the last bits only.
    far = differences(after.to_dict(), measured.to_dict(), Tolerance(1e-6, 1e-6))
    assert not [difference for difference in far if difference.is_significant]
    assert before.accuracy == after.accuracy
    np.testing.assert_allclose(before.similarity, after.similarity, atol=1e-5)
    found = embedder.threshold()
    assert found.cosine == before.threshold.cosine
    assert found.source.startswith("the file's, measured on 40 pairs of 'blocks', accuracy ")
    assert embedder.thresholds == {"blocks": found.cosine}
    assert tfface.load_embedder(exported.path, flip=False).threshold().cosine is None


def test_options_that_contradict_a_file_are_errors(exported):
    with pytest.raises(InputError, match=r"the file itself says that it takes 0\.\.255 in RGB"):
        load_embedder(exported.path, pixels=PixelInput("bgr", 1, 0))
    same = load_embedder(exported.path, pixels=PixelInput("rgb", 1, 0), image_size=SIZE)
    assert same.image_size == SIZE
    with pytest.raises(InputError, match="the model takes images 12 pixels high, not 16"):
        load_embedder(exported.path, image_size=(16, 16))


def test_the_code_of_the_card_runs(exported, folder, monkeypatch):
    monkeypatch.chdir(folder)
    pictures = images(2)
    save_faces(pictures)
    text = exported.card.read_text(encoding="utf-8")
    [rest] = text.split("```python\n")[1:]
    lines = rest.partition("```")[0]
    names: dict = {}
    exec(lines, names)
    assert len(lines.splitlines()) <= 20
    # What the card's threshold is for.
    model, given = network(), pictures.astype(np.float32)
    expected = model.predict_on_batch(given) + model.predict_on_batch(given[:, :, ::-1])
    np.testing.assert_allclose(names["first"], expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(names["second"], expected[1], rtol=1e-4, atol=1e-4)
    assert names["cosine"] == pytest.approx(cosine(*expected), abs=1e-5)


def test_the_card_does_not_tell_where_the_data_lay(exported):
    sources = [{"path": "/home/ann/my photos"}, {"path": "~/faces"}, {"path": "lfw/images"}]
    facts = CardFacts(recipe={"data": {"of": sources, "batch_size": 32}})
    found = card("a.onnx", "onnx", exported.metadata, facts, {})["recipe"]["data"]
    assert [source["path"] for source in found["of"]] == ["my photos", "faces", "lfw/images"]
    assert found["batch_size"] == 32


def test_the_card_for_programs(exported):
    content = json.loads(exported.card.with_suffix(".json").read_text(encoding="utf-8"))
    assert content["file"] == exported.path.name
    assert content["threshold"]["pair_set"] == "blocks"
    assert content["parity"] == exported.parity.to_dict()
    assert content["verification"]["blocks"]["before"]["num_pairs"] == 40
    assert content["license"].startswith("not stated")
    if exported.path.is_file():
        sha256 = hashlib.sha256(exported.path.read_bytes()).hexdigest()
        assert content["sha256"] == sha256


def test_an_export_can_be_repeated(exported):
    """What it wrote itself is replaced; nothing else is left in the folder."""
    before = sorted(path.name for path in exported.path.parent.iterdir())
    if exported.format == "saved_model":
        exporter().write(exported.path)
        assert sorted(path.name for path in exported.path.parent.iterdir()) == before
    check(exported.path)


def test_all_options_together(tmp_path, monkeypatch):
    """What insightface's client takes, and more."""
    options = {
        "normalized": True,
        "flip": True,
        "batch_size": 2,
        "layout": "nchw",
        "input_range": "-1..1",
        "opset": 17,
    }
    result = exporter(**options).write(tmp_path / "a.onnx")
    import onnx
    import onnxruntime

    assert onnx.load(result.path).opset_import[0].version == 17
    session = onnxruntime.InferenceSession(result.path)
    assert session.get_inputs()[0].shape == [2, 3, *SIZE]
    assert session.get_inputs()[0].type == "tensor(float)"
    # Five images in batches of two, and no mirror images outside.
    embedder = tfface.load_embedder(result.path)
    given = images(5).astype(np.float32)
    model = network()
    expected = model.predict_on_batch(given) + model.predict_on_batch(given[:, :, ::-1])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder.embed(images(5)), expected, atol=1e-5)
    with pytest.raises(InputError, match="was exported with --flip"):
        load_embedder(result.path, flip=False)
    monkeypatch.chdir(tmp_path)
    save_faces(images(2))
    names: dict = {}
    exec(json.loads(Path("a.onnx.json").read_text(encoding="utf-8"))["code"], names)
    np.testing.assert_allclose(names["first"], expected[0], atol=1e-5)
    assert names["cosine"] == pytest.approx(expected[0] @ expected[1], abs=1e-5)


def save_faces(pictures: np.ndarray) -> None:
    """Writes the two faces that the code of a card compares."""
    for name, picture in zip(("face", "other"), pictures, strict=True):
        Image.fromarray(picture).save(f"{name}.png")


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return first @ second / np.linalg.norm(first) / np.linalg.norm(second)


@pytest.mark.parametrize("name", ["meine Läufe.onnx", "顔.onnx", 'it\'s "a".onnx', "a\u202eb.onnx"])
def test_the_code_of_the_card_names_the_file(name):
    """Readable where it can be, and always the same name."""
    metadata = ModelMetadata(
        tfface="0.1.0", model="a", image_size=SIZE, embedding_size=6, template=[(0, 0)] * 5
    )
    text = code(name, "onnx", metadata)
    [given] = re.findall(r"InferenceSession\((.*)\)$", text, re.MULTILINE)
    assert ast.literal_eval(given) == name
    assert text.isascii() == (not name.isprintable() or name.isascii())
    assert harmless(text) == text


def check(path, format=None, **options):
    check_export(path, format, ExportOptions(), **options)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_wrong_normalization_is_found_out(tmp_path, monkeypatch):
    right = exporter_module.export_network

    def wrong(model, options):
        darker = keras.Sequential(
            [keras.Input((*SIZE, 3)), keras.layers.Rescaling(0.25), model], name="wrong"
        )
        return right(darker, options)

    monkeypatch.setattr(exporter_module, "export_network", wrong)
    message = r"a\.onnx: the file differs from the model on 5 images \(blocks\): cosines from"
    with pytest.raises(InputError, match=message):
        exporter().write(tmp_path / "a.onnx")
    assert files_in(tmp_path) == []


def test_a_file_that_its_runtime_refuses_is_found_out(tmp_path):
    """Keras writes it without complaint."""
    layers = [keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(6, "gelu")]
    with pytest.raises(InputError, match=r"a\.onnx: can't be loaded as an ONNX model .*Erfc"):
        exporter(keras.Sequential(layers)).write(tmp_path / "a.onnx")
    assert files_in(tmp_path) == []


def test_a_failed_export_leaves_the_file_before(tmp_path):
    path = tmp_path / "a.onnx"
    exporter().write(path)
    before = path.read_bytes()
    bad = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Flatten()])
    bad.add(keras.layers.Dense(6, "gelu"))
    with pytest.raises(InputError, match="can't be loaded"):
        exporter(bad).write(path)
    assert path.read_bytes() == before
    assert files_in(tmp_path) == ["a.onnx", "a.onnx.json", "a.onnx.md"]


def test_what_can_not_be_converted_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"small: can't be converted to ONNX \("):
        exporter(opset=999).write(tmp_path / "a.onnx")
    assert files_in(tmp_path) == []


def test_a_file_of_others_in_a_saved_model_stays(tmp_path):
    """The whole folder is replaced."""
    exporter().write(tmp_path / "model")
    check(tmp_path / "model")
    (tmp_path / "model" / "variables" / "notes.txt").write_text("mine", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"contains variables/notes\.txt, which no"):
            check(tmp_path / "model", overwrite=overwrite)


@pytest.mark.parametrize("path", [".", "/"])
def test_a_path_without_a_name(path):
    with pytest.raises(InputError, match="has no name of its own"):
        check(Path(path), "saved_model")


def test_files_of_others_stay(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"somebody's model")
    with pytest.raises(InputError, match="is there already, and no export wrote it"):
        check(path)
    check(path, overwrite=True)
    path.unlink()
    (tmp_path / "a.onnx.md").write_text("notes", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.onnx\.md: is there already"):
        check(path)
    (tmp_path / "weights.bin").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"weights\.bin: is there already, without weights\.xml"):
        check(tmp_path / "weights.xml")
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="photos: is there already, and no export"):
        check(tmp_path / "photos", overwrite=True)
    with pytest.raises(InputError, match="photos: the suffix must be that of the format"):
        check(tmp_path / "photos", "onnx")


def test_half_precision_in_onnx(tmp_path):
    result = exporter(quantize="float16").write(tmp_path / "a.onnx")
    assert 0.999 <= result.parity.cosine_min <= 1
    assert result.metadata.precision == "float16"
    import onnx

    kinds = {one.data_type for one in onnx.load(result.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert load_embedder(result.path).embed(images(2)).dtype == np.float32


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["float16", "weights-int8", "int8"])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_quantized_litert(tmp_path, quantize, batch_size):
    layers = [keras.Input((*SIZE, 3)), keras.layers.Rescaling(1 / 127.5, -1.0)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(32)]
    model = keras.Sequential(layers, name="wide")
    made = exporter(model, quantize=quantize, batch_size=batch_size)
    result = made.write(tmp_path / "a.tflite")
    plain = exporter(model, batch_size=batch_size).write(tmp_path / "plain.tflite")
    assert result.parity.cosine_min >= (0.999 if quantize == "float16" else 0.99)
    # Weights are a part of so small a file.
    assert result.size_mb < plain.size_mb
    assert load_embedder(result.path).embed(images(4)).shape == (4, 32)


@pytest.mark.slow
@pytest.mark.parametrize("input_range", ["-1..1", "(x-127.5)/128", "0..1"])
def test_int8_of_pixels_in_any_range(tmp_path, input_range):
    layers = [keras.Input((*SIZE, 3)), keras.layers.Rescaling(1 / 127.5, -1.0)]
    # The pixels beside the image are zeros, and not those of the range.
    layers += [keras.layers.Conv2D(8, 3, padding="same", activation="relu")]
    layers += [keras.layers.Flatten(), keras.layers.Dense(32)]
    model = keras.Sequential(layers, name="padded")
    made = exporter(model, quantize="int8", input_range=input_range)
    assert made.write(tmp_path / "a.tflite").parity.cosine_min >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["weights-int8", "int8"])
@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 3, "flip": True, "layout": "nchw", "normalized": True}]
)
def test_first_layers_in_float32(tmp_path, quantize, options):
    """Large weights that cancel each other leave the others of their channel few of the 8 bits."""
    layers = [keras.Input((*SIZE, 3)), keras.layers.Rescaling(1 / 127.5, -1.0)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(32)]
    model = keras.Sequential(layers, name="wide")
    kernel, bias = model.layers[2].get_weights()
    # Two pixels of a block, which have the same color.
    kernel[0] += 100
    kernel[3] -= 100
    model.layers[2].set_weights([kernel, bias])
    with pytest.raises(InputError, match=r"written\. Try --float-layers 4"):
        exporter(model, quantize=quantize, **options).write(tmp_path / "a.tflite")
    made = exporter(model, quantize=quantize, float_layers=1, **options)
    result = made.write(tmp_path / "a.tflite")
    assert result.parity.cosine_min >= 0.99
    assert result.metadata.float_layers == 1
    assert f"in {quantize}, the first 1 of its layers in float32." in result.card.read_text("utf-8")
    content = ModelT.InitFromPackedBuf(result.path.read_bytes())
    assert [weights.type for weights in _weights(content)] == [TensorType.FLOAT32, TensorType.INT8]
    with pytest.raises(InputError, match=r"^--float-layers 2: must be less than 2, the number of"):
        exporter(model, quantize=quantize, float_layers=2).write(tmp_path / "b.tflite")


@pytest.mark.slow
def test_half_precision_in_openvino(tmp_path):
    pytest.importorskip("openvino", reason="needs the extra openvino")
    result = exporter(quantize="float16").write(tmp_path / "a.xml")
    assert result.parity.cosine_min >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.onnx", "a"])
def test_times(tmp_path, name):
    """In this process, and of TensorFlow's models in processes of their own."""
    model = network()
    model.save(tmp_path / "model.keras")
    made = Exporter(
        model, "small", ExportOptions(), faces(), path=tmp_path / "model.keras", timing=True
    )
    result = made.write(tmp_path / name)
    for file in (result, result.original):
        assert set(file.image_ms) == {1, 2}
        assert all(0 < ms < 1000 for ms in file.image_ms.values())
    text = result.card.read_text(encoding="utf-8")
    assert f"{result.image_ms[2]:.1f} ms an image with 2 threads." in text


def test_the_result_shows_a_table(tmp_path):
    result = exporter().write(tmp_path / "a")
    lines = str(result).splitlines()
    assert lines[0] == str(tmp_path / "a")
    assert lines[1].split()[:3] == ["Model", "Format", "Precision"]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["small", "keras", "float32"],
        ["small", "saved_model", "float32"],
    ]
    assert result.to_dict()["parity"]["num_images"] == 5
