"""What an earlier version began, the one of today ends; what it finished, it builds on."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.compatibility.facts import names_in
from tests.compatibility.interface import InputError, backend, dataset_content, said, weights
from tests.compatibility.versions import expected


def train(old, run, *options) -> str:
    return said("train", old / "recipe.yaml", "--data-dir", old, "--run-dir", run, *options)


def epochs(run) -> list[dict]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if "epoch" in record]


def content(folder) -> dict:
    """The bytes and the time of change of all files."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_near(found, wanted, tolerance):
    """Compares arrays by the largest value of each, for weights near 0 say little."""
    for one, other in zip(found, wanted, strict=True):
        largest = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * largest)


# ------------------------------------------------------------------------------------------ runs


def test_a_finished_run_is_left_as_it_is(old):
    before = content(old / "finished_run")
    assert "finished" in train(old, old / "finished_run")
    assert content(old / "finished_run") == before


def test_an_interrupted_run_ends_like_one_that_was_not(old):
    run = old / "interrupted_run"
    begun_on = json.loads((run / "environment.json").read_text())["backend"]
    if begun_on != backend():
        pytest.skip(f"the run was begun on {begun_on}, whose random numbers are others")
    before = epochs(run)
    assert len(before) == 3
    train(old, run, "--resume")
    after, wanted = epochs(run), epochs(old / "finished_run")
    # With their seconds: nothing was done again.
    assert after[: len(before)] == before
    assert [record["epoch"] for record in after] == [record["epoch"] for record in wanted]
    for name in ("loss", "val_loss", "learning_rate"):
        assert_near([[epoch[name] for epoch in after]], [[epoch[name] for epoch in wanted]], 1e-4)
    # Processors round differently, and what they do differs more with every step.
    assert_near(weights(run), weights(old / "finished_run"), 1e-4)


def test_a_new_run_starts_from_a_finished_one(old):
    """With no learning to speak of, so that it ends with what it began with."""
    stage = "{name: all, epochs: 1, optimizer: {name: sgd, learning_rate: 1.0e-12}}"
    run = old / "new_run"
    train(
        old,
        run,
        *("--set", "model.init_from=finished_run"),
        *("--set", f"training.stages=[{stage}]"),
        *("--set", "data.cache=none"),
    )
    assert_near(
        weights(run, trainable_only=True), weights(old / "finished_run", trainable_only=True), 1e-6
    )


# -------------------------------------------------------------------------------------- datasets


def test_a_dataset_is_merged_with_another(old, tmp_path):
    said(
        "convert_tfrecord",
        f"old={old / 'faces'}",
        f"new={old / 'queries'}",
        *("--output", tmp_path / "merged"),
    )
    before, merged = dataset_content(old / "faces"), dataset_content(tmp_path / "merged")
    assert merged["num_images"] == before["num_images"] + 3
    assert merged["identities"] == [
        *([name, "old"] for name, _ in before["identities"]),
        *([name, "new"] for name in ("person03", "person11", "stranger")),
    ]
    assert people_and_poses(merged) >= people_and_poses(before)


def people_and_poses(dataset) -> set[tuple[str, str, str]]:
    names = [dataset["identities"][label][0] for label in dataset["labels"]]
    return set(zip(dataset["images"], names, dataset["attributes"]["pose"], strict=True))


def test_a_begun_conversion_is_ended(old):
    output = old / "begun_conversion"
    before = content(output)
    shards = {path for path in before if path.suffix == ".tfrecord"}
    assert len(shards) == 2
    options = ("--shards", 4, "--seed", 1, "--output", output)
    said("convert_tfrecord", old / "faces", *options)
    after = content(output)
    assert all(after[path] == before[path] for path in shards)
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.glob("*.tfrecord")
    }
    assert found == expected(old)["conversion"]
    assert dataset_content(output)["num_images"] == 80


# ------------------------------------------------------------------------------------- galleries


def test_a_gallery_is_changed(old):
    gallery, model = old / "gallery", old / "finished_run"
    picture = old / "queries/stranger/new.png"
    before = names_in(gallery)
    said("gallery", "add", model, picture, "--name", "Ann", "--gallery", gallery, "--no-check")
    # It knows its images again.
    said("gallery", "add", model, old / "faces", "--gallery", gallery, "--no-check")
    assert names_in(gallery) == {**before, "Ann": 1}
    said("gallery", "remove", "person03", "--gallery", gallery)
    del before["person03"]
    assert names_in(gallery) == {**before, "Ann": 1}
    json_file = old / "answer.json"
    said(
        *("gallery", "query", model, picture, "--aligned"),
        *("--gallery", gallery, "--json", json_file),
    )
    [answer] = json.loads(json_file.read_text())["queries"]
    assert answer["name"] == "Ann"
    assert answer["candidates"][0]["cosine"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", [["pixels"], ["finished_run", "--no-flip"]])
def test_a_gallery_refuses_another_model(old, model, monkeypatch):
    monkeypatch.chdir(old)
    with pytest.raises(InputError, match="can't be compared"):
        said("gallery", "query", *model, "queries", "--gallery", "gallery")


# ------------------------------------------------------------------------------------ alignments


def test_a_finished_alignment_is_left_as_it_is(old):
    before = content(old / "aligned")
    said("align_faces", old / "photos", old / "aligned")
    assert content(old / "aligned") == before


def test_an_alignment_goes_on_with_a_new_photo(old):
    aligned = old / "aligned"
    before = content(aligned)
    Image.new("RGB", (40, 40)).save(old / "photos" / "nobody.png")
    said("align_faces", old / "photos", aligned)
    assert content(aligned)[Path("face.jpg")] == before[Path("face.jpg")]
    with (aligned / "report.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photo"], row["output"]) for row in rows] == [
        ("face.jpg", "face.jpg"),
        ("nobody.png", ""),
    ]


def test_an_alignment_refuses_other_options(old):
    with pytest.raises(InputError, match="other options"):
        said("align_faces", old / "photos", old / "aligned", "--size", 96)
