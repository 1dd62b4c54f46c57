"""Comparing variants of a recipe over seeds: every run in a process and a folder of its own."""

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfface import recipe as recipes
from tfface.errors import InputError
from tfface.files import locked, replacing
from tfface.metrics.seed_statistics import paired_difference, seed_statistics
from tfface.parent_process import named_in
from tfface.progress import Lines, progress
from tfface.recipe import Recipe
from tfface.recipe.yaml_file import parse_value
from tfface.training.registries import TABLES
from tfface.training.run_folder import RunFolder
from tfface.training.run_metrics import (
    RunMetrics,
    metric_names,
    read_run_metrics,
    validation_metrics,
)

# Of a folder's name, before the hash that longer ones end with.
_LONGEST_FOLDER = 60
# Keys that say what a part is; the place of such a key is called as the part is.
_NAME_KEYS = ("name", "source")
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class SweepAxis:
    """One place of a recipe and what it is to be.

    Attributes:
        place: as in `--set`.
        values: as YAML reads them.
    """

    place: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Trial:
    """One of the recipes that are compared.

    Attributes:
        name: what tables call it; no two have one.
        folder: the same as a part of a file's name.
        values: place -> what is there.
        overrides: the same as `--set` takes it.
    """

    name: str
    folder: str
    values: dict[str, Any]
    overrides: list[str]


def parse_axis(argument: str) -> SweepAxis:
    """Reads PLACE=V1,V2,...: split at commas outside of brackets and quotes, or one YAML list.

    Raises InputError: it is no such text, a value is no YAML, or one is given twice.
    """
    place, equals, text = argument.partition("=")
    place = place.strip()
    if not equals or not place or not text.strip():
        raise InputError(
            f"--vary {argument}: must be PLACE=VALUE,VALUE,..., as in "
            "training.stages.0.optimizer.name=sgd,adam"
        )
    try:
        values = [parse_value(piece) for piece in _pieces(text)]
    except InputError as error:
        raise InputError(f"--vary {argument}: a value is {error}") from error
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if not values:
        raise InputError(f"--vary {argument}: the list of values is empty")
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise InputError(f"--vary {argument}: {format_value(twice[0])} is given twice")
    return SweepAxis(place, tuple(values))


def make_trials(varied: Sequence[SweepAxis], recipe_name: str) -> list[Trial]:
    """Returns a variant for every combination of values, the last place changing first.

    Args:
        recipe_name: what the single variant is called where nothing is varied.
    Raises InputError: a place is given twice, or is the seed, or two variants have one name.
    """
    places = [one.place for one in varied]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"--vary {place}: given twice; give all its values at once")
        if place == "training.seed":
            raise InputError("--vary training.seed: give --seeds N, which compares over seeds")
    if not varied:
        return [Trial(recipe_name, _folder_name(recipe_name), {}, [])]
    short = dict(zip(places, short_paths(places), strict=True))
    variants = [
        _variant(dict(zip(places, values, strict=True)), short)
        for values in itertools.product(*(one.values for one in varied))
    ]
    names = [variant.name for variant in variants]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"--vary: two variants would be called '{twice[0]}'")
    return variants


def short_paths(places: Sequence[str]) -> list[str]:
    """Returns the ends of places that tell them apart; what names a part is called as the part.

    training.stages.0.optimizer.name is "optimizer", training.stages.1.epochs is "epochs", or
    "stages.1.epochs" beside that of another stage.
    """
    keys = [place.split(".") for place in places]
    keys = [one[:-1] if one[-1] in _NAME_KEYS and len(one) > 1 else one for one in keys]
    found = []
    for one in keys:
        for length in range(1, len(one) + 1):
            end = one[-length:]
            # A number alone says nothing.
            if end[0].isdigit():
                continue
            if sum(other[-length:] == end for other in keys) == 1:
                break
        found.append(".".join(end))
    return found


def format_value(value: Any) -> str:
    """Returns a value as a person would say it: `sgd learning_rate=0.1` for that optimizer."""
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, dict):
        given = dict(value)
        key = next((key for key in _NAME_KEYS if key in given), None)
        if key is not None:
            head = [format_value(given.pop(key))]
        elif len(given) == 1 and isinstance(next(iter(given.values())), dict):
            [(name, given)] = given.items()
            head = [str(name)]
        else:
            head = []
        return " ".join(head + [f"{key}={format_value(one)}" for key, one in given.items()]) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(format_value, value))}]"
    return json.dumps(value, default=str)


def _variant(values: dict[str, Any], short: dict[str, str]) -> Trial:
    names = {place: format_value(value) for place, value in values.items()}
    if len(names) == 1:
        [name] = names.values()
    else:
        name = ", ".join(f"{short[place]}={text}" for place, text in names.items())
    return Trial(
        name=name,
        folder=_folder_name("--".join(f"{short[place]}-{text}" for place, text in names.items())),
        values=values,
        overrides=[f"{place}={json.dumps(value, default=str)}" for place, value in values.items()],
    )


def _folder_name(text: str) -> str:
    """Returns text as a part of a file's name; where that loses anything, a hash tells it apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)
    if plain == text and len(text) <= _LONGEST_FOLDER:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[:_LONGEST_FOLDER]}-{digest}"


def _pieces(text: str) -> Iterator[str]:
    """Yields what lies between commas that are in no brackets and no quotes."""
    depth, quote, start = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


# A run that is told to stop ends its step and says how to go on. On a terminal it is told so
# together with this process.
_SECONDS_TO_STOP = (5, 20)
_LONGEST_REASON = 300
# Exit codes of the training tool.
_ENDED_BY_SIGNAL = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


@dataclass
class TrialRun:
    """One variant with one seed.

    Attributes:
        recipe: as it is run.
        recipe_file: the same, written for the run's process.
        folder: the run folder.
        log: what the run says.
        figures: what it has measured, once it has.
        failure: why it hasn't, in one line, or "".
    """

    variant: Trial
    seed: int
    recipe: Recipe
    recipe_file: Path
    folder: Path
    log: Path
    figures: RunMetrics | None = None
    failure: str = ""

    @property
    def name(self) -> str:
        return f"{self.variant.name}, seed {self.seed}"


@dataclass
class Comparison:
    """Variants of a recipe, and what their runs have measured.

    Attributes:
        title: what is compared.
        metric: the figure they are compared by.
        curve: the figure of each epoch that is drawn.
        recipe: of the first variant and seed.
        variants: in order; the first is what the others are compared with.
        runs: of all variants and seeds.
    """

    title: str
    metric: str
    curve: str
    recipe: Recipe
    variants: list[Trial]
    runs: list[TrialRun] = field(repr=False)

    @property
    def failed(self) -> list[TrialRun]:
        return [run for run in self.runs if run.failure]

    def to_json(self) -> dict:
        """Returns what `compare --json` writes."""
        places = list(self.variants[0].values)
        reference = self._figures_of(self.variants[0])
        return {
            "title": self.title,
            "metric": self.metric,
            "curve": self.curve,
            "places": places,
            "seeds": sorted({run.seed for run in self.runs}),
            "variants": [
                self._variant(variant, None if number == 0 else reference)
                for number, variant in enumerate(self.variants)
            ],
        }

    def _figures_of(self, variant: Trial) -> dict[int, float]:
        return {
            run.seed: run.figures.figures[self.metric]
            for run in self.runs
            if run.variant is variant and run.figures is not None
        }

    def _variant(self, variant: Trial, reference: dict[int, float] | None) -> dict:
        figures = self._figures_of(variant)
        difference = reference and paired_difference(figures, reference)
        return {
            "name": variant.name,
            "values": variant.values,
            "figure": seed_statistics(list(figures.values())).to_dict() if figures else None,
            "difference": difference.to_dict() if difference else None,
            "runs": [self._run(run) for run in self.runs if run.variant is variant],
        }

    def _run(self, run: TrialRun) -> dict:
        found = run.figures
        return {
            "seed": run.seed,
            "folder": str(run.folder),
            "log": str(run.log),
            "failure": run.failure,
            "figure": found and found.figures[self.metric],
            "figures": found and found.figures,
            "num_epochs": found and len(found.epochs),
            "seconds": found and round(found.seconds, 3),
            "curve": found and [[one["epoch"], one.get(self.curve)] for one in found.epochs],
        }


def plan(
    recipe: Path,
    varied: Sequence[SweepAxis],
    output: Path,
    *,
    num_seeds: int = 1,
    overrides: Sequence[str] = (),
    metric: str | None = None,
) -> Comparison:
    """Checks all variants before anything runs.

    Args:
        recipe: the file.
        varied: every combination of their values is a variant; none for the recipe as it is.
        output: the comparison's folder; nothing is written there yet.
        num_seeds: the recipe's seed and as many more after it as make so many.
        overrides: as `--set` takes them, for all variants.
        metric: the figure to compare by; by default the first that the recipe measures.
    Raises InputError: a variant is no recipe, doesn't measure the figure, or its run folder holds
        the run of another recipe. All such variants are named.
    """
    variants = make_trials(varied, recipe.stem)
    runs, mistakes = [], []
    for variant in variants:
        try:
            runs += _plan_runs(recipe, variant, output, num_seeds, overrides)
        except InputError as error:
            mistakes += [f"variant '{variant.name}': {line}" for line in str(error).split("\n")]
    if mistakes:
        raise InputError("\n".join(mistakes))
    chosen = metric or metric_names(runs[0].recipe)[0]
    for run in runs:
        known = metric_names(run.recipe)
        if chosen not in known:
            raise InputError(
                f"--metric {chosen}: variant '{run.variant.name}' doesn't measure it; it measures: "
                f"{', '.join(known)}"
            )
        if reason := RunFolder(run.folder).resume_error(run.recipe):
            raise InputError(f"{run.folder}: {reason}; give another --output, or delete it")
    per_epoch = [*validation_metrics(runs[0].recipe), "accuracy", "loss"]
    return Comparison(
        title=recipe.stem,
        metric=chosen,
        curve=chosen if chosen in per_epoch else per_epoch[0],
        recipe=runs[0].recipe,
        variants=variants,
        # Seed by seed, so that what there is of an interrupted comparison compares all variants.
        runs=[run for seed in range(num_seeds) for run in runs[seed::num_seeds]],
    )


def _plan_runs(
    recipe: Path, variant: Trial, output: Path, num_seeds: int, overrides: Sequence[str]
) -> list[TrialRun]:
    given = [*overrides, *variant.overrides]
    first = recipes.load(recipe, TABLES, given).training.seed
    runs = []
    for seed in range(first, first + num_seeds):
        name = f"{variant.folder}--seed-{seed}"
        runs.append(
            TrialRun(
                variant=variant,
                seed=seed,
                recipe=recipes.load(recipe, TABLES, [*given, f"training.seed={seed}"]),
                recipe_file=output / "recipes" / f"{name}.yaml",
                folder=output / "runs" / name,
                log=output / "logs" / f"{name}.txt",
            )
        )
    return runs


def compare(comparison: Comparison, output: Path, train: Sequence[str]) -> None:
    """Makes the runs that aren't finished yet, and reads what all have measured.

    A run that fails ends its variant; the others go on.

    Args:
        comparison: as `plan` returns it; its runs get their figures or failures.
        output: the comparison's folder.
        train: the command that trains a recipe; the recipe's path, `--run-dir D` and `--resume`
            are added to it.
    Raises InputError: another process is writing the folder, or it can't be written.
    """
    ended: set[str] = set()
    with (
        locked(output),
        progress(total=len(comparison.runs), description="comparing", unit="runs") as bar,
    ):
        for number, run in enumerate(comparison.runs, start=1):
            title = f"{number}/{len(comparison.runs)} {run.name}"
            if not RunFolder(run.folder).is_finished(run.recipe):
                if run.variant.name in ended:
                    run.failure = "not run, as another seed of this variant failed"
                else:
                    bar.set_description(title)
                    run.failure = _run(run, train, bar)
            if not run.failure:
                _read_figures(run, comparison.metric)
            if run.failure:
                ended.add(run.variant.name)
                said = f"failed: {run.failure}"
            else:
                said = f"{comparison.metric} {run.figures.figures[comparison.metric]:.4f}"
            bar.update()
            tqdm.write(f"{title}: {said}")


def _read_figures(run: TrialRun, metric: str) -> None:
    try:
        found = read_run_metrics(RunFolder(run.folder), run.recipe)
    except InputError as error:
        run.failure = str(error)
        return
    if metric in found.figures:
        run.figures = found
    else:
        run.failure = f"has measured no {metric}"


def _run(run: TrialRun, train: Sequence[str], bar: tqdm | Lines) -> str:
    """Trains in a process of its own; returns why that failed, or ""."""
    with replacing(run.recipe_file) as temporary:
        temporary.write_text(recipes.dump(run.recipe), encoding="utf-8")
    run.log.parent.mkdir(parents=True, exist_ok=True)
    command = [*train, str(run.recipe_file), "--run-dir", str(run.folder), "--resume"]
    lines = []
    with (
        run.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # So that its last line is the last that it said.
            env=named_in({**os.environ, "PYTHONUNBUFFERED": "1"}),
        ) as process,
    ):
        try:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.strip():
                    lines.append(line.strip())
                    bar.set_postfix_str(lines[-1][:60])
        except KeyboardInterrupt:
            _stop(process)
            raise
    bar.set_postfix_str("")
    return "" if process.returncode == 0 else _reason(process.returncode, lines)


def _stop(process: subprocess.Popen) -> None:
    for seconds in _SECONDS_TO_STOP:
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    process.kill()


def _reason(code: int, lines: Sequence[str]) -> str:
    # The tool ends so after a checkpoint, a process without a handler at once.
    by_signal = code - 128 if code in _ENDED_BY_SIGNAL else -code
    if by_signal > 0:
        name = signal.Signals(by_signal).name
        hint = ", which the system does when memory runs out" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    errors = [line for line in lines if line.startswith("error: ")] or lines[-1:]
    reason = errors[-1].removeprefix("error: ") if errors else f"the process ended with {code}"
    return re.sub(r"\s+", " ", reason)[:_LONGEST_REASON]
