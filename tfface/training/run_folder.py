"""The run folder: what lies where in it, and whether a run may start there."""

import importlib.metadata
import os
import platform
from pathlib import Path

import keras
import yaml

from tfface import __version__
from tfface.errors import InputError
from tfface.files import replacing, write_json
from tfface.heads.head_file import HEAD_FILE
from tfface.recipe import Recipe, dump
from tfface.training import processes

PACKAGES = ("tensorflow", "keras", "jax", "numpy", "tensorflow-datasets", "keras-cv", "faiss-cpu")


class RunFolder:
    """Paths of one run; making the object touches nothing."""

    def __init__(self, path: Path):
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.curves = path / "curves.png"
        self.plots = path / "plots"
        self.report = path / "report.html"
        self.verification = path / "verification.json"
        self.classification = path / "classification.json"
        self.model = path / "model.keras"
        self.head = path / HEAD_FILE
        self.identities = path / "identities.csv"
        self.latest = path / "checkpoints" / "latest.npz"
        self.best = path / "checkpoints" / "best.npz"

    def is_finished(self, recipe: Recipe) -> bool:
        """Whether a run of this very recipe has ended here (the report is written last)."""
        made = (self.report, self.model, self.head)
        return all(file.is_file() for file in made) and self._same_recipe(recipe)

    def start(self, recipe: Recipe, *, resume: bool) -> None:
        """Makes the folder and writes recipe and environment into it.

        Raises InputError: it can't be written, or holds a run that this one would overwrite.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--run-dir {self.path}: can't be made: {error.strerror}; give a folder that "
                "you may write"
            ) from error
        if reason := self.reason_against(recipe):
            raise InputError(f"{self.path}: {reason}; choose another --run-dir or delete it")
        if self.latest.exists() and not resume:
            raise InputError(
                f"{self.path}: holds an unfinished run; go on with it by --resume, or choose "
                "another --run-dir"
            )
        with replacing(self.recipe) as temporary:
            temporary.write_text(dump(recipe), encoding="utf-8")
        write_json(self.environment, environment())

    def reason_against(self, recipe: Recipe) -> str:
        """Returns why no run of this recipe can go on here, "" where it can."""
        if not (self.latest.exists() or self.report.exists()):
            return ""
        if not self.recipe.is_file():
            return "holds a run whose recipe.yaml is gone, so it can't be gone on with"
        return "" if self._same_recipe(recipe) else "holds a run of another recipe"

    def _same_recipe(self, recipe: Recipe) -> bool:
        if not self.recipe.is_file():
            return False
        written, wanted = self.recipe.read_bytes(), dump(recipe).encode()
        return written == wanted or _undistributed(written) == _undistributed(wanted)


def _undistributed(text: bytes) -> object:
    """A recipe without its distribution, by which what is trained stays the same."""
    try:
        recipe = yaml.safe_load(text)
        recipe["training"].pop("distribution", None)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        # No recipe that this version wrote.
        return text
    return recipe


def environment() -> dict[str, object]:
    """Returns what a figure depends on beside the recipe: machine, versions, backend, devices."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "tfface": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "processes": processes.count(),
        **versions,
    }
