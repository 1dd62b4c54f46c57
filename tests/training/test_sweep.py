"""Runs of a sweep: kept, resumed, failed; a stand-in trains at once."""

import json
import sys

import pytest
import yaml

from tests.training.recipes import TINY
from tfface.errors import InputError
from tfface.recipe import dump
from tfface.training.data_fingerprint import write_fingerprints
from tfface.training.sweep import plan_sweep, run_sweep
from tfface.training.sweep_axes import parse_axis

# Writes what a finished run leaves, and the accuracy that the recipe's batch size stands for; it
# fails for a batch size of 3, with 4 it is killed, with 5 it measures nothing, with 9 it is asked
# to end and does.
TRAINER = """
import json, os, pathlib, signal, sys, yaml
recipe, run = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[3])
assert sys.argv[2:5:2] == ["--run-dir", "--resume"]
# So that it ends when the sweep is killed.
assert os.environ["TFFACE_PARENT_PROCESS"] == str(os.getppid())
given = yaml.safe_load(recipe.read_text())
size, seed = given["data"]["batch_size"], given["training"]["seed"]
print("run:", run)
if size == 3:
    print("error: the data are gone\\n  get them", file=sys.stderr)
    sys.exit(2)
if size == 4:
    os.kill(os.getpid(), signal.SIGKILL)
if size == 9:
    print("the command that goes on")
    sys.exit(143)
run.mkdir(parents=True, exist_ok=True)
(run / "environment.json").write_text('{"tfface": "0.1.0"}')
(run / "recipe.yaml").write_text(recipe.read_text())
accuracy = None if size == 5 else size / 100 + seed / 1000
record = {"epoch": 1, "step": 3, "stage": "all", "loss": 1.0, "val_accuracy": accuracy}
(run / "metrics.jsonl").write_text(json.dumps({**record, "epoch_seconds": 1.5}) + "\\n")
for name in ("model.keras", "head.npz", "report.html"):
    (run / name).touch()
"""
SIZES = "data.batch_size={}"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def run(recipe, sizes="6,7", num_seeds=2):
    output = recipe.parent / "out"
    sweep = plan_sweep(recipe, [parse_axis(SIZES.format(sizes))], output, num_seeds=num_seeds)
    run_sweep(sweep, output, [sys.executable, "-c", TRAINER])
    return sweep


def test_every_variant_with_every_seed(recipe, capsys):
    found = run(recipe).to_dict()
    assert (found["metric"], found["curve"]) == ("val_accuracy", "val_accuracy")
    assert found["seeds"] == [5, 6]
    assert [variant["name"] for variant in found["variants"]] == ["6", "7"]
    first, second = found["variants"]
    assert first["figure"]["mean"] == pytest.approx(0.0655)
    assert first["difference"] is None
    assert second["difference"]["mean"] == pytest.approx(0.01)
    assert second["difference"]["standard_error"] == pytest.approx(0, abs=1e-9)
    assert [run["figure"] for run in second["runs"]] == pytest.approx([0.075, 0.076])
    assert second["runs"][0]["curve"] == [[1, pytest.approx(0.075)]]
    assert second["runs"][0]["seconds"] == 1.5
    assert "run:" in (recipe.parent / "out/logs/batch_size-7--seed-6.txt").read_text()
    # Seed by seed.
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "1/4 6, seed 5",
        "2/4 7, seed 5",
        "3/4 6, seed 6",
        "4/4 7, seed 6",
    ]


def test_finished_runs_are_kept(recipe):
    run(recipe, num_seeds=1)
    files = [recipe.parent / f"out/runs/batch_size-{size}--seed-5/metrics.jsonl" for size in (6, 7)]
    (files[1].parent / "report.html").unlink()
    before = [file.stat().st_mtime_ns for file in files]
    found = run(recipe, "6,7,8").to_dict()
    after = [file.stat().st_mtime_ns for file in files]
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert len(found["variants"]) == 3


SPLIT = "{source: split, path: faces, shots: 2}"


@pytest.mark.parametrize(
    ("train", "changed", "outcome"),
    [
        ("{source: folder, path: faces}", "labels", "fails"),
        # Of another time.
        ("{source: folder, path: faces}", "files", "is the same"),
        (SPLIT, "labels", "fails"),
        # As many images of each may be others, or the files copied.
        (SPLIT, "files", "is warned of"),
        (
            f"{{source: union, of: [{SPLIT}, {{source: folder, path: more}}]}}",
            "files",
            "is warned of",
        ),
    ],
)
def test_runs_of_data_that_changed_between_them(recipe, caplog, train, changed, outcome):
    """As when a sweep is run again with another seed after photos were added."""
    content = yaml.safe_load(TINY)
    content["data"]["train"] = yaml.safe_load(train)
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert not run(recipe, "6", num_seeds=3).failed
    before = {"num_images": 9, "num_identities": 3, "labels": "a", "files": "b"}
    folders = [recipe.parent / f"out/runs/batch_size-6--seed-{seed}" for seed in (5, 6, 7)]
    for number, folder in enumerate(folders):
        now = before | {changed: "other", "num_images": 10} if number == 1 else before
        write_fingerprints(folder / "data.json", {"data.train": now})
    sweep = run(recipe, "6", num_seeds=3)
    figures = [one["figure"] for one in sweep.to_dict()["variants"][0]["runs"]]
    warned = [line for line in caplog.messages if "draws some images" in line]
    if outcome == "fails":
        assert [one.failure for one in sweep.failed] == [
            f"its data.train had 10 images of 3 identities, and {folders[0]} had 9 images of 3 "
            "identities, or others: delete the run that is out of date"
        ]
        assert figures == [pytest.approx(0.065), None, pytest.approx(0.067)]
    else:
        assert not sweep.failed
        assert len(warned) == (outcome == "is warned of")


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (3, "^the data are gone$"),
        (4, "^the process was ended by SIGKILL, which the system does when memory runs out$"),
        (9, "^the process was ended by SIGTERM$"),
        (5, "^has measured no val_accuracy$"),
    ],
)
def test_a_run_that_fails_ends_its_variant_alone(recipe, size, reason):
    sweep = run(recipe, f"{size},7")
    first, second = sweep.to_dict()["variants"]
    assert [run.seed for run in sweep.failed] == [5, 6]
    with pytest.raises(ValueError, match=reason):
        raise ValueError(first["runs"][0]["failure"])
    assert first["runs"][1]["failure"] == "not run, as another seed of this variant failed"
    assert first["figure"] is None
    assert second["figure"]["mean"] == pytest.approx(0.0755)
    assert second["difference"] is None


def test_runs_that_are_finished_count_where_another_seed_fails_now(recipe):
    run(recipe, "3", num_seeds=2)
    sweep = run(recipe, "3", num_seeds=2)
    later = sweep.runs[1]
    later.folder.mkdir(parents=True, exist_ok=True)
    (later.folder / "environment.json").write_text('{"tfface": "1"}')
    (later.folder / "recipe.yaml").write_text(dump(later.recipe), encoding="utf-8")
    record = {"epoch": 1, "step": 3, "stage": "all", "loss": 1.0, "val_accuracy": 0.5}
    (later.folder / "metrics.jsonl").write_text(json.dumps({**record, "epoch_seconds": 1}) + "\n")
    for name in ("model.keras", "head.npz", "report.html"):
        (later.folder / name).touch()
    sweep = run(recipe, "3", num_seeds=2)
    assert [run.seed for run in sweep.failed] == [5]
    assert sweep.to_dict()["variants"][0]["runs"][1]["figure"] == 0.5


def test_mistakes_of_all_variants_at_once(recipe):
    varied = [parse_axis("training.stages.1.optimizer.name=sgd,adam,adamq")]
    with pytest.raises(
        InputError, match=r"^variant 'adam': .*optimizer\.weight_decay: unknown"
    ) as e:
        plan_sweep(recipe, varied, recipe.parent / "out")
    assert "variant 'adamq': " in str(e.value)
    assert "did you mean 'adam'?" in str(e.value)
    assert "variant 'sgd'" not in str(e.value)
    assert not (recipe.parent / "out").exists()


def test_a_figure_that_is_not_measured(recipe):
    varied = [parse_axis("data.validation=none,{fraction: 0.2, by: image}")]
    with pytest.raises(InputError, match="--metric val_loss: variant 'none' doesn't measure it"):
        plan_sweep(recipe, varied, recipe.parent / "out", metric="val_loss")
    sweep = plan_sweep(recipe, [], recipe.parent / "out", metric="val_loss")
    assert (sweep.metric, sweep.curve) == ("val_loss", "val_loss")


def test_another_recipe_in_the_folder(recipe):
    run(recipe)
    with pytest.raises(
        InputError, match=r"holds a run of another recipe \(.* now\); give another --o"
    ):
        plan_sweep(
            recipe,
            [parse_axis(SIZES.format("6,7"))],
            recipe.parent / "out",
            overrides=["model.embedding_size=9"],
        )


# Says so, and that it is asked to end.
WAITING = """
import signal, sys
def end(*_):
    print("wrote a checkpoint")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print("training")
signal.pause()
"""


class Asked(BaseException):
    """As a signal that ends the sweep."""


def test_a_sweep_that_is_asked_to_end_asks_its_training(recipe, monkeypatch):
    def asked(bar, text):
        raise Asked

    monkeypatch.setattr("tfface.progress.Lines.set_postfix_str", asked)
    monkeypatch.setattr("tqdm.tqdm.set_postfix_str", asked)
    output = recipe.parent / "out"
    sweep = plan_sweep(recipe, [], output)
    with pytest.raises(Asked):
        run_sweep(sweep, output, [sys.executable, "-c", WAITING])
    assert sweep.runs[0].log.read_text().splitlines() == ["training", "wrote a checkpoint"]
