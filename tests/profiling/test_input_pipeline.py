"""The input pipeline is measured and compared with baselines."""

import argparse
import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.cli.running import call_tool
from tests.data.small_faces import write_folder
from tests.reporting.plot_files import is_plot
from tests.training.recipes import TINY
from tfface.cli import benchmark as tool
from tfface.cli import benchmark_outputs
from tfface.data.pipeline.transform import decoder
from tfface.data.records.conversion import convert
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.tfrecord import DatasetSource
from tfface.errors import InputError
from tfface.images.decoding import decode
from tfface.profiling import baselines, input_pipeline
from tfface.profiling.input_pipeline import (
    ARCFACE_TF2,
    LIMIT,
    TORCH,
    Measurement,
    as_text,
    measure_input,
    rows,
    to_json,
)
from tfface.profiling.interleaved_timing import Timing
from tfface.recipe import load
from tfface.reporting.provenance import PROVENANCE
from tfface.training.registries import REGISTRIES

STAGES = {
    "random_crop": {"from_size": 40},
    "random_flip": {"probability": 0.5},
    "color_jitter": {"brightness": 0.1, "saturation": [0.6, 1.4], "contrast": 0.2, "hue": 0.0},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder that holds faces as images, and the same as a dataset."""
    root = tmp_path_factory.mktemp("data")
    write_folder(root / "faces", {"ann": 6, "bob": 8, "cleo": 9}, 32)
    convert([str(root / "faces")], root / "dataset", num_shards=2)
    return root


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def overrides(source, augment="[random_flip]"):
    return (f"data.train={source}", "data.image_size=32", f"data.augment={augment}")


@pytest.mark.slow
def test_stages_and_baselines_are_measured(data, recipe):
    augment = "[{random_crop: {from_size: 40}}, random_flip, {color_jitter: {brightness: 0.1}}]"
    loaded = load(recipe, REGISTRIES, overrides("{source: tfrecord, path: dataset}", augment))
    said = []
    measured = measure_input(loaded, data, num_images=20, num_runs=2, say=said.append)
    assert measured.stages == [
        *("records", "parse", "shuffle and batch", "decode"),
        *("random_crop", "random_flip", "color_jitter", "transfer"),
    ]
    # Batches of 8, and whole ones only.
    assert measured.num_images == 16
    found = {row["name"]: row for row in to_json(measured)}
    assert list(found)[: len(measured.stages) + 2] == [*measured.stages, LIMIT, ARCFACE_TF2]
    assert (TORCH in found) == baselines.is_torch_installed()
    for row in found.values():
        rates = row["images_per_second"]
        assert 0 < rates["min"] <= rates["median"] <= rates["max"]
        assert row["share_of_limit"] > 0
        assert row["times_plain"] > 0
    assert found[LIMIT]["share_of_limit"] == found[ARCFACE_TF2]["times_plain"] == 1
    assert ", 16 images each" in said[0]
    assert as_text(measured).splitlines()[-1].endswith(" times as fast as one as in arcface-tf2")


@pytest.mark.slow
def test_augmentations_that_baselines_lack_are_reported(data, recipe):
    loaded = load(
        recipe,
        REGISTRIES,
        overrides("{source: folder, path: faces}", "[random_flip, random_grayscale, random_flip]"),
    )
    measured = measure_input(loaded, data, num_images=1, num_runs=1)
    # A folder has no records; and the same twice has two names.
    assert measured.stages == [
        *("shuffle and batch", "decode", "random_flip 1", "random_grayscale", "random_flip 2"),
        "transfer",
    ]
    assert ARCFACE_TF2 not in measured.timings
    assert all(row["times_plain"] is None for row in to_json(measured))
    assert "not compared with baselines, which lack random_grayscale" in as_text(measured)


def test_results_come_from_the_timings():
    timings = {
        "parse": Timing((1.0, 1.0, 2.0), 1.0),
        "decode": Timing((4.0, 5.0, 6.0), 4.0),
        LIMIT: Timing((2.0, 2.5, 6.0), 2.0),
        ARCFACE_TF2: Timing((8.0, 20.0, 12.0), 8.0),
    }
    measured = Measurement(timings, ["parse", "decode"], 100, 10, None)
    row = to_json(measured)[1]
    assert row["images_per_second"] == {"min": 100 / 6, "median": 20.0, "max": 25.0}
    assert row["share_of_limit"] == 0.5
    assert row["times_plain"] == 2.0
    assert measured.stage_costs() == pytest.approx({"parse": 0.01, "decode": 0.04})
    row = rows(measured)[1]
    assert row["stage_cost_us"] == pytest.approx(40_000)
    assert (row["baseline"], row["speedup"]) == (ARCFACE_TF2, 2.0)
    assert (row["images_per_s"], row["images_per_s_max"]) == (20.0, 25.0)
    assert rows(measured)[2]["stage_cost_us"] is None
    assert as_text(measured).splitlines()[-1] == (
        "decode takes the most time, 80%; the whole pipeline is 0.50 times as fast as parsing and "
        "decoding alone and 2.00 times as fast as one as in arcface-tf2"
    )


def test_decoding_alone_decodes_every_image(tmp_path):
    root = write_folder(tmp_path / "faces", {"ann": 4, "bob": 5})
    (root / "ann/1.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(input_pipeline._decode_only(FolderSource(root), decoder((16, 16)), 3, 3))


@pytest.mark.parametrize("kind", ["folder", "dataset"])
def test_decoding_alone_gives_the_pixels_of_the_pipeline(data, kind):
    source = FolderSource(data / "faces") if kind == "folder" else DatasetSource(data / "dataset")
    batches = list(input_pipeline._decode_only(source, decoder((32, 32)), 4, 2))
    assert [images.shape for images in batches] == [(4, 32, 32, 3)] * 2
    images = np.concatenate(batches)
    for number in range(8):
        np.testing.assert_array_equal(images[number], decode(source.read(number).encoded, 32, 32))


@pytest.mark.parametrize("kind", [pytest.param("folder", marks=pytest.mark.slow), "dataset"])
def test_baseline_batches_hold_the_images_with_their_labels(data, kind):
    source = FolderSource(data / "faces") if kind == "folder" else DatasetSource(data / "dataset")
    batches = list(baselines.arcface_tf2_batches(source, (32, 32), 4, {}).take(5))
    assert [images.shape for (images, _), _ in batches] == [(4, 32, 32, 3)] * 5
    known = {
        tf.io.decode_jpeg(source.read(index).encoded, channels=3).numpy().tobytes(): label
        for index, label in enumerate(source.labels)
    }
    for (images, _), labels in batches:
        for image, label in zip(images.numpy(), labels.numpy(), strict=True):
            pixels = np.round(255 * image).astype(np.uint8)
            if pixels.tobytes() in known:
                assert known[pixels.tobytes()] == label
    (changed, _), _ = next(iter(baselines.arcface_tf2_batches(source, (32, 32), 4, STAGES)))
    assert changed.shape == (4, 32, 32, 3)


def test_pillow_images_are_cropped_and_jittered(data):
    source = DatasetSource(data / "dataset")
    images = baselines.PillowImages(source, (32, 32), STAGES)
    assert len(images) == 23
    image, label = images[4]
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    assert label == source.labels[4]
    assert (images[4][0] != image).any()


def test_unknown_options_are_unsupported():
    assert baselines.unsupported_augmentation(STAGES) is None
    assert baselines.unsupported_augmentation({"color_jitter": {"hue": 0.1}}) == "color_jitter: hue"
    assert baselines.unsupported_augmentation({"mixup": {}}) == "mixup"


def test_the_tool_writes_rows_and_a_plot(data, recipe, tmp_path, capsys):
    outputs = [tmp_path / name for name in ("rates.json", "plots", "rates.csv")]
    changes = overrides("{source: tfrecord, path: dataset}")
    tool.main(
        [
            *("pipeline", str(recipe), "--data-dir", str(data), "--runs", "1", "--num-images", "8"),
            *[word for change in changes for word in ("--set", change)],
            *("--json", str(outputs[0]), "--plots", str(outputs[1]), "--results", str(outputs[2])),
        ]
    )
    written = json.loads(outputs[0].read_text(encoding="utf-8"))
    assert written[0]["name"] == "records"
    assert all(row["images_per_second"].keys() == {"min", "median", "max"} for row in written)
    assert is_plot(outputs[1] / "pipeline.png")
    there = {"json": outputs[0], "plots": outputs[1], "overwrite": False}
    # Which it may replace.
    benchmark_outputs.check(argparse.Namespace(**there), "pipeline")
    outputs[0].write_text('[\n  {\n    "name": "mine"\n  }\n]\n')
    with pytest.raises(InputError, match=r"rates\.json: is there already, and is not what this to"):
        benchmark_outputs.check(argparse.Namespace(**there), "pipeline")
    with outputs[2].open(encoding="utf-8") as file:
        results = list(csv.DictReader(file))
    assert [row["pipeline_stage"] for row in results] == [row["name"] for row in written]
    assert [*results[0]][-7:] == ["backend", *PROVENANCE]
    assert "takes the most time" in capsys.readouterr().out


def test_a_bad_recipe_is_one_line(recipe, tmp_path):
    done = call_tool(tool.main, "pipeline", recipe, "--set", "data.batch_sizes=8")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "batch_sizes" in done.stderr
    change = "data.train={source: tfrecord, path: gone}"
    with pytest.raises(InputError, match="gone"):
        tool.main(["pipeline", str(recipe), "--data-dir", str(tmp_path), "--set", change])
