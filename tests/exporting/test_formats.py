"""Which formats there are, and what each can do."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.exporting import made
from tests.exporting.made import SIZE, images, network
from tfface.errors import InputError
from tfface.exporting.faces import faces_of, synthetic_faces
from tfface.exporting.formats import FORMATS, check_options, find_format
from tfface.exporting.graph import export_network, in_float32, normalization_inside
from tfface.exporting.litert_model import _batches
from tfface.exporting.options import ExportOptions


@pytest.mark.parametrize(
    ("path", "name", "found"),
    [
        ("a.onnx", None, "onnx"),
        ("a.ONNX", "onnx", "onnx"),
        ("a.tflite", None, "litert"),
        ("a.xml", None, "openvino"),
        ("a", None, "saved_model"),
        ("a.v2", "saved_model", "saved_model"),
    ],
)
def test_the_suffix_is_the_format(path, name, found):
    assert find_format(Path(path), name) == found


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("a.pb", None, r"a\.pb: the suffix must be that of the format: \.onnx for onnx"),
        ("a.onnx", "litert", "the suffix must be that of the format"),
        ("a.keras", "saved_model", "the suffix must be that of the format"),
        ("a.onnx", "tflite", "format 'tflite': must be one of onnx, litert, saved_model, openvino"),
    ],
)
def test_other_suffixes(path, name, message):
    with pytest.raises(InputError, match=message):
        find_format(Path(path), name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("onnx", {"quantize": "int8"}, "--quantize int8: not for ONNX; it is for litert"),
        ("saved_model", {"quantize": "float16"}, "it is for onnx, litert, openvino"),
        ("litert", {"opset": 17}, "--opset is for onnx alone, not for LiteRT"),
    ],
)
def test_what_a_format_has_not(name, options, message):
    with pytest.raises(InputError, match=message):
        check_options(name, ExportOptions(**options))


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_has(name):
    for quantize in (None, *FORMATS[name].quantizations):
        check_options(name, ExportOptions(quantize=quantize))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "chw"}, "layout 'chw': must be one of 'nhwc', 'nchw'"),
        ({"quantize": "int4"}, "quantize 'int4': must be one of None, 'float16'"),
        ({"batch_size": 0}, "batch_size 0: must be 1 or more"),
        ({"float_layers": -1, "quantize": "int8"}, "float_layers must be a whole number of 0"),
        ({"float_layers": 1}, "--float-layers: only for --quantize int8 or weights-int8"),
        ({"float_layers": 1, "quantize": "float16"}, "--float-layers: only for"),
        ({"input_range": "1..0"}, "--input-range"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        ExportOptions(**options)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("input_range", [None, "(x-127.5)/128"])
def test_the_network_takes_what_the_options_say(layout, input_range):
    options = ExportOptions(layout=layout, input_range=input_range)
    model = export_network(network(), options)
    given = images(3) if input_range is None else options.pixels.apply(images(3))
    if layout == "nchw":
        given = given.transpose(0, 3, 1, 2)
    assert model.inputs[0].dtype == ("uint8" if input_range is None else "float32")
    expected = network().predict_on_batch(images(3).astype(np.float32))
    np.testing.assert_allclose(model.predict_on_batch(given), expected, rtol=1e-4, atol=1e-4)


def test_a_blank_embedding_is_not_divided_by_zero():
    model = network()
    model.layers[-1].set_weights([np.zeros_like(w) for w in model.layers[-1].get_weights()])
    found = export_network(model, ExportOptions(normalized=True)).predict_on_batch(images(2))
    assert (found == 0).all()


def test_mixed_precision_becomes_float32():
    """No converter knows bfloat16."""
    config = network().get_config()
    for layer in config["layers"][2:]:
        layer["config"]["dtype"] = "mixed_bfloat16"
    mixed = keras.Sequential.from_config(config)
    mixed.set_weights(network().get_weights())
    assert mixed.compute_dtype == "float32" != mixed.layers[1].compute_dtype
    given = images(3).astype(np.float32)
    expected = network().predict_on_batch(given)
    found = in_float32(mixed).predict_on_batch(given)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(mixed.predict_on_batch(given) - expected).max() > 1e-3
    model = network()
    assert in_float32(model) is model


def test_normalization_inside():
    scale, offset = normalization_inside(network())
    assert scale == pytest.approx([1 / 127.5] * 3)
    assert offset == (-1, -1, -1)
    assert normalization_inside(export_network(network(), ExportOptions())) is None


@pytest.mark.parametrize(("count", "size", "batches"), [(5, 2, 3), (1, 4, 1), (6, 3, 2)])
def test_batches_to_calibrate_on_are_full(count, size, batches):
    found = _batches(images(count), size)
    assert [len(batch) for batch in found] == [size] * batches
    np.testing.assert_array_equal(np.concatenate(found)[:count], images(count))


def test_no_image_is_both_calibrated_on_and_compared():
    pairs = made.pair_set()
    for count in (2, 5, 40):
        found = faces_of(
            pairs.images[:count],
            pairs.image_names[:count],
            "blocks",
            SIZE,
            num_compared=8,
            calibrate=True,
        )
        assert 1 <= len(found.compared) <= 8
        assert len(found.compared) + len(found.calibration) == count
        both = np.concatenate([found.compared, found.calibration])
        assert len(np.unique(both, axis=0)) == len(both)
    with pytest.raises(InputError, match="blocks: 1 images are too few to calibrate and compare"):
        faces_of(pairs.images[:1], ["0.png"], "blocks", SIZE, num_compared=8, calibrate=True)


def test_synthetic_faces_have_the_size():
    found = synthetic_faces((20, 16), num_compared=3, calibrate=False)
    assert found.compared.shape == (3, 20, 16, 3)
    assert len(found.calibration) == 0
