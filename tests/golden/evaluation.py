"""Pins the output of the evaluation tools for fixed images and models with fixed weights."""

import contextlib
import csv
import functools
import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from tests.golden import inputs, internals, summaries

_DATA = Path("evaluation")
_PEOPLE = _DATA / "people"
_MODEL = _DATA / "model.keras"
_CLASSES = ("cold", "mild", "warm")


def verification() -> dict:
    """Pins pair sets in several formats, and templates."""
    _make_people()
    _make_embedder()
    _make_templates(_DATA / "templates")
    inputs.write(_DATA / "pairs.txt", _lfw_list(folds=10, people_in_each=4))
    internals.run_tool("make_pairs", _PEOPLE, "--output", _DATA / "made.bin")
    internals.run_tool("make_pairs", _PEOPLE, "--output", _DATA / "made.csv")
    made, as_bin = _DATA / "made.csv", f"bin={_DATA / 'made.bin'}"
    lfw_list = [_DATA / "pairs.txt", "--image-root", _DATA / "lfw_images"]
    # Without the check that images are aligned faces: these are no faces.
    verify = functools.partial(_json, "eval_verification", _MODEL, "--no-check")
    return {
        "values": {
            "pairs": verify("--pairs", made, as_bin),
            "list": verify("--pairs", *lfw_list),
            "no flip": verify("--pairs", made, "--no-flip"),
            "templates": verify("--templates", _DATA / "templates"),
        }
    }


def verification_synthetic() -> dict:
    """Pins the synthetic set with raw pixels. Rendering its faces takes most of the time."""
    return {"values": _json("eval_verification", "pixels", "--pairs", "synthetic")}


def verification_fixtures(test_data: Path) -> dict:
    """Pins real faces in formats that other programs wrote."""
    fixtures = test_data / "fixtures"
    pairs = [fixtures / name for name in ("pairs_numpy_arrays.bin", "pairs_python2.bin")]
    bcolz = fixtures / "bcolz_pairs" / "tiny"
    # Its pairs are all genuine, so it can be converted but not evaluated.
    converted = _DATA / "fixture_pairs"
    # Copied, because the path of the source is written into the CSV.
    _DATA.mkdir(exist_ok=True)
    source = shutil.copy(fixtures / "insightface_small_lfw.bin", _DATA)
    internals.run_tool("make_pairs", source, "--output", converted / "lfw.csv")
    return {
        "values": {
            **_json("eval_verification", "pixels", "--pairs", *pairs, f"bcolz={bcolz}"),
            "files": summaries.sha256_of_files(converted),
        }
    }


def identification() -> dict:
    """Pins open-set identification with each kind of gallery and search."""
    _make_people()
    _make_embedder()
    gallery, door = _DATA / "gallery", _DATA / "door"
    inputs.write_people(gallery, range(20), range(3))
    inputs.write_people(door, range(30), range(3, 6))
    sets = ["--gallery", gallery, "--query", door]
    split = ["--gallery", _PEOPLE, "--gallery-shots", 2, "--open-set-fraction", 0.3, "--seed", 1]
    identify = functools.partial(_json, "eval_identification")
    return {
        "values": {
            "gallery": identify(_MODEL, "--no-check", *sets),
            "one template": identify(
                _MODEL, "--no-check", *sets, "--mean-template", "--distance", "l2"
            ),
            "hnsw": identify(_MODEL, "--no-check", *sets, "--index", "hnsw"),
            "split": identify("pixels", *split),
        }
    }


def classification() -> dict:
    """Pins metrics of classes, groups, seen and unseen people, and the score."""
    classifier = _make_classifier()
    test = _DATA / "classes_test"
    _make_classes(test, people=range(3, 9))
    _make_classes(_DATA / "classes_seen", people=range(6))
    seen = ["--person", "subfolder", "--seen", _DATA / "classes_seen"]
    classify = functools.partial(_json, "eval_classification", *classifier, "--data", test)
    predictions = "".join(
        f"{path.relative_to(test).as_posix()},{_CLASSES[place % 3]}\n"
        for place, path in enumerate(sorted(test.rglob("*.png")))
    )
    inputs.write(_DATA / "predictions.csv", "path,label\n" + predictions)
    return {
        "values": {
            "people": classify(*seen, "--group-by", "subfolder"),
            "flip": classify("--flip"),
            "score": _printed("check_score", *classifier, "--data", test),
            "score of predictions": _printed(
                "check_score", _DATA / "predictions.csv", "--data", test
            ),
        }
    }


def inspection() -> dict:
    """Pins the report on a dataset with duplicates, and with people of a verification set."""
    _make_people()
    first, second = _DATA / "first", _DATA / "second"
    inputs.write_people(first, range(12), range(4))
    # Two people come under other names, and one image comes twice.
    for name, person in {"ann": 3, "bob": 7, "cat": 41, "dan": 42}.items():
        for number in range(4):
            inputs.write_face(second / name / f"{number}.png", person, number + 2)
    inputs.write_face(first / "person00" / "again.png", 0, 0)
    internals.run_tool("convert_tfrecord", first, second, "--output", _DATA / "merged")
    output = _DATA / "inspection"
    internals.run_tool(
        "inspect_dataset",
        *(_DATA / "merged", "--output", output, "--model", "pixels"),
        *("--overlap-with", f"made={_pairs()}", "--threshold", 0.5, "--overlap-threshold", 0.5),
    )
    tables = {path.name: _table(path) for path in sorted(output.glob("*.csv"))}
    return {"values": {"report": json.loads((output / "report.json").read_text()), **tables}}


def pairs() -> dict:
    """Pins the files of pair sets made from labeled faces, byte for byte."""
    _make_people()
    made = _DATA / "pairs"
    options = ["--pairs", 80, "--folds", 5, "--seed", 3, "--no-images"]
    internals.run_tool("make_pairs", _PEOPLE, "--output", made / "all.bin")
    internals.run_tool("make_pairs", _PEOPLE, "--output", made / "some.csv", *options)
    internals.run_tool("make_pairs", made / "all.bin", "--output", made / "again.csv")
    return {"values": {"files": summaries.sha256_of_files(made)}}


def _json(tool: str, *arguments: object) -> dict:
    """Returns what a tool writes with --json."""
    path = _DATA / "figures.json"
    # No tool replaces what another has written.
    path.unlink(missing_ok=True)
    internals.run_tool(tool, *arguments, "--json", path)
    return json.loads(path.read_text())


def _table(path: Path) -> list[dict]:
    """Returns the rows of a CSV file, without the column of prose."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("reason", None)
        if row.get("similarity"):
            row["similarity"] = float(row["similarity"])
    return rows


def _printed(tool: str, *arguments: object) -> list[str]:
    """Returns the lines that a tool prints."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        internals.run_tool(tool, *arguments)
    return text.getvalue().splitlines()


@functools.cache
def _make_people() -> None:
    inputs.write_people(_PEOPLE, range(40), range(4))


@functools.cache
def _pairs() -> Path:
    internals.run_tool("make_pairs", _PEOPLE, "--output", _DATA / "against.bin")
    return _DATA / "against.bin"


def _linear_model(kernel: np.ndarray) -> keras.Model:
    """Returns a linear model of 8x8 mean colors: it tells colors apart, and left from right."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((inputs.SIZE, inputs.SIZE, 3)),
            layers.Rescaling(1 / 127.5, -1.0),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dense(kernel.shape[1], use_bias=False),
        ]
    )
    model.layers[-1].kernel.assign(kernel)
    return model


@functools.cache
def _make_embedder() -> None:
    _linear_model(inputs.uniform(5, (8 * 8 * 3, 16))).save(_MODEL)


@functools.cache
def _make_classifier() -> tuple:
    """Writes a model that matches the patterns of the classes; returns its arguments for tools."""
    patterns = [inputs.image((_class_seed(name), 1.0))[::4, ::4].ravel() for name in _CLASSES]
    kernel = (np.stack(patterns, axis=1) / np.float32(127.5) - 1) / 30
    path, names = _DATA / "classifier.keras", _DATA / "classes.txt"
    inputs.write(names, "\n".join(_CLASSES) + "\n")
    _linear_model(kernel.astype("float32")).save(path)
    return path, "--classes", names, "--score-type", "logits"


def _class_seed(name: str) -> int:
    return 500 + _CLASSES.index(name)


def _make_classes(folder: Path, people: range) -> None:
    """Writes CLASS/PERSON/NUMBER.png, with a weak pattern of the class."""
    for name in _CLASSES:
        for person in people:
            for number in range(3):
                own = 10_000 + 100 * person + 10 * number + _CLASSES.index(name)
                pixels = inputs.image((_class_seed(name), 0.1), (person, 0.3), (own, 0.9))
                path = folder / name / f"person{person}" / f"{number}.png"
                inputs.write(path, inputs.png(pixels))


def _lfw_list(folds: int, people_in_each: int) -> str:
    """Writes images and returns a list of pairs as in LFW's pairs.txt."""
    lines = [f"{folds}\t{people_in_each}"]
    for fold in range(folds):
        people = range(200 + people_in_each * fold, 200 + people_in_each * (fold + 1))
        lines += [f"P{person}\t1\t2" for person in people]
        lines += [f"P{person}\t1\tP{people[place - 1]}\t2" for place, person in enumerate(people)]
        for person in people:
            for number in (1, 2):
                path = _DATA / "lfw_images" / f"P{person}" / f"P{person}_{number:04d}.png"
                inputs.write_face(path, person, number)
    return "\n".join(lines) + "\n"


def _make_templates(folder: Path) -> None:
    """Writes a template set like IJB-C, with two templates of each person."""
    entries, people = [], range(8)
    for person in people:
        for number, (template, medium) in enumerate([(1, 1), (1, 2), (1, 2), (2, 1)]):
            name = f"{4 * person + number}.png"
            inputs.write_face(folder / "loose_crop" / name, person, number)
            entries.append(f"{name} {10 * person + template} {medium}\n")
    pairs = [f"{10 * a + 1} {10 * b + 2} {int(a == b)}\n" for a in people for b in people]
    inputs.write(folder / "meta" / "x_face_tid_mid.txt", "".join(entries))
    inputs.write(folder / "meta" / "x_template_pair_label.txt", "".join(pairs))
