"""What every evaluation tool says of fixed pictures, with models that no training has made."""

import contextlib
import csv
import functools
import io
import json
from pathlib import Path

import keras
import numpy as np

from tests.golden import inputs, internals, summaries

_DATA = Path("evaluation")
_PEOPLE = _DATA / "people"
_MODEL = _DATA / "model.keras"
_CLASSES = ("cold", "mild", "warm")


def of_verification() -> dict:
    """Pairs of every format, templates, and the drawn set with the least of models."""
    _make_people()
    _make_embedder()
    _make_templates(_DATA / "templates")
    inputs.write(_DATA / "pairs.txt", _lfw_list(folds=10, people_in_each=4))
    internals.run_tool("make_pairs", _PEOPLE, "--output", _DATA / "made.bin")
    internals.run_tool("make_pairs", _PEOPLE, "--output", _DATA / "made.csv")
    made, as_bin = _DATA / "made.csv", f"bin={_DATA / 'made.bin'}"
    lfw_list = [_DATA / "pairs.txt", "--images", _DATA / "lfw_images"]
    # Without a look at whether these are faces, which they aren't.
    verify = functools.partial(_json, "eval_verification", _MODEL, "--no-check")
    return {
        "values": {
            "pairs": verify("--pairs", made, as_bin),
            "list": verify("--pairs", *lfw_list),
            "no flip": verify("--pairs", made, "--no-flip"),
            "templates": verify("--templates", _DATA / "templates"),
            "drawn": _json("eval_verification", "pixels", "--pairs", "synthetic"),
        }
    }


def of_verification_of_fixtures(test_data: Path) -> dict:
    """Real faces in the formats that others write."""
    fixtures = test_data / "fixtures"
    pairs = [fixtures / name for name in ("pairs_numpy_arrays.bin", "pairs_python2.bin")]
    bcolz = fixtures / "bcolz_pairs" / "tiny"
    # All of its pairs are genuine, so that it can't be evaluated.
    made = _DATA / "fixture_pairs"
    internals.run_tool(
        "make_pairs", fixtures / "insightface_small_lfw.bin", "--output", made / "lfw.csv"
    )
    return {
        "values": {
            **_json("eval_verification", "pixels", "--pairs", *pairs, f"bcolz={bcolz}"),
            "files": summaries.sha256_of_files(made),
        }
    }


def of_identification() -> dict:
    """Galleries and queries, with strangers, each way that they can be searched."""
    _make_people()
    _make_embedder()
    gallery, door = _DATA / "gallery", _DATA / "door"
    inputs.write_people(gallery, range(20), range(3))
    inputs.write_people(door, range(30), range(3, 6))
    sets = ["--gallery", gallery, "--query", door]
    split = ["--gallery", _PEOPLE, "--split", 2, "--unknown", 0.3, "--seed", 1]
    identify = functools.partial(_json, "eval_identification")
    return {
        "values": {
            "gallery": identify(_MODEL, "--no-check", *sets),
            "one template": identify(
                _MODEL, "--no-check", *sets, "--one-template", "--metric", "l2"
            ),
            "hnsw": identify(_MODEL, "--no-check", *sets, "--index", "hnsw"),
            "split": identify("pixels", *split),
        }
    }


def of_classification() -> dict:
    """Figures of classes and groups, of people seen in training and others, and the score."""
    classifier = _make_classifier()
    test = _DATA / "classes_test"
    _make_classes(test, people=range(3, 9))
    _make_classes(_DATA / "classes_seen", people=range(6))
    told_apart = ["--person", "subfolder", "--seen", _DATA / "classes_seen"]
    classify = functools.partial(_json, "eval_classification", *classifier, "--data", test)
    predictions = "".join(
        f"{path.relative_to(test).as_posix()},{_CLASSES[place % 3]}\n"
        for place, path in enumerate(sorted(test.rglob("*.png")))
    )
    inputs.write(_DATA / "predictions.csv", "path,label\n" + predictions)
    return {
        "values": {
            "people": classify(*told_apart, "--group-by", "subfolder"),
            "flip": classify("--flip"),
            "score": _said("check_score", *classifier, "--data", test),
            "score of predictions": _said("check_score", _DATA / "predictions.csv", "--data", test),
        }
    }


def of_inspection() -> dict:
    """What is in a dataset, who is in it twice, and who is in a verification set."""
    _make_people()
    first, second = _DATA / "first", _DATA / "second"
    inputs.write_people(first, range(12), range(4))
    # Two people under other names, and one picture twice.
    for name, person in {"ann": 3, "bob": 7, "cat": 41, "dan": 42}.items():
        for number in range(4):
            inputs.write_face(second / name / f"{number}.png", person, number + 2)
    inputs.write_face(first / "person00" / "again.png", 0, 0)
    internals.run_tool("convert_tfrecord", first, second, "--output", _DATA / "merged")
    output = _DATA / "inspection"
    internals.run_tool(
        "inspect_dataset",
        *(_DATA / "merged", "--output", output, "--model", "pixels"),
        *("--against", f"made={_pairs()}", "--threshold", 0.5, "--against-threshold", 0.5),
    )
    tables = {path.name: _table(path) for path in sorted(output.glob("*.csv"))}
    return {"values": {"report": json.loads((output / "report.json").read_text()), **tables}}


def of_pairs() -> dict:
    """The files of pairs that are made of labelled faces, byte for byte."""
    _make_people()
    made = _DATA / "pairs"
    options = ["--pairs", 80, "--folds", 5, "--seed", 3]
    internals.run_tool("make_pairs", _PEOPLE, "--output", made / "all.bin")
    internals.run_tool("make_pairs", _PEOPLE, "--output", made / "some.csv", *options)
    internals.run_tool("make_pairs", made / "all.bin", "--output", made / "again.csv")
    return {"values": {"files": summaries.sha256_of_files(made)}}


def _json(tool: str, *arguments: object) -> dict:
    """Returns the figures that a tool writes with --json."""
    path = _DATA / "figures.json"
    internals.run_tool(tool, *arguments, "--json", path)
    return json.loads(path.read_text())


def _table(path: Path) -> list[dict]:
    """Returns the rows of a CSV file, without what is said in sentences."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("reason", None)
        if row.get("similarity"):
            row["similarity"] = float(row["similarity"])
    return rows


def _said(tool: str, *arguments: object) -> list[str]:
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
    """Colours of cells of 4x4 pixels, times a matrix: sees colours, and left and right."""
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
    """Returns a model that knows the patterns of the classes, and how to use it."""
    patterns = [inputs.picture((_class_seed(name), 1.0))[::4, ::4].ravel() for name in _CLASSES]
    kernel = (np.stack(patterns, axis=1) / np.float32(127.5) - 1) / 30
    path, names = _DATA / "classifier.keras", _DATA / "classes.txt"
    inputs.write(names, "\n".join(_CLASSES) + "\n")
    _linear_model(kernel.astype("float32")).save(path)
    return path, "--classes", names, "--scores", "logits"


def _class_seed(name: str) -> int:
    return 500 + _CLASSES.index(name)


def _make_classes(folder: Path, people: range) -> None:
    """Writes CLASS/PERSON/NUMBER.png; what is of the class is hard to see."""
    for name in _CLASSES:
        for person in people:
            for number in range(3):
                own = 10_000 + 100 * person + 10 * number + _CLASSES.index(name)
                pixels = inputs.picture((_class_seed(name), 0.1), (person, 0.3), (own, 0.9))
                path = folder / name / f"person{person}" / f"{number}.png"
                inputs.write(path, inputs.png(pixels))


def _lfw_list(folds: int, people_in_each: int) -> str:
    """Returns a list like LFW's pairs.txt, and writes its images."""
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
    """Writes two templates of each person as IJB-C has them: an image and a video, and an image."""
    entries, people = [], range(8)
    for person in people:
        for number, (template, medium) in enumerate([(1, 1), (1, 2), (1, 2), (2, 1)]):
            name = f"{4 * person + number}.png"
            inputs.write_face(folder / "loose_crop" / name, person, number)
            entries.append(f"{name} {10 * person + template} {medium}\n")
    pairs = [f"{10 * a + 1} {10 * b + 2} {int(a == b)}\n" for a in people for b in people]
    inputs.write(folder / "meta" / "x_face_tid_mid.txt", "".join(entries))
    inputs.write(folder / "meta" / "x_template_pair_label.txt", "".join(pairs))
