"""Writes the folder of a version, anew: what that version makes, and what it says of it.

    python -m tests.compatibility.write 0.2.0

The version must be the one that runs. A folder that is there is never written again.
"""

import argparse
import csv
import errno
import itertools
import json
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from tests.compatibility.facts import FACTS
from tests.compatibility.interface import InputError, __version__, draw_face, said
from tests.compatibility.versions import HERE, set_photo_times

# All parts of a run that a checkpoint has something of: the optimizer's momentum, averaged weights,
# kept weights, the seeds of dropout, the margin's warm-up, a schedule. No image is a JPEG, which
# machines may decode differently.
RECIPE = """\
data:
  train: {source: tfrecord, path: faces}
  validation: {fraction: 0.25, by: image}
  image_size: 32
  cache: memory
  augment: [random_flip]
  batch_size: 10
model:
  backbone: {name: plain_cnn, channels: [8, 8, 8]}
  neck: {pooling: flatten, dropout: 0.2, batch_norm: true}
  embedding_size: 8
  head: {name: arcface, margin: 0.2, scale: 16, warmup_epochs: 2}
training:
  seed: 5
  checkpoints: {keep: 1}
  stages:
    - {name: head, freeze: backbone, epochs: 1, optimizer: {name: adam, learning_rate: 0.01}}
    - name: all
      epochs: 5
      optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.9, weight_decay: 5.0e-4}
      schedule: cosine
      ema: 0.8
      early_stopping: {monitor: val_loss, patience: 3}
"""
# An epoch has 6 steps: one epoch of the first stage, two and a half of the second.
INTERRUPTED_AFTER = 6 + 2 * 6 + 3

_NUM_PEOPLE, _IMAGES_EACH = 20, 4
_MOST_BYTES = 1_000_000
# Where the files of a machine lie; those of a version's folder are to name none.
_PATHS = re.compile(rb"/(home|root|tmp|Users|work|var|mnt)/[\w./-]*")


def write(version: str, into: Path = HERE) -> Path:
    """Writes the folder of a version into `into`; returns it.

    Raises SystemExit: it is there already, or another version runs.
    """
    folder = into / version
    if folder.exists():
        raise SystemExit(f"{folder}: is there already, and is never written again")
    if version != __version__:
        raise SystemExit(f"{version}: only {__version__}, which runs, can be written")
    with tempfile.TemporaryDirectory(prefix="tfface-version-") as temporary:
        written = Path(temporary) / version
        written.mkdir()
        _write_faces(written, Path(temporary))
        _write_runs(written)
        _write_gallery_and_cache(written)
        _write_alignment(written)
        expected = {"conversion": _begin_conversion(written, Path(temporary))}
        for name, fact in FACTS.items():
            with tempfile.TemporaryDirectory() as scratch:
                expected[name] = fact(written, Path(scratch))
        (written / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        check(written)
        shutil.copytree(written, folder)
    return folder


def check(folder: Path) -> None:
    """Raises RuntimeError: a folder is too large, or names a place on the machine."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    if (size := sum(path.stat().st_size for path in files)) > _MOST_BYTES:
        raise RuntimeError(f"{folder}: {size:,} bytes; {_MOST_BYTES:,} at most")
    for path in files:
        if found := _PATHS.search(path.read_bytes()):
            raise RuntimeError(f"{path}: names {found[0].decode()}, a place on a machine")


def draw_person(person: int, number: int) -> np.ndarray:
    """Returns a picture of somebody, uint8 [32, 32, 3]: squares, in colors of that person."""
    squares = np.random.default_rng([person]).integers(40, 216, (8, 8, 3))
    squares += np.random.default_rng([person, number]).integers(-40, 41, (8, 8, 3))
    return np.kron(squares, np.ones((4, 4, 1))).astype(np.uint8)


def _write_faces(folder: Path, temporary: Path) -> None:
    """Writes a dataset with an attribute, pairs of it, and pictures that aren't in it."""
    (temporary / "photos").mkdir()
    with (temporary / "people.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "identity", "pose"])
        for person, number in itertools.product(range(_NUM_PEOPLE), range(_IMAGES_EACH)):
            path = f"photos/{person:02}_{number}.png"
            Image.fromarray(draw_person(person, number)).save(temporary / path)
            table.writerow([path, f"person{person:02}", ("front", "side")[number % 2]])
    faces = folder / "faces"
    said("convert_tfrecord", temporary / "people.csv", "--output", faces, "--shards", 3)
    said("make_pairs", faces, "--output", folder / "pairs.bin", "--pairs", 40)
    csv_options = ("--pairs", 20, "--folds", 5, "--group-by", "pose")
    said("make_pairs", faces, "--output", folder / "pairs.csv", *csv_options)
    for person, name in ((3, "person03"), (11, "person11"), (99, "stranger")):
        (folder / "queries" / name).mkdir(parents=True)
        picture = Image.fromarray(draw_person(person, _IMAGES_EACH))
        picture.save(folder / "queries" / name / "new.png")


def _write_runs(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    common = (folder / "recipe.yaml", "--data-dir", folder, "--run-dir")
    finished, interrupted = folder / "finished_run", folder / "interrupted_run"
    said("train", *common, finished)
    with _interrupting(INTERRUPTED_AFTER), pytest.raises(SystemExit, match="143"):
        said("train", *common, interrupted)
    epochs = (interrupted / "metrics.jsonl").read_text().count('"epoch"')
    if epochs != 3 or (interrupted / "model.keras").exists():
        raise RuntimeError(f"interrupted after {epochs} epochs, or not at all")
    # Pictures, and events whose names have the machine's: large, and read by nobody.
    for run in (finished, interrupted):
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
    (finished / "curves.png").unlink()
    report = finished / "report.html"
    report.write_bytes(re.sub(rb"(data:image/png;base64,)[^\"]*", rb"\1", report.read_bytes()))


@contextmanager
def _interrupting(after_steps: int) -> Iterator[None]:
    """Sends this process SIGTERM after so many steps of training."""
    import keras

    fit, steps = keras.Model.fit, itertools.count(1)

    def count_step(batch, logs=None):
        if next(steps) == after_steps:
            signal.raise_signal(signal.SIGTERM)

    def fit_and_count(model, *arguments, callbacks=(), **options):
        counting = keras.callbacks.LambdaCallback(on_train_batch_end=count_step)
        return fit(model, *arguments, callbacks=[counting, *callbacks], **options)

    with mock.patch.object(keras.Model, "fit", fit_and_count):
        yield


def _write_gallery_and_cache(folder: Path) -> None:
    run, faces = folder / "finished_run", folder / "faces"
    said("gallery", "build", run, faces, "--gallery", folder / "gallery", "--no-check")
    # It knows where its model is, which is a place on this machine.
    manifest = folder / "gallery" / "gallery.json"
    manifest.write_text(manifest.read_text().replace(str(run.resolve()), "finished_run"))
    # Of two models, as which the same one counts when it is used in another way.
    for option in ("--no-check", "--no-flip"):
        cache = ("--cache", folder / "embedding_cache", "--no-check", option)
        said("eval_verification", run, "--pairs", folder / "pairs.bin", *cache)


def _write_alignment(folder: Path) -> None:
    photos, aligned = folder / "photos", folder / "aligned"
    photos.mkdir()
    Image.fromarray(draw_face(160)).save(photos / "face.jpg")
    set_photo_times(folder)
    said("align_faces", photos, aligned)
    (aligned / "contact_sheet.png").unlink()


def _begin_conversion(folder: Path, temporary: Path) -> dict[str, str]:
    """Begins a conversion until the disk is full; returns the SHA-256 of files of a whole one."""
    whole = temporary / "whole"
    arguments = (folder / "faces", "--shards", 4, "--seed", 1, "--workers", 1, "--output")
    said("convert_tfrecord", *arguments, whole)
    open_file, files = Path.open, itertools.count(1)

    def write_two(path, mode="r", *arguments, **options):
        if mode == "wb" and path.suffix == ".tfrecord" and next(files) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_file(path, mode, *arguments, **options)

    with (
        mock.patch.object(Path, "open", write_two),
        pytest.raises(InputError, match="No space left on device"),
    ):
        said("convert_tfrecord", *arguments, folder / "begun_conversion")
    shards = json.loads((whole / "dataset.json").read_text())["shards"]
    return {shard["file"]: shard["sha256"] for shard in shards}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("version", help="such as 0.2.0")
    print(write(parser.parse_args().version))


if __name__ == "__main__":
    main()
