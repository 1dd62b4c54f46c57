"""Kills tools at random moments, lets them go on, and compares what they make in the end with what
they make undisturbed, bit for bit.

    python -m tests.faults.kills --kills 100 --results results/kills.csv
"""

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tfface.reporting.metrics_log import read_metrics
from tfface.reporting.provenance import provenance
from tfface.reporting.results import append_rows
from tfface.training.checkpoint_file import read_arrays

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.001

RECIPE = """
data:
  train: {source: synthetic, num_identities: 6, images_per_identity: 10, size: 32}
  validation: {fraction: 0.2, by: image}
  image_size: 32
  cache: memory
  augment: [random_flip, {color_jitter: {brightness: 0.1}}]
  batch_size: 8
model:
  backbone: {name: plain_cnn, channels: [8, 16, 32, 64]}
  neck: {pooling: average, dropout: 0.2, batch_norm: true}
  embedding_size: 64
  head: {name: arcface, margin: 0.1, scale: 8}
training:
  seed: 5
  checkpoints: {every_steps: 3}
  stages:
    - {name: head, freeze: backbone, epochs: 4, optimizer: adam}
    - {name: all, epochs: 6, optimizer: {name: sgd, learning_rate: 0.05, weight_decay: 5e-4},
       lr_warmup_epochs: 1, schedule: cosine}
"""


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is killed.

    Attributes:
        command: given a folder for inputs and the output's path, the tool and its arguments.
        summary: what is the same whether it was killed or not, of the output.
        moments: when it is killed; the keys of MOMENTS.
        environment: beside the usual one.
        num_writes: files that one run of it writes, at least.
        done_by: a file of the output with which all is done, where the tool refuses to do it again.
    """

    name: str
    command: Callable[[Path, Path], list[str]]
    summary: Callable[[Path], object]
    moments: tuple[str, ...]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    num_writes: int = 8
    done_by: str = ""

    def is_done(self, output: Path) -> bool:
        return bool(self.done_by) and (output / self.done_by).exists()


@dataclasses.dataclass
class Watched:
    """A tool that runs.

    Attributes:
        seconds: that an undisturbed one takes.
        num_writes: files that an undisturbed one writes, at least.
        left: names of the unfinished files of those killed before it.
    """

    process: subprocess.Popen
    output: Path
    said: Path
    seconds: float
    num_writes: int
    random: random.Random
    left: set[str]
    begun: float = dataclasses.field(default_factory=time.monotonic)

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Returns whether it came before the process ended."""
        while self.process.poll() is None:
            if condition():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def wait_up_to(self, seconds: float) -> bool:
        end = time.monotonic() + self.random.uniform(0, seconds)
        return self.wait_for(lambda: time.monotonic() >= end)


def _at_any_time(tool: Watched) -> bool:
    return tool.wait_up_to(tool.seconds)


def _in_training(tool: Watched) -> bool:
    """After the line about a stage, by which time most of its life is over."""
    return tool.wait_for(lambda: "\nstage " in tool.said.read_text(errors="replace")) and (
        tool.wait_up_to(0.6 * tool.seconds)
    )


def _in_a_write(tool: Watched) -> bool:
    """While there is a file that has not got its name yet."""
    seen: set[str] = set()
    wanted = tool.random.randint(1, tool.num_writes)

    def is_there() -> bool:
        seen.update(_unfinished(tool.output) - tool.left)
        return len(seen) >= wanted

    return tool.wait_for(is_there)


def _unfinished(output: Path) -> set[str]:
    """Names of its files that have not got their own name yet."""
    found: set[str] = set()
    for folder in (output, output / "checkpoints"):
        with contextlib.suppress(FileNotFoundError):
            found.update(name for name in os.listdir(folder) if ".partial" in name)
    return found


def _between_stages(tool: Watched) -> bool:
    return tool.wait_for(lambda: "\nstage 2/" in tool.said.read_text(errors="replace")) and (
        tool.wait_up_to(0.3)
    )


def _in_the_evaluation(tool: Watched) -> bool:
    return tool.wait_for((tool.output / "head.npz").exists) and tool.wait_up_to(1.5)


MOMENTS = {
    "any time": _at_any_time,
    "training": _in_training,
    "write": _in_a_write,
    "between stages": _between_stages,
    "evaluation": _in_the_evaluation,
}
# Of results.
_COLUMNS = {
    "any time": "kills_any_time",
    "training": "kills_in_training",
    "write": "kills_in_write",
    "between stages": "kills_between_stages",
    "evaluation": "kills_in_evaluation",
}


def _train(*overrides: str) -> Callable[[Path, Path], list[str]]:
    def command(inputs: Path, output: Path) -> list[str]:
        recipe = inputs / "recipe.yaml"
        recipe.write_text(RECIPE, encoding="utf-8")
        sets = [word for override in overrides for word in ("--set", override)]
        return ["tools/train.py", str(recipe), "--run-dir", str(output), "--resume", *sets]

    return command


def _convert(inputs: Path, output: Path) -> list[str]:
    _draw_faces(inputs / "faces")
    arguments = [str(inputs / "faces"), "--output", str(output), "--shards", "4"]
    return ["tools/convert_tfrecord.py", *arguments]


def _build_gallery(inputs: Path, output: Path) -> list[str]:
    _draw_faces(inputs / "faces")
    model = inputs / "model.keras"
    if not model.exists():
        import keras

        images = keras.Input((32, 32, 3))
        embeddings = keras.layers.Dense(16)(keras.layers.Flatten()(images))
        keras.utils.set_random_seed(0)
        keras.Model(images, embeddings).save(model)
    arguments = [str(model), str(inputs / "faces"), "--gallery", str(output)]
    return ["tools/gallery.py", "build", *arguments]


def _draw_faces(folder: Path) -> None:
    if folder.exists():
        return
    from PIL import Image

    numbers = np.random.default_rng(0)
    for identity in range(20):
        (folder / f"p{identity}").mkdir(parents=True)
        for image in range(40):
            pixels = numbers.integers(0, 256, (32, 32, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / f"p{identity}" / f"{image}.png")


def _run_summary(run: Path) -> dict[str, object]:
    """The last checkpoint, the head and the model by their numbers, and the log without times."""
    import keras

    newest = max((run / "checkpoints").glob("checkpoint-*.safetensors"))
    arrays, progress = read_arrays(newest)
    found: dict[str, object] = {key: _digest(array) for key, array in arrays.items()}
    found["progress"] = progress
    with np.load(run / "head.npz") as file:
        found |= {f"head {key}": _digest(file[key]) for key in file}
    model = keras.saving.load_model(run / "model.keras", compile=False)
    found |= {f"model {n}": _digest(array) for n, array in enumerate(model.get_weights())}
    times = ("epoch_seconds", "images_per_second")
    found["log"] = [
        {key: value for key, value in record.items() if key not in times}
        for record in read_metrics(run / "metrics.jsonl")
    ]
    return found


def _folder_summary(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if ".partial" not in file.name
    }


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()


def _training(name: str, *overrides: str, backend: str = "tensorflow") -> Kind:
    return Kind(name, _train(*overrides), _run_summary, tuple(MOMENTS), {"KERAS_BACKEND": backend})


_GAP = (
    "training.stages.0.overfit_stop={max_gap: 0.1}",
    "training.stages.1.early_stopping={monitor: val_loss, patience: 2}",
    "training.stages.1.ema_momentum=0.8",
)
KINDS = {
    kind.name: kind
    for kind in (
        _training("softmax", "model.head=softmax"),
        _training("ArcFace"),
        _training("sampled centers", "model.head.sample_rate=0.5"),
        _training("two stages with a gap", *_GAP),
        _training("cached features", "data.cache=features", "data.num_cached_augmentations=2"),
        _training("mixed_bfloat16", "training.precision=mixed_bfloat16"),
        _training("mixed_float16", "training.precision=mixed_float16"),
        _training("ArcFace on JAX", backend="jax"),
        Kind("conversion", _convert, _folder_summary, ("any time", "write"), num_writes=4),
        Kind(
            "gallery",
            _build_gallery,
            _folder_summary,
            ("any time", "write"),
            num_writes=3,
            done_by="gallery.json",
        ),
    )
}


@dataclasses.dataclass
class Outcome:
    """What became of a kind.

    Attributes:
        kills: how often it was killed, by moment.
        num_ends: how many outputs were finished after kills, and compared.
        differences: what differed, by name; empty if nothing was lost.
    """

    kind: str
    kills: collections.Counter
    num_ends: int
    differences: list[str]


def kill(kind: Kind, folder: Path, num_kills: int, seed: int) -> Outcome:
    """Kills a tool so often, at moments drawn by the seed, letting it go on each time.

    Up to 5 times in a row; then it may end, and is compared.
    """
    numbers = random.Random(f"{kind.name} {seed}")
    folder.mkdir(parents=True)
    begun = time.monotonic()
    _finish(kind, folder, folder / "undisturbed")
    seconds = time.monotonic() - begun
    expected = kind.summary(folder / "undisturbed")
    outcome = Outcome(kind.name, collections.Counter(), 0, [])
    while outcome.kills.total() < num_kills:
        output = folder / f"killed_{outcome.num_ends}"
        for _ in range(min(5, num_kills - outcome.kills.total())):
            moment = numbers.choice(kind.moments)
            if not _killed(kind, folder, output, moment, seconds, numbers):
                break
            outcome.kills[moment] += 1
            if kind.is_done(output):
                break
        _finish(kind, folder, output)
        found = kind.summary(output)
        outcome.num_ends += 1
        outcome.differences += [
            f"{output.name}: {key}"
            for key in sorted({*expected, *found})
            if expected.get(key) != found.get(key)
        ]
        if not outcome.differences:
            shutil.rmtree(output)
    return outcome


def _start(kind: Kind, folder: Path, output: Path, said: Path) -> subprocess.Popen:
    with said.open("w") as file:
        return subprocess.Popen(
            [sys.executable, *kind.command(folder, output)],
            cwd=ROOT,
            env=os.environ | kind.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _killed(kind, folder, output, moment, seconds, numbers) -> bool:
    said = folder / "said.txt"
    left = _unfinished(output)
    process = _start(kind, folder, output, said)
    tool = Watched(process, output, said, seconds, kind.num_writes, numbers, left)
    if not MOMENTS[moment](tool):
        if process.returncode != 0:
            raise RuntimeError(f"{kind.name} failed by itself:\n{said.read_text()}")
        return False
    process.send_signal(signal.SIGKILL)
    # It may have ended in between.
    return process.wait() == -signal.SIGKILL


def _finish(kind: Kind, folder: Path, output: Path) -> None:
    if kind.is_done(output):
        return
    said = folder / "said.txt"
    if _start(kind, folder, output, said).wait():
        raise RuntimeError(f"{kind.name} failed:\n{said.read_text()}")


def _all(outcomes: list[Outcome]) -> Outcome:
    return Outcome(
        "all",
        sum((outcome.kills for outcome in outcomes), collections.Counter()),
        sum(outcome.num_ends for outcome in outcomes),
        [difference for outcome in outcomes for difference in outcome.differences],
    )


def rows(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Returns the rows of results, one for each outcome."""
    return [
        {
            "workload": outcome.kind,
            **{column: outcome.kills[moment] for moment, column in _COLUMNS.items()},
            "num_kills": outcome.kills.total(),
            "num_compared": outcome.num_ends,
            "num_different": len(outcome.differences),
        }
        for outcome in outcomes
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="of all kinds together")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2, help="processes that run at once")
    parser.add_argument("--results", type=Path, help="add a row for each kind to this CSV file")
    options = parser.parse_args()
    measured_by = provenance()
    each = -(-options.kills // len(options.kinds))
    with (
        tempfile.TemporaryDirectory(prefix="tfface-kills-") as folder,
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        outcomes = []
        jobs = [
            pool.submit(kill, KINDS[name], Path(folder) / str(number), each, options.seed)
            for number, name in enumerate(options.kinds)
        ]
        for job in jobs:
            outcomes.append(job.result())
            print(outcomes[-1], flush=True)
    total = _all(outcomes)
    print(
        f"{total.kills.total()} kills, {total.num_ends} ends compared, "
        f"{len(total.differences)} differ"
    )
    if options.results:
        append_rows(options.results, rows([*outcomes, total]), measured_by)
    sys.exit(1 if total.differences else 0)


if __name__ == "__main__":
    main()
