"""Comparing variants of a recipe over seeds: every run in a process and a folder of its own."""

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tfface import recipe as recipes
from tfface.errors import InputError
from tfface.files import locked, replacing
from tfface.metrics.seed_statistics import paired_difference, seed_statistics
from tfface.parent_process import named_in
from tfface.progress import Lines, progress
from tfface.recipe import Recipe
from tfface.training.registries import TABLES
from tfface.training.run_folder import RunFolder
from tfface.training.run_metrics import RunFigures, figure_names, read_run, validation_figures
from tfface.training.sweep_axes import Variant, Varied, make_variants

# A run that is told to stop ends its step and says how to go on. On a terminal it is told so
# together with this process.
_SECONDS_TO_STOP = (5, 20)
_LONGEST_REASON = 300
# Exit codes of the training tool.
_ENDED_BY_SIGNAL = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


@dataclass
class PlannedRun:
    """One variant with one seed.

    Attributes:
        recipe: as it is run.
        recipe_file: the same, written for the run's process.
        folder: the run folder.
        log: what the run says.
        figures: what it has measured, once it has.
        failure: why it hasn't, in one line, or "".
    """

    variant: Variant
    seed: int
    recipe: Recipe
    recipe_file: Path
    folder: Path
    log: Path
    figures: RunFigures | None = None
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
    variants: list[Variant]
    runs: list[PlannedRun] = field(repr=False)

    @property
    def failed(self) -> list[PlannedRun]:
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

    def _figures_of(self, variant: Variant) -> dict[int, float]:
        return {
            run.seed: run.figures.figures[self.metric]
            for run in self.runs
            if run.variant is variant and run.figures is not None
        }

    def _variant(self, variant: Variant, reference: dict[int, float] | None) -> dict:
        figures = self._figures_of(variant)
        difference = reference and paired_difference(figures, reference)
        return {
            "name": variant.name,
            "values": variant.values,
            "figure": seed_statistics(list(figures.values())).to_dict() if figures else None,
            "difference": difference.to_dict() if difference else None,
            "runs": [self._run(run) for run in self.runs if run.variant is variant],
        }

    def _run(self, run: PlannedRun) -> dict:
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
    varied: Sequence[Varied],
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
    variants = make_variants(varied, recipe.stem)
    runs, mistakes = [], []
    for variant in variants:
        try:
            runs += _plan_runs(recipe, variant, output, num_seeds, overrides)
        except InputError as error:
            mistakes += [f"variant '{variant.name}': {line}" for line in str(error).split("\n")]
    if mistakes:
        raise InputError("\n".join(mistakes))
    chosen = metric or figure_names(runs[0].recipe)[0]
    for run in runs:
        known = figure_names(run.recipe)
        if chosen not in known:
            raise InputError(
                f"--metric {chosen}: variant '{run.variant.name}' doesn't measure it; it measures: "
                f"{', '.join(known)}"
            )
        if reason := RunFolder(run.folder).reason_against(run.recipe):
            raise InputError(f"{run.folder}: {reason}; give another --output, or delete it")
    per_epoch = [*validation_figures(runs[0].recipe), "accuracy", "loss"]
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
    recipe: Path, variant: Variant, output: Path, num_seeds: int, overrides: Sequence[str]
) -> list[PlannedRun]:
    given = [*overrides, *variant.overrides]
    first = recipes.load(recipe, TABLES, given).training.seed
    runs = []
    for seed in range(first, first + num_seeds):
        name = f"{variant.folder}--seed-{seed}"
        runs.append(
            PlannedRun(
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


def _read_figures(run: PlannedRun, metric: str) -> None:
    try:
        found = read_run(RunFolder(run.folder), run.recipe)
    except InputError as error:
        run.failure = str(error)
        return
    if metric in found.figures:
        run.figures = found
    else:
        run.failure = f"has measured no {metric}"


def _run(run: PlannedRun, train: Sequence[str], bar: tqdm | Lines) -> str:
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
