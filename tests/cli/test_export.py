"""`tfface export`: files, table, JSON and results; one line where something is wrong."""

import csv
import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from tests.cli.running import call_tool
from tests.exporting.made import network
from tfface.cli import export
from tfface.exporting.formats import FORMATS
from tfface.exporting.options import QUANTIZATIONS
from tfface.output_paths import check_replaceable, json_mark


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.keras"
    network().save(path)
    return path


def test_words_of_the_command_are_those_of_the_library():
    """It answers --help before the library is imported."""
    assert list(export._ENDS) == list(FORMATS)
    assert export._QUANTIZATIONS == QUANTIZATIONS
    assert all(end.endswith(FORMATS[name].suffix) for name, end in export._ENDS.items())


def test_two_formats(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call_tool(
        export.main,
        *(model, "--format", "onnx", "saved_model", "--num-images", 3, "--no-timing"),
        *("--json", "figures.json", "--results", "export.csv", "--label", "small one"),
        *("--license", "CC BY 4.0"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = ["exports/small.onnx", "exports/small_saved_model"]
    assert done.stdout.splitlines()[-2:] == written
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["original"]["format"] == "keras"
    assert [one["path"] for one in figures["exports"]] == written
    assert all(one["parity"]["num_images"] == 3 for one in figures["exports"])
    # Another export may replace it.
    check_replaceable(Path("figures.json"), json_mark(*export._JSON_LINES), overwrite=False)
    with (tmp_path / "export.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["format"] for row in rows] == ["keras", "onnx", "saved_model"]
    assert {row["model"] for row in rows} == {"small one"}
    assert all(float(row["model_mb"]) > 0 for row in rows)
    card = (tmp_path / "exports" / "small.onnx.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: small\n")
    assert "CC BY 4.0" in card
    assert "3 images (synthetic faces)" in card
    again = call_tool(
        export.main,
        *(written[0], "--format", "onnx"),
    )
    assert again.returncode == 2
    assert "only models of Keras can be exported" in again.stderr


@pytest.mark.parametrize(
    ("formats", "output", "expected"),
    [
        ([], "a.onnx", ["a.onnx"]),
        (["onnx"], "a.onnx", ["a.onnx"]),
        (["onnx"], None, ["exports/small.onnx"]),
        (["litert"], "out", ["out/small.tflite"]),
        (["litert", "litert"], "out", ["out/small.tflite"]),
        (["onnx", "saved_model"], "out", ["out/small.onnx", "out/small_saved_model"]),
        (["saved_model"], "out", ["out"]),
        (["openvino"], "a.onnx", ["a.onnx"]),
    ],
)
def test_paths(formats, output, expected):
    output = None if output is None else Path(output)
    options = Namespace(format=formats, output=output, quantize=None)
    assert [str(path) for path, _ in export._paths(options, "small")] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --format, one or more of onnx, litert, saved_model, openvino, or --output"),
        (["--output", "a.pb"], "a.pb: the suffix must be that of the format"),
        (["--output", "a.tflite", "--opset", 17], "--opset is for onnx alone, not for LiteRT"),
        (["--output", "a.onnx", "--quantize", "int8"], "--quantize int8: not for ONNX"),
        (["--output", "a.tflite", "--float-layers", 4], "--float-layers: only for --quantize int8"),
        (
            ["--output", "a.onnx", "--calibration", "faces"],
            "calibration: only for quantize='int8' (--quantize int8)",
        ),
        (["--output", "a.onnx", "--pairs", "no.csv"], "no.csv"),
        (
            ["--output", "a.onnx", "--json", "a.onnx.json"],
            "--json and the .json file of a.onnx are both a.onnx.json",
        ),
        (["--output", "a.onnx", "--format", "onnx", "litert"], "give a folder for 2 formats"),
        (["--output", "a.onnx", "--input-range", "1..-1"], "--input-range 1..-1: expected"),
    ],
)
def test_mistakes_are_one_line(model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = call_tool(export.main, model, "--num-images", 1, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_found_before_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    Path("a.keras").write_text("loading it would fail", encoding="utf-8")
    done = call_tool(export.main, "a.keras", "--format", "saved_model", "onnx")
    assert done.returncode == 2
    assert "onnx is not installed" in done.stderr
    assert "pip install 'tfface[export]'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_a_missing_package_of_a_suffix_is_found_before_anything_is_written(
    model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = call_tool(export.main, model, "--output", "new/a.onnx")
    assert done.returncode == 2
    assert "pip install 'tfface[export]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
