"""Sweeps: variants of a recipe compared over seeds, each run in its own process and folder."""

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
from tfface.files import replacing
from tfface.folder_lock import locked
from tfface.metrics.seed_statistics import paired_difference, seed_statistics
from tfface.parent_process import training_environment
from tfface.progress import Lines, progress
from tfface.recipe import Recipe
from tfface.signals import ENDING
from tfface.training.data_fingerprint import fingerprinted_sources
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder
from tfface.training.run_metrics import (
    RunMetrics,
    metric_names,
    read_run_metrics,
    training_metrics,
    validation_metrics,
)
from tfface.training.sweep_axes import SweepAxis, Trial, make_trials

# A run that gets a signal finishes its step and writes a checkpoint. On a terminal it gets Ctrl-C
# together with this process.
_SECONDS_TO_STOP = (5, 20)
_LONGEST_REASON = 300
# Exit codes of the training tool.
_ENDED_BY_SIGNAL = {128 + number for number in ENDING}


@dataclass
class TrialRun:
    """The run of one trial with one seed.

    Attributes:
        trial: the variant.
        seed: the seed.
        recipe: with both.
        recipe_file: the same, written for the run's process.
        folder: the run folder.
        log: file of the run's output.
        result: its metrics, once it is finished.
        failure: why it failed, in one line, or "".
    """

    trial: Trial
    seed: int
    recipe: Recipe
    recipe_file: Path
    folder: Path
    log: Path
    result: RunMetrics | None = None
    failure: str = ""

    @property
    def name(self) -> str:
        return f"{self.trial.name}, seed {self.seed}"


@dataclass
class Sweep:
    """Trials of a recipe and the results of their runs.

    Attributes:
        title: name of the recipe.
        metric: the metric by which trials are compared.
        curve: the metric of each epoch to plot.
        recipe: of the first trial and seed.
        trials: in order; the others are compared with the first.
        runs: of all trials and seeds.
    """

    title: str
    metric: str
    curve: str
    recipe: Recipe
    trials: list[Trial]
    runs: list[TrialRun] = field(repr=False)

    @property
    def failed(self) -> list[TrialRun]:
        return [run for run in self.runs if run.failure]

    def to_dict(self) -> dict:
        """Returns what `compare --json` writes."""
        keys = list(self.trials[0].values)
        reference = self._metrics_by_seed(self.trials[0])
        return {
            "title": self.title,
            "metric": self.metric,
            "curve": self.curve,
            "places": keys,
            "seeds": sorted({run.seed for run in self.runs}),
            "variants": [
                self._trial_json(trial, None if number == 0 else reference)
                for number, trial in enumerate(self.trials)
            ],
        }

    def _metrics_by_seed(self, trial: Trial) -> dict[int, float]:
        return {
            run.seed: run.result.metrics[self.metric]
            for run in self.runs
            if run.trial is trial and run.result is not None
        }

    def _trial_json(self, trial: Trial, reference: dict[int, float] | None) -> dict:
        metrics = self._metrics_by_seed(trial)
        difference = reference and paired_difference(metrics, reference)
        return {
            "name": trial.name,
            "values": trial.values,
            "figure": seed_statistics(list(metrics.values())).to_dict() if metrics else None,
            "difference": difference.to_dict() if difference else None,
            "runs": [self._run_json(run) for run in self.runs if run.trial is trial],
        }

    def _run_json(self, run: TrialRun) -> dict:
        found = run.result
        return {
            "seed": run.seed,
            "folder": str(run.folder),
            "log": str(run.log),
            "failure": run.failure,
            "figure": found and found.metrics[self.metric],
            "figures": found and found.metrics,
            "num_epochs": found and len(found.epochs),
            "seconds": found and round(found.seconds, 3),
            "curve": found and [[one["epoch"], one.get(self.curve)] for one in found.epochs],
        }


def plan_sweep(
    recipe: Path,
    axes: Sequence[SweepAxis],
    output: Path,
    *,
    num_seeds: int = 1,
    overrides: Sequence[str] = (),
    metric: str | None = None,
) -> Sweep:
    """Checks all trials before anything runs.

    Args:
        recipe: the file.
        axes: every combination of their values is a trial; none for the recipe as it is.
        output: the sweep's folder; nothing is written there yet.
        num_seeds: number of seeds, from that of the recipe on.
        overrides: as `--set` takes them, for all trials.
        metric: the metric to compare by; by default the first that the recipe measures.

    Raises:
        InputError: trials are not valid recipes, don't measure the metric, or their run folder
            holds the run of another recipe. All invalid recipes are named.
    """
    trials = make_trials(axes, recipe.stem)
    runs, errors = [], []
    for trial in trials:
        try:
            runs += _plan_runs(recipe, trial, output, num_seeds, overrides)
        except InputError as error:
            errors += [f"variant '{trial.name}': {line}" for line in str(error).split("\n")]
    if errors:
        raise InputError("\n".join(errors))
    chosen = metric or metric_names(runs[0].recipe)[0]
    for run in runs:
        known = metric_names(run.recipe)
        if chosen not in known:
            raise InputError(
                f"--metric {chosen}: variant '{run.trial.name}' doesn't measure it; it measures: "
                f"{', '.join(known)}"
            )
        if reason := RunFolder(run.folder).resume_error(run.recipe):
            raise InputError(f"{run.folder}: {reason}; give another --output, or delete it")
    per_epoch = [*validation_metrics(runs[0].recipe), *training_metrics(runs[0].recipe)]
    return Sweep(
        title=recipe.stem,
        metric=chosen,
        curve=chosen if chosen in per_epoch else per_epoch[0],
        recipe=runs[0].recipe,
        trials=trials,
        # Seed by seed, so that an interrupted sweep has runs of all trials.
        runs=[run for seed in range(num_seeds) for run in runs[seed::num_seeds]],
    )


def _plan_runs(
    recipe: Path, trial: Trial, output: Path, num_seeds: int, overrides: Sequence[str]
) -> list[TrialRun]:
    given = [*overrides, *trial.overrides]
    first = recipes.load(recipe, REGISTRIES, given).training.seed
    runs = []
    for seed in range(first, first + num_seeds):
        name = f"{trial.folder}--seed-{seed}"
        runs.append(
            TrialRun(
                trial=trial,
                seed=seed,
                recipe=recipes.load(recipe, REGISTRIES, [*given, f"training.seed={seed}"]),
                recipe_file=output / "recipes" / f"{name}.yaml",
                folder=output / "runs" / name,
                log=output / "logs" / f"{name}.txt",
            )
        )
    return runs


def run_sweep(sweep: Sweep, output: Path, train: Sequence[str]) -> None:
    """Runs what isn't finished yet, and reads the metrics of all runs.

    After a failed run, the other seeds of its trial are skipped; other trials run.

    Args:
        sweep: as `plan_sweep` returns it; its runs get their results or failures.
        output: the sweep's folder.
        train: the command that trains a recipe; the recipe's path, `--run-dir D` and `--resume`
            are added to it.

    Raises:
        InputError: another process is writing the folder, or it can't be written.
    """
    ended: set[str] = set()
    with (
        locked(output),
        progress(total=len(sweep.runs), description="comparing", unit="runs") as bar,
    ):
        for number, run in enumerate(sweep.runs, start=1):
            title = f"{number}/{len(sweep.runs)} {run.name}"
            if not RunFolder(run.folder).is_finished(run.recipe):
                if run.trial.name in ended:
                    run.failure = "not run, as another seed of this variant failed"
                else:
                    bar.set_description(title)
                    run.failure = _run(run, train, bar)
            if not run.failure:
                _read_metrics(run, sweep.metric)
            if not run.failure:
                _check_data(run, sweep.runs)
            if run.failure:
                ended.add(run.trial.name)
                said = f"failed: {run.failure}"
            else:
                said = f"{sweep.metric} {run.result.metrics[sweep.metric]:.4f}"
            bar.update()
            tqdm.write(f"{title}: {said}")


def _read_metrics(run: TrialRun, metric: str) -> None:
    try:
        found = read_run_metrics(RunFolder(run.folder), run.recipe)
    except InputError as error:
        run.failure = str(error)
        return
    if metric in found.metrics:
        run.result = found
    else:
        run.failure = f"has measured no {metric}"


def _check_data(run: TrialRun, runs: Sequence[TrialRun]) -> None:
    """Makes it a failure that a run had other images than the first one with the same sources."""
    sources = fingerprinted_sources(run.recipe)
    for other in runs:
        others = fingerprinted_sources(other.recipe)
        if other is run or other.result is None or others["data.train"] != sources["data.train"]:
            continue
        same = {key: source for key, source in sources.items() if others.get(key) == source}
        try:
            run.failure = RunFolder(run.folder).different_data(RunFolder(other.folder), same)
        except InputError as error:
            run.failure = str(error)
        if run.failure:
            run.result = None
        return


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
            env=training_environment({**os.environ, "PYTHONUNBUFFERED": "1"}),
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
            # It has reached the training, too.
            _stop(process)
            raise
        except BaseException:
            # Another signal may have reached only this process; the training writes a checkpoint.
            process.terminate()
            log.write(process.stdout.read())
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
