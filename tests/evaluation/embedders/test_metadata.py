"""What files say of themselves, also damaged ones."""

from pathlib import Path

import numpy as np
import pytest

from tests.exporting.made import exporter
from tfface.errors import InputError
from tfface.evaluation.embedders.metadata import KEY, parse_metadata
from tfface.evaluation.embedders.tflite_model import _entry

PATH = Path("a.onnx")


@pytest.fixture(scope="module")
def text() -> str:
    return exporter(input_range="-1..1").metadata.model_dump_json()


def test_what_is_written_is_read(text):
    assert parse_metadata(text, PATH) == exporter(input_range="-1..1").metadata
    assert parse_metadata(text, PATH).pixels.range == "-1..1"
    assert parse_metadata(None, PATH) is None


def test_a_later_version_may_say_more(text):
    more = text.replace("{", '{"color":"warm",', 1)
    assert parse_metadata(more, PATH) == parse_metadata(text, PATH)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"layout":"nhwc"', '"layout":"chwn"', "layout: Input should be 'nhwc' or 'nchw'"),
        ('"image_size":[12,10]', '"image_size":[12]', "image_size.1: Field required"),
        ('"input_range":"-1..1"', '"input_range":"1..-1"', "--input-range"),
        ("{", "", "Invalid JSON"),
        ("}", " " * 70_000 + "}", "it is too long"),
    ],
)
def test_damage_is_one_line(text, old, new, message):
    damaged = text.replace(old, new, 1)
    assert damaged != text
    with pytest.raises(InputError, match=rf"a\.onnx: its entry 'tfface' is damaged \({message}"):
        parse_metadata(damaged, PATH)


def test_damaged_litert_files(tmp_path):
    """The schema's reader believes what it reads, and raises what it likes."""
    from tfface.exporting.litert_model import _with_metadata

    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes, model.subgraphs = [], []
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    whole = _with_metadata(bytes(builder.Output()), "some text")
    path = tmp_path / "a.tflite"
    path.write_bytes(whole)
    assert _entry(path, KEY) == "some text"
    assert _entry(path, "other") is None
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(len(damaged), size=4)] = rng.integers(256, size=4)
        path.write_bytes(damaged.tobytes())
        try:
            outcomes.add(type(_entry(path, KEY)))
        except InputError:
            outcomes.add(InputError)
    assert outcomes == {str, type(None), InputError}
