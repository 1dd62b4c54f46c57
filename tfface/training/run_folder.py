"""The run folder: its files, and whether a run may start or resume there."""

import csv
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import keras

from tfface import __version__, onednn
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError, note, shown, warn
from tfface.files import parse_json, read_regular, remove_partial, replacing, write_json
from tfface.folder_lock import locked
from tfface.heads.head_file import HEAD_FILE
from tfface.names import safe_row
from tfface.recipe import Recipe, dump, load
from tfface.recipe.schema import SourceConfig
from tfface.reporting.provenance import machine, version_of
from tfface.training import multiprocess
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.data_fingerprint import (
    Fingerprint,
    check_same,
    describe_source,
    has_same_images,
    number_of_images,
    read_fingerprints,
    write_fingerprints,
)
from tfface.training.registries import REGISTRIES

# The part of the environment that the last bits of a result depend on.
_EXACT_WITH = (
    "machine",
    "backend",
    "devices",
    "processes",
    "oneDNN",
    "tensorflow",
    "keras",
    "jax",
    "numpy",
)

# Of recipes, in a message.
_MOST_DIFFERENCES = 5
# What the output of a job is written to, often before the run begins.
_LOG_SUFFIXES = (".err", ".log", ".out", ".txt")
PACKAGES = ("tensorflow", "keras", "jax", "numpy", "tensorflow-datasets", "keras-cv", "faiss-cpu")


class RunFolder:
    """The paths of one run; creating the object touches no file.

    Example:
        >>> run = RunFolder(Path("runs/quickstart"))
        >>> str(run.model), str(run.metrics)
        ('runs/quickstart/model.keras', 'runs/quickstart/metrics.jsonl')
    """

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
        self.data = path / "data.json"
        self.checkpoints = path / "checkpoints"

    def is_finished(self, recipe: Recipe) -> bool:
        """Whether a run of this recipe has finished here."""
        return self._holds_results() and not self.resume_error(recipe)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other processes out of it for the block.

        A block that refuses its input before anything is trained leaves the folder as it was.

        Raises InputError: it can't be made, or another process has it.
        """
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--run-dir {self.path}: can't be made: {error.strerror}; give a folder that "
                "you may write"
            ) from error
        with locked(self.path):
            before = set(self.path.iterdir())
            try:
                yield
            except InputError:
                if not (self.has_begun() or self.metrics.exists()):
                    for path in (self.environment, self.recipe, self.data, self.identities):
                        if path not in before:
                            path.unlink(missing_ok=True)
                    for folder in made:
                        # Another run may have come into a folder above it.
                        with suppress(OSError):
                            folder.rmdir()
                raise

    def start(self, recipe: Recipe, *, resume: bool) -> None:
        """Writes recipe and environment into the folder.

        Raises InputError: it can't be written, or holds a run that this one would overwrite.
        """
        if reason := self.resume_error(recipe):
            raise InputError(
                f"{self.path}: {reason}; choose another run folder (--run-dir) or delete it"
            )
        if self.has_begun() and not resume:
            raise InputError(
                f"{self.path}: holds an unfinished run; resume it with --resume, or choose "
                "another run folder (--run-dir)"
            )
        if not resume and (other := self._file_of_others()) is not None:
            raise InputError(
                f"{self.path}: holds {other.name} and no run; choose a new or empty run folder "
                "(--run-dir)"
            )
        remove_partial(self.path)
        if self.has_begun():
            self._report_environment_changes()
        elif resume:
            note(f"--resume: {self.path} holds no checkpoint; starting a new run")
        # First, for a run that is killed between the two is known by it.
        self.keep_precision(self.precision() if self.has_begun() else None)
        with replacing(self.recipe) as temporary:
            temporary.write_text(dump(recipe), encoding="utf-8")

    def precision(self) -> str | None:
        """Returns the precision that `keep_precision` has written, if any."""
        try:
            kept = parse_json(read_regular(self.environment)).get("precision")
        except (OSError, ValueError, AttributeError):
            return None
        return kept if isinstance(kept, str) else None

    def keep_precision(self, precision: str | None) -> None:
        """Writes the environment with the precision of the run, which `auto` keeps on a resume.

        Args:
            precision: None if it is not chosen yet.
        """
        write_json(self.environment, environment() | {"precision": precision})

    def check_data(self, sources: dict[str, Fingerprint]) -> None:
        """Compares the data with those the run began with, and writes their fingerprint.

        Raises:
            InputError: the data are different.
        """
        if self.has_begun():
            check_same(self.data, sources)
        write_fingerprints(self.data, sources)

    def check_unchanged(self, source: ImageSource) -> None:
        """Checks that `data.train` still has the images that the run began with.

        Args:
            source: opened as the run's recipe says.

        Raises:
            InputError: it hasn't, or data.json is damaged.
        """
        before, recipe = read_fingerprints(self.data), self.written_recipe()
        if before is None or recipe is None:
            return
        now = describe_source(source)
        if not has_same_images(before["data.train"], now, recipe.data.train):
            raise InputError(
                f"{self.data}: data.train had other images than now when the run began, or in "
                "another order"
            )

    def different_data(self, other: "RunFolder", sources: Mapping[str, SourceConfig]) -> str:
        """Returns in which data this run and another one differ, or "".

        Warns where they may differ: a source draws some of its images, and its files have other
        sizes or times.

        Args:
            other: of a run whose recipe has the same sources.
            sources: these, by key.

        Raises:
            InputError: a file of theirs is damaged.
        """
        here, there = read_fingerprints(self.data), read_fingerprints(other.data)
        if here is None or there is None:
            return ""
        for key, config in sources.items():
            if key not in here or key not in there:
                continue
            if here[key]["labels"] != there[key]["labels"]:
                return (
                    f"its {key} had {number_of_images(here[key])}, and {other.path} had "
                    f"{number_of_images(there[key])}, or others: delete the run that is out of date"
                )
            if not has_same_images(here[key], there[key], config):
                warn(
                    f"{key} draws some images of a folder whose files had other sizes or times for "
                    f"{self.path} than for {other.path}: if photos were added or removed between "
                    "the two, they have other images; delete the one that is out of date then"
                )
        return ""

    def write_identities(self, names: Sequence[str]) -> None:
        """Writes the identities the run trains on; position = label."""
        with (
            replacing(self.identities) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            table = csv.writer(file)
            table.writerow(["label", "name"])
            table.writerows(safe_row(row) for row in enumerate(names))

    def resume_error(self, recipe: Recipe) -> str:
        """Returns why no run of this recipe can start or continue here, "" if it can."""
        if (foreign := self._foreign_file()) is not None:
            return f"holds {foreign.name} and no run, which would be written over it"
        if not (self.has_begun() or self.report.exists()):
            return ""
        if not self.recipe.is_file():
            return "holds a run whose recipe.yaml is missing, so it can't be resumed"
        written = self.written_recipe()
        if written is None:
            return "holds a run whose recipe.yaml is damaged, or of a version that differs too much"
        before, now = _fixed_part(written), _fixed_part(recipe)
        if self._holds_results():
            # What is left of a run may have other batches; its results don't.
            before["data"]["batch_size"] = written.data.batch_size
            now["data"]["batch_size"] = recipe.data.batch_size
        return "" if before == now else f"holds a run of another recipe{_differences(before, now)}"

    def _holds_results(self) -> bool:
        """Whether all that a run leaves is there (the report is written last)."""
        if not (self.report.is_file() and self.model.is_file()):
            return False
        if self.head.is_file():
            return True
        written = self.written_recipe()
        return written is not None and written.model.head is None

    def _foreign_file(self) -> Path | None:
        """Returns what lies where a run has its files, if no run has written it."""
        if self.has_begun() or self._is_environment():
            return None
        # Of a finished run, who needs no more than its results may have removed the rest.
        if self._holds_results() and self.written_recipe() is not None:
            return None
        own = (path for name, path in sorted(vars(self).items()) if name != "path")
        return next((path for path in own if _holds_something(path)), None)

    def _file_of_others(self) -> Path | None:
        """Returns what lies in the folder, if no run has been there.

        Hidden files and logs don't count.
        """
        if self.has_begun() or self._is_environment():
            return None
        others = (path for path in self.path.glob("[!.]*") if path.suffix not in _LOG_SUFFIXES)
        return min(others, default=None)

    def _is_environment(self) -> bool:
        """Whether environment.json, which a run writes first, is that of a run."""
        try:
            content = parse_json(read_regular(self.environment))
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and "tfface" in content

    def has_begun(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return CheckpointManager(self.checkpoints).exist()

    def written_recipe(self) -> Recipe | None:
        """Returns the run's recipe; keys that its version didn't have get their defaults.

        None if it can't be read.
        """
        try:
            return load(self.recipe, REGISTRIES)
        except InputError:
            return None

    def _report_environment_changes(self) -> None:
        """Prints what differs from the environment that the run began in: last bits may differ."""
        now = environment()
        try:
            before = parse_json(read_regular(self.environment))
            changed = [key for key in _EXACT_WITH if before[key] != now[key]]
        except (OSError, ValueError, KeyError, TypeError):
            # Nothing depends on the file but this message.
            note("warning: environment.json is gone or damaged")
            return
        if changed:
            what = ", ".join(f"{key} {before[key]} -> {now[key]}" for key in changed)
            note(f"resuming in another environment: {what}; the last bits may differ")


def _holds_something(path: Path) -> bool:
    """Whether there is a file, or a folder that isn't empty."""
    return any(path.iterdir()) if path.is_dir() else path.is_symlink() or path.exists()


def _fixed_part(recipe: Recipe) -> dict:
    """Returns a recipe without what may change when a run is resumed."""
    content = recipe.model_dump(mode="json", exclude={"about"})
    for key in ("distribution", "require_gpu", "deterministic", "on_nonfinite", "checkpoints"):
        del content["training"][key]
    for key in ("augment_on", "batch_size"):
        del content["data"][key]
    return content


def _differences(before: dict, now: dict) -> str:
    """Returns the keys in which two recipes differ, in brackets, for the end of a message."""
    flat_before, flat_now = _flat(before), _flat(now)
    different = [
        f"{key}: {_shown(flat_before, key)} before and {_shown(flat_now, key)} now"
        for key in {**flat_before, **flat_now}
        if _shown(flat_before, key) != _shown(flat_now, key)
    ]
    told = different[:_MOST_DIFFERENCES]
    if more := len(different) - len(told):
        told.append(f"and {more} more")
    return f" ({'; '.join(told)})"


def _flat(tree: object, place: str = "") -> dict[str, object]:
    """Returns dotted key -> value of all leaves, empty mappings and lists among them."""
    if isinstance(tree, dict) and tree:
        inner = tree.items()
    elif isinstance(tree, list) and tree:
        inner = enumerate(tree)
    else:
        return {place: tree}
    found = {}
    for key, value in inner:
        found |= _flat(value, f"{place}.{key}" if place else str(key))
    return found


def _shown(values: dict[str, object], key: str) -> str:
    if key not in values:
        return "nothing"
    return shown(json.dumps(values[key], ensure_ascii=False, default=str))


def environment() -> dict[str, object]:
    """Returns what results depend on beside the recipe: machine, versions, backend, devices."""
    return {
        "tfface": __version__,
        "python": platform.python_version(),
        "machine": machine(),
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "processes": multiprocess.process_count(),
        "oneDNN": onednn.is_on(),
        **{package: version_of(package) or "not installed" for package in PACKAGES},
    }
