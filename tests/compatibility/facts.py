"""What can be learned from a version's folder: recorded when it is written, the same ever after.

Each fact is a function of the folder, which it leaves as it is, and of an empty folder to work in.
It returns what JSON can hold.
"""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.compatibility.interface import dataset_content, embed, said


def _dataset(folder: Path, scratch: Path) -> object:
    return dataset_content(folder / "faces")


def _pairs_in(pairs: Path, scratch: Path) -> object:
    """Writes a set of pairs as CSV with images, whatever it was, and reads that by itself."""
    written = scratch / "written.csv"
    said("make_pairs", pairs, "--output", written)
    with written.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = written.with_name("written_images")
    return [
        {
            **{name: _hash(images / row[name]) for name in ("first", "second")},
            **{name: row[name] for name in ("is_genuine", "fold", "group") if name in row},
        }
        for row in rows
    ]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _embeddings(folder: Path, scratch: Path) -> object:
    pictures = [np.asarray(Image.open(path)) for path in sorted(folder.glob("queries/*/*.png"))]
    return embed(folder / "finished_run", np.stack(pictures)).tolist()


def verification(folder: Path, scratch: Path, *options: object) -> dict[str, dict[str, float]]:
    """Returns figures of the finished run on both sets of pairs.

    Args:
        options: of the tool.
    """
    pairs = [f"{kind}={folder / 'pairs'}.{kind}" for kind in ("bin", "csv")]
    json_file = scratch / "verification.json"
    run = folder / "finished_run"
    said("eval_verification", run, "--pairs", *pairs, "--json", json_file, "--no-check", *options)
    return {
        name: {
            "num_pairs": figures["num_pairs"],
            "num_genuine": figures["num_genuine"],
            "accuracy": figures["accuracy"]["mean"],
            "auc": figures["auc"],
            # Feels the slightest change of any embedding.
            "embedding_norm": figures["embedding_norm"],
        }
        for name, figures in json.loads(json_file.read_text())["sets"].items()
    }


def _verification_without_flip(folder: Path, scratch: Path) -> object:
    return verification(folder, scratch, "--no-flip")


def _classification(folder: Path, scratch: Path) -> object:
    json_file = scratch / "classification.json"
    run = folder / "finished_run"
    said("eval_classification", run, "--data", folder / "faces", "--json", json_file)
    figures = json.loads(json_file.read_text())
    return {name: figures[name] for name in ("num_images", "accuracy", "top5")}


def names_in(gallery: Path) -> dict[str, int]:
    """Returns how many images a gallery has of each person."""
    lines = said("gallery", "list", "--gallery", gallery).splitlines()
    # Between the columns' names and the sum.
    rows = [line.split() for line in lines[1:-1]]
    return {name: int(count) for name, count in rows}


def _names(folder: Path, scratch: Path) -> object:
    return names_in(folder / "gallery")


def _answers(folder: Path, scratch: Path) -> object:
    json_file = scratch / "answers.json"
    model, gallery = folder / "finished_run", folder / "gallery"
    options = ("--gallery", gallery, "--top", 3, "--json", json_file)
    said("gallery", "query", model, folder / "queries", *options, "--aligned")
    return [
        {
            "image": Path(answer["image"]).relative_to(folder).as_posix(),
            "candidates": [[one["name"], one["cosine"]] for one in answer["candidates"]],
        }
        for answer in json.loads(json_file.read_text())["queries"]
    ]


FACTS: dict[str, Callable[[Path, Path], object]] = {
    "dataset": _dataset,
    "pairs_bin": lambda folder, scratch: _pairs_in(folder / "pairs.bin", scratch),
    "pairs_csv": lambda folder, scratch: _pairs_in(folder / "pairs.csv", scratch),
    "embeddings": _embeddings,
    "verification": verification,
    "verification_without_flip": _verification_without_flip,
    "classification": _classification,
    "gallery_names": _names,
    "gallery_answers": _answers,
}


def assert_same(found: object, recorded: object, where: str = "") -> None:
    """Compares what JSON holds: numbers to 1e-5, all else exactly; what is new may be there."""
    if isinstance(recorded, dict):
        for key, value in recorded.items():
            assert key in found, f"{where}: {key} is gone"
            assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(recorded, list):
        assert len(found) == len(recorded), where
        for number, (one, other) in enumerate(zip(found, recorded, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(recorded, float):
        np.testing.assert_allclose(found, recorded, rtol=1e-5, atol=1e-5, err_msg=where)
    else:
        assert found == recorded, where
