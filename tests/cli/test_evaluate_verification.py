"""tools/eval_verification.py as its users call it."""

import contextlib
import json
import sqlite3
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.cli.running import run_tool
from tests.data.pairs.made_folder import write_folder
from tests.reporting.page_parser import read_page
from tests.training.recipes import TINY
from tfface.cli import evaluate_verification as verification
from tfface.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "eval_verification.py"
run = partial(run_tool, TOOL)


@pytest.fixture(scope="module")
def lfw(tmp_path_factory):
    """A folder like LFW's: 12 people with two pictures each, and 20 pairs in 10 folds."""
    folder = tmp_path_factory.mktemp("lfw")
    rng = np.random.default_rng(0)
    for person in range(12):
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((5, 5, 1)))
        for number in (1, 2):
            file = folder / "images" / f"P{person}" / f"P{person}_{number:04d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            noisy = np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
            file.write_bytes(tf.io.encode_jpeg(noisy).numpy())
    lines = ["10\t1"]
    for person in range(10):
        lines += [f"P{person}\t1\t2", f"P{person}\t1\tP{person + 2}\t2"]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    (folder / "pairsDevTest.txt").write_text("\n".join(["10", *lines[1::2], *lines[2::2]]))
    return folder


def test_templates_alone(tmp_path, capsys):
    """With a model whose use is checked."""
    aligned_here, as_they_are = (
        write_folder(tmp_path / name, photos=photos) for name, photos in (("a", True), ("b", False))
    )
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    keras.Model(inputs, keras.layers.Flatten()(x)).save(tmp_path / "m.keras")
    sets = [str(aligned_here), str(as_they_are)]
    verification.main([str(tmp_path / "m.keras"), "--templates", *sets])
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[:3]] == ["set", "a", "b"]
    assert said.err.startswith("warning: b looks unaligned: no face was found in 16 of 16")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_files_of_others_are_not_replaced(lfw, tmp_path, option):
    output = tmp_path / "mine"
    output.write_text('{\n  "name": "my package"\n}\n')
    arguments = ["pixels", "--pairs", str(lfw / "pairs.txt"), option, str(output)]
    with pytest.raises(InputError, match=r"mine: is there already, and is not what this tool wr"):
        verification.main(arguments)
    assert "my package" in output.read_text()
    verification.main([*arguments, "--overwrite"])
    assert "my package" not in output.read_text()
    # Its own it replaces.
    verification.main(arguments)


def test_pictures_of_others_are_not_replaced(lfw, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "roc.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "holiday.png")
    theirs = (tmp_path / "roc.png").read_bytes()
    arguments = ["pixels", "--pairs", str(lfw / "pairs.txt"), "--plots", str(tmp_path)]
    with pytest.raises(InputError, match=r"roc\.png: is there already, and is not what this tool"):
        verification.main(arguments)
    assert (tmp_path / "roc.png").read_bytes() == theirs
    verification.main([*arguments, "--overwrite"])
    assert (tmp_path / "roc.png").read_bytes() != theirs
    assert (tmp_path / "holiday.png").read_bytes() == theirs
    # Its own it replaces: those that Matplotlib draws, and contact sheets.
    verification.main(arguments)


def test_figures_of_two_sets(lfw, tmp_path, capsys):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    keras.Model(inputs, keras.layers.Flatten()(x)).save(run_dir / "model.keras")
    sets = [str(lfw / "pairs.txt"), f"dev={lfw / 'pairsDevTest.txt'}"]
    figures, plots = tmp_path / "out" / "figures.json", tmp_path / "plots"
    verification.main(
        [str(run_dir), "--pairs", *sets, "--json", str(figures), "--plots", str(plots)]
    )

    written = json.loads(figures.read_text())
    assert list(written) == ["sets"]
    assert list(written["sets"]) == ["pairs", "dev"]
    for of_set in written["sets"].values():
        assert of_set["num_pairs"] == 20
        assert of_set["num_genuine"] == 10
        assert of_set["auc"] > 0.8
    # The same pairs in the same order: View 1's are taken in turn.
    assert written["sets"]["pairs"] == written["sets"]["dev"]
    kinds = ("similarities", "false_accepts", "false_rejects")
    expected = {"roc.png"} | {f"{kind}_{name}.png" for kind in kinds for name in ("pairs", "dev")}
    assert {path.name for path in plots.iterdir()} == expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *("set", "pairs", "accuracy", "95%", "CI"),
        *("TAR@1e-2", "TAR@1e-3", "TAR@1e-4", "EER", "AUC"),
    ]
    assert lines[1].startswith("pairs     20")
    assert lines[1].count("%*") == 3
    assert lines[3].startswith("* too few impostor pairs")
    assert lines[4] == "95% CI of the accuracy: bootstrap over identities"
    assert lines[5].startswith("pairs: same identity if cosine >= ")
    assert lines[-2:] == [f"metrics: {figures}", f"plots: {plots}"]


def test_report_needs_no_folder_of_plots(lfw, tmp_path, capsys):
    report = tmp_path / "out" / "report.html"
    verification.main(["pixels", "--pairs", str(lfw / "pairs.txt"), "--report", str(report)])
    assert "pixels: verification" in read_page(report)
    assert [path.name for path in report.parent.iterdir()] == ["report.html"]
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {report}"


def test_templates_beside_pairs(lfw, tmp_path, capsys):
    folder = write_folder(tmp_path / "IJBX", photos=True)
    files = {name: tmp_path / name for name in ("f.json", "r.csv", "report.html")}
    outputs = [
        *("--json", str(files["f.json"]), "--results", str(files["r.csv"])),
        *("--plots", str(tmp_path / "plots"), "--report", str(files["report.html"])),
    ]
    verification.main(
        ["pixels", "--pairs", f"lfw={lfw / 'pairs.txt'}", "--templates", str(folder), *outputs]
    )
    written = json.loads(files["f.json"].read_text())["sets"]
    assert list(written) == ["lfw", "IJBX"]
    assert list(written["lfw"]) == list(written["IJBX"])
    assert written["IJBX"]["accuracy"] is written["IJBX"]["threshold"] is None
    assert written["IJBX"]["num_pairs"] == 36
    assert "IJBX" in read_page(files["report.html"])
    assert (tmp_path / "plots/roc.png").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:4] == ["IJBX", "36", "-", "-"]
    assert "IJBX: too few impostor pairs to recommend a threshold." in lines
    assert [line.split(",")[1] for line in files["r.csv"].read_text().splitlines()] == [
        *("pair_set", "lfw", "IJBX")
    ]

    # By themselves, under another name, and each image alike.
    alike = tmp_path / "alike.json"
    verification.main(
        ["pixels", "--templates", f"x={folder}", "--no-quality-weights", "--json", str(alike)]
    )
    figures = json.loads(alike.read_text())["sets"]["x"]
    assert figures["d_prime"] != written["IJBX"]["d_prime"]
    assert capsys.readouterr().out.splitlines()[0].split()[:3] == ["set", "pairs", "accuracy"]
    with pytest.raises(InputError, match="two sets are called 'x'"):
        verification.main(
            ["pixels", "--templates", f"x={folder}", "--pairs", f"x={lfw / 'pairs.txt'}"]
        )


def test_pixels_and_images_elsewhere(lfw, tmp_path, capsys):
    (tmp_path / "list.txt").write_text((lfw / "pairs.txt").read_text())
    images = str(lfw / "images")
    verification.main(["pixels", "--pairs", str(tmp_path / "list.txt"), "--image-root", images])
    assert "list     20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pixels", "--pairs", "nothing.bin"], r"nothing\.bin: no such file"),
        (["pixels", "--pairs", "nothing"], "nothing: no such verification set"),
        (["no_model", "--pairs", "LFW/pairs.txt"], "no_model: no such model"),
        (["pixels"], "nothing to evaluate on: give --pairs, --templates, or both"),
        (["pixels", "--templates", "LFW"], "no template set: there is no meta/NAME_face_tid_mid"),
        (["pixels", "--pairs", "a=LFW/pairs.txt", "a=LFW/pairs.txt"], "two sets are called 'a'"),
    ],
)
def test_bad_arguments(lfw, arguments, message):
    arguments = [argument.replace("LFW", str(lfw)) for argument in arguments]
    with pytest.raises(InputError, match=message):
        verification.main(arguments)


def test_all_sets_are_checked_before_the_first_is_embedded(lfw, tmp_path, capsys):
    damaged = tmp_path / "images" / "P0" / "P0_0001.jpg"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes((lfw / "images" / "P0" / "P0_0001.jpg").read_bytes()[:300])
    (tmp_path / "bad.txt").write_text("1 5\n" + "P0 1 1\n" * 5 + "P0 1 P0 1\n" * 5)
    with pytest.raises(InputError, match=r"P0_0001\.jpg: the image data are damaged"):
        verification.main(["pixels", "--pairs", str(lfw / "pairs.txt"), str(tmp_path / "bad.txt")])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("--json", "file/f.json"),
        ("--json", ""),
        ("--plots", "file"),
        ("--results", "file/r.csv"),
        ("--report", ""),
    ],
)
def test_what_can_not_be_written_is_found_first(tmp_path, option, place):
    (tmp_path / "file").write_text("in the way")
    arguments = ["pixels", "--pairs", "synthetic", option, str(tmp_path / place)]
    with pytest.raises(InputError, match=r"can't be written: |is a folder; give a file"):
        verification.main(arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_bad_batch_size(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        verification.main(["pixels", "--pairs", "synthetic", f"--batch-size={value}"])
    assert "must be a whole number from 1 to 8192" in capsys.readouterr().err


def test_ends_with_2_and_one_line(tmp_path):
    result = run("pixels", "--pairs", tmp_path / "missing.txt")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [f"error: {tmp_path / 'missing.txt'}: no such file"]


def test_pixels_of_a_foreign_model(lfw, capsys):
    with pytest.raises(InputError, match="omit --color-order, --input-range and --image-size"):
        verification.main(["pixels", "--input-range", "-1..1", "--pairs", str(lfw / "pairs.txt")])
    with pytest.raises(InputError, match=r"--input-range -1,1: expected the values of 0 and 255"):
        verification.main(["pixels", "--input-range=-1,1", "--pairs", str(lfw / "pairs.txt")])
    with pytest.raises(InputError, match="omit --color-order, --input-range and --image-size"):
        verification.main(["pixels", "--color-order", "bgr", "--pairs", str(lfw / "pairs.txt")])
    figures = []
    for flags in ([], ["--no-flip"]):
        verification.main(["pixels", "--pairs", str(lfw / "pairs.txt"), *flags])
        figures.append(capsys.readouterr().out)
    assert figures[0] != figures[1]


@pytest.fixture
def large(lfw, tmp_path):
    """The same pictures in a size in which faces could be seen, and a model for them."""
    for file in sorted((lfw / "images").rglob("*.jpg")):
        other = tmp_path / "large" / file.relative_to(lfw)
        other.parent.mkdir(parents=True, exist_ok=True)
        pixels = tf.image.resize(tf.io.decode_jpeg(file.read_bytes()), (64, 64))
        other.write_bytes(tf.io.encode_jpeg(tf.cast(pixels, tf.uint8)).numpy())
    (tmp_path / "large" / "pairs.txt").write_text((lfw / "pairs.txt").read_text())
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    keras.Model(inputs, keras.layers.Flatten()(x)).save(tmp_path / "model.keras")
    return [str(tmp_path / "model.keras"), "--pairs", f"large={tmp_path / 'large' / 'pairs.txt'}"]


def test_sets_that_look_unaligned_are_warned_of(large, capsys):
    verification.main(large)
    with_check = capsys.readouterr()
    assert with_check.err.splitlines() == [
        "warning: large looks unaligned: no face was found in 16 of 16 sampled images; align it "
        "with tfface align, unless the model was trained on such images"
    ]
    verification.main([*large, "--no-check"])
    without = capsys.readouterr()
    assert without.err == ""
    assert without.out == with_check.out


def test_cache(large, tmp_path, capsys):
    outputs = []
    for cache in ([], ["--cache", str(tmp_path / "cache")], ["--cache", str(tmp_path / "cache")]):
        verification.main([*large, "--no-check", *cache])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]
    (of_model,) = (tmp_path / "cache").iterdir()
    (file,) = of_model.iterdir()
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE embeddings SET embedding = zeroblob(length(embedding)) "
            "WHERE key IN (SELECT key FROM embeddings LIMIT 2)"
        )
    verification.main([*large, "--no-check", "--cache", str(tmp_path / "cache")])
    mended = capsys.readouterr()
    assert mended.out == outputs[0]
    assert mended.err.startswith(f"warning: {file}: 2 embeddings were damaged, and are removed")
    with pytest.raises(InputError, match=r"model\.keras.*can't be written: Not a directory"):
        verification.main([*large, "--cache", large[0]])


def test_a_recipe_is_the_network_that_it_starts_from(lfw, tmp_path, capsys):
    recipe, pairs = tmp_path / "tiny.yaml", ["--pairs", f"lfw={lfw / 'pairs.txt'}", "--no-check"]
    recipe.write_text(TINY, encoding="utf-8")
    verification.main([str(recipe), *pairs, "--set", "model.embedding_size=4"])
    assert capsys.readouterr().out.splitlines()[1].startswith("lfw")
    with pytest.raises(InputError, match="--color-order"):
        verification.main([str(recipe), *pairs, "--color-order", "bgr"])
    with pytest.raises(InputError, match="--set and overrides change a recipe"):
        verification.main(["pixels", *pairs, "--set", "model.embedding_size=4"])
