"""A whole run: what it leaves behind, and that it goes on after an interruption as if none were."""

import csv
import json
import re
import shutil

import keras
import numpy as np
import pytest

from tests.reporting.page_parser import read_page
from tests.training.interrupting import train_and_stop
from tests.training.recipes import ONE_STAGE, load_tiny, newest_checkpoint
from tfface import recipe as recipes
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.evaluation.classification import evaluate_classification
from tfface.evaluation.classifier import load_classifier
from tfface.heads.head_file import load_head
from tfface.progress import Lines
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training import checkpoint_state
from tfface.training.checkpoint_state import read_progress
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.run import train
from tfface.training.run_folder import RunFolder
from tfface.training.stages import prepare


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the tiny recipe: (folder of the test, run folder)."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(load_tiny(folder), folder / "run", folder).path


class TestRunFolder:
    def test_holds_what_it_should(self, finished):
        _, run = finished
        files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
        tensorboard = {name for name in files if name.startswith("tensorboard/")}
        assert tensorboard
        assert files - tensorboard == {
            "recipe.yaml",
            "environment.json",
            "identities.csv",
            "metrics.jsonl",
            "curves.png",
            "report.html",
            "data.json",
            "checkpoints/checkpoint-000004-stage-1-step-6-kept-1.safetensors",
            "checkpoints/checkpoint-000005-stage-1-step-9-kept-2.safetensors",
            "head.npz",
            "model.keras",
        }

    def test_recipe_reads_back_to_the_same(self, finished):
        folder, run = finished
        # Where images are augmented is chosen once, for the runs that are resumed.
        assert recipes.load(run / "recipe.yaml", REGISTRIES) == load_tiny(
            folder, "data.augment_on=host"
        )

    def test_one_record_an_epoch(self, finished):
        _, run = finished
        epochs = epoch_records(read_metrics(run / "metrics.jsonl"))
        assert [record["epoch"] for record in epochs] == [1, 2, 3]
        assert [record["stage"] for record in epochs] == ["head", "all", "all"]
        assert [record["step"] for record in epochs] == [3, 6, 9]
        for record in epochs:
            assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(record)
            assert np.isfinite(record["val_loss"])

    def test_identities_by_label(self, finished):
        _, run = finished
        with (run / "identities.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["label"]) for row in rows] == list(range(6))

    def test_environment(self, finished):
        _, run = finished
        environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        assert environment["keras"] == keras.__version__
        assert environment["backend"] == keras.backend.backend()

    def test_head_is_that_of_the_last_checkpoint(self, finished):
        folder, run = finished
        recipe = load_tiny(folder)
        recognizer = build_recognizer(
            recipe.model, recipe.data.image_size, 6, folder, steps_per_epoch=3
        )
        prepare(recognizer, recipe.training.stages[-1], 3)
        checkpoint_state.load_checkpoint(newest_checkpoint(run), recognizer)
        trained = load_head(run / "head.npz")
        assert trained.head.scale == 8
        embeddings = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
        np.testing.assert_allclose(
            trained.head.logits(embeddings), recognizer.head.logits(embeddings), rtol=1e-5
        )

    def test_model_embeds(self, finished):
        _, run = finished
        model = keras.saving.load_model(run / "model.keras", safe_mode=True)
        assert model(np.zeros((2, 32, 32, 3), "uint8")).shape == (2, 8)


class TestRunningAgain:
    def test_a_finished_run_is_left_alone(self, finished, capsys):
        folder, run = finished
        before = (run / "model.keras").stat().st_mtime_ns
        assert train(load_tiny(folder), run, folder).path == run
        assert (run / "model.keras").stat().st_mtime_ns == before
        assert "holds a finished run of this recipe" in capsys.readouterr().out

    @pytest.mark.parametrize("file", ["model.keras", "head.npz"])
    def test_without_its_model_a_run_is_not_finished(self, finished, tmp_path, file):
        folder, run = finished
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run" / file).unlink()
        train(load_tiny(folder), tmp_path / "run", folder, resume=True)
        assert same_model(run, tmp_path / "run")

    def test_without_its_recipe_a_run_can_not_go_on(self, finished, tmp_path):
        folder, run = finished
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run" / "recipe.yaml").unlink()
        with pytest.raises(InputError, match=r"holds a run whose recipe\.yaml is missing"):
            train(load_tiny(folder), tmp_path / "run", folder, resume=True)

    def test_without_the_best_weights_a_run_can_not_go_on(self, tmp_path):
        stopping = "training.stages.0.early_stopping={monitor: val_loss, patience: 1}"
        recipe = load_tiny(tmp_path, *ONE_STAGE, stopping, "training.checkpoints.keep=1")
        run = train(recipe, tmp_path / "run", tmp_path).path
        (run / "report.html").unlink()
        (kept,) = (run / "checkpoints").glob("kept-*.safetensors")
        content = kept.read_bytes()
        for damage in ("gone", "cut"):
            kept.unlink()
            if damage == "cut":
                kept.write_bytes(content[: len(content) // 2])
            with pytest.raises(
                InputError, match=r"kept-0-\d\.safetensors: not a readable .*it is the last one"
            ):
                train(recipe, run, tmp_path, resume=True)
            kept.write_bytes(content)

    def test_a_finished_run_of_another_batch_size_is_of_another_recipe(self, finished, tmp_path):
        folder, run = finished
        other = load_tiny(folder, "data.batch_size=16")
        for resume in (False, True):
            with pytest.raises(
                InputError, match=r"of another recipe \(data\.batch_size: 8 before and 16 now\)"
            ):
                train(other, run, folder, resume=resume)
        # One that is not finished may go on with it.
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run" / "report.html").unlink()
        assert RunFolder(tmp_path / "run").resume_error(other) == ""

    @pytest.mark.parametrize(
        "name", ["model.keras", "head.npz", "recipe.yaml", "environment.json", "plots/roc.png"]
    )
    def test_files_of_no_run_are_not_written_over(self, tmp_path, name):
        file = tmp_path / "run" / name
        file.parent.mkdir(parents=True)
        file.write_text('{"mine": 1}')
        (tmp_path / "run" / "checkpoints").mkdir()
        for resume in (False, True):
            with pytest.raises(
                InputError, match=rf"run: holds {name.split('/')[0]} and no run, .*--run-dir"
            ):
                train(load_tiny(tmp_path, *ONE_STAGE), tmp_path / "run", tmp_path, resume=resume)
        assert file.read_text() == '{"mine": 1}'
        assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == [file]

    def test_a_folder_of_other_files_is_no_run_folder(self, tmp_path):
        recipe = load_tiny(tmp_path, *ONE_STAGE)
        folder = tmp_path / "run"
        (folder / "photos").mkdir(parents=True)
        (folder / "letter.odt").write_text("mine")
        with pytest.raises(
            InputError, match=r"run: holds letter\.odt and no run; choose a new or empty run folder"
        ):
            train(recipe, folder, tmp_path)
        assert sorted(path.name for path in folder.iterdir()) == ["letter.odt", "photos"]
        # Going on is always possible.
        RunFolder(folder).start(recipe, resume=True)

    def test_an_empty_folder_hidden_files_and_logs_are_no_obstacle(self, tmp_path):
        run = RunFolder(tmp_path / "run")
        run.path.mkdir()
        for name in (".gitkeep", "slurm-17.out", "log.txt"):
            (run.path / name).touch()
        run.start(load_tiny(tmp_path, *ONE_STAGE), resume=False)
        assert run.recipe.is_file()

    def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(self, tmp_path):
        recipe = load_tiny(tmp_path, *ONE_STAGE)
        run = RunFolder(tmp_path / "run")
        run.path.mkdir()
        run.start(recipe, resume=False)
        # What somebody else keeps beside a run's files stays.
        (run.path / "log.txt").write_text("mine")
        assert run.resume_error(recipe) == ""
        run.recipe.unlink()
        run.start(recipe, resume=False)
        assert (run.path / "log.txt").read_text() == "mine"

    def test_another_recipe_is_not_run_over_it(self, finished):
        folder, run = finished
        with pytest.raises(
            InputError,
            match=r"holds a run of another recipe \(training\.seed: 5 before and 6 now\); choose",
        ):
            train(load_tiny(folder, "training.seed=6"), run, folder)
        several = (
            "data.validation=none",
            "model.neck.hidden_units=[4, 3]",
            "training.stages.1.epochs=3",
            "data.image_size=40",
        )
        with pytest.raises(InputError, match="another recipe") as raised:
            train(load_tiny(folder, *several), run, folder, resume=True)
        told = str(raised.value).partition("(")[2].partition("); choose")[0].split("; ")
        assert told == [
            "data.validation.fraction: 0.2 before and nothing now",
            'data.validation.by: "image" before and nothing now',
            "data.image_size.0: 32 before and 40 now",
            "data.image_size.1: 32 before and 40 now",
            "model.neck.hidden_units: [] before and nothing now",
            "and 4 more",
        ]

    def test_a_recipe_of_an_earlier_version_lacks_later_keys(self, finished):
        folder, run = finished
        written = (run / "recipe.yaml").read_text()
        before = re.sub(r" +embedding_l2: .*\n", "", written)
        assert before != written
        (run / "recipe.yaml").write_text(before)
        try:
            assert train(load_tiny(folder), run, folder).path == run
        finally:
            (run / "recipe.yaml").write_text(written)

    def test_a_run_that_never_began_does_not_stand_in_the_way(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            train(
                load_tiny(tmp_path, "data.train={source: folder, path: faces}"),
                tmp_path / "run",
                tmp_path,
            )
        recipe = load_tiny(tmp_path, *ONE_STAGE)
        assert train(recipe, tmp_path / "run", tmp_path).path == tmp_path / "run"

    def test_the_same_recipe_gives_the_same_model(self, finished):
        folder, run = finished
        again = train(load_tiny(folder), folder / "again", folder).path
        assert same_model(run, again)


@pytest.mark.parametrize("stop_after", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_run_resumes_to_the_same_model(finished, tmp_path, monkeypatch, stop_after):
    folder, run = finished
    train_and_stop(load_tiny(folder), tmp_path / "run", folder, monkeypatch, epochs=stop_after)

    with pytest.raises(InputError, match="holds an unfinished run; resume it with --resume"):
        train(load_tiny(folder), tmp_path / "run", folder)
    resumed = train(load_tiny(folder), tmp_path / "run", folder, resume=True).path
    assert same_model(run, resumed)
    keys = ["epoch", "stage", "step", "loss", "val_loss"]
    one, other = (
        [
            [record[key] for key in keys]
            for record in epoch_records(read_metrics(r / "metrics.jsonl"))
        ]
        for r in (run, resumed)
    )
    assert one == other


class TestValidation:
    def test_by_identity_validates_on_pairs_of_unseen_people(self, tmp_path):
        overrides = [
            *ONE_STAGE,
            "data.validation={fraction: 0.4, by: identity}",
            "training.stages.0.early_stopping={monitor: val_verification_auc, patience: 1}",
        ]
        run = train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path).path
        with (run / "identities.csv").open(encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == 4
        record = epoch_records(read_metrics(run / "metrics.jsonl"))[0]
        assert 0 <= record["val_verification_auc"] <= 1
        assert list((run / "checkpoints").glob("kept-0-*.safetensors"))

    def test_with_a_source_of_its_own(self, tmp_path):
        source = "{source: synthetic, num_identities: 6, images_per_identity: 2, size: 32, seed: 0}"
        recipe = load_tiny(tmp_path, *ONE_STAGE, f"data.validation={source}")
        run = train(recipe, tmp_path / "run", tmp_path).path
        assert "val_accuracy" in epoch_records(read_metrics(run / "metrics.jsonl"))[0]

    def test_a_source_of_other_people_is_refused(self, tmp_path):
        source = "{source: synthetic, num_identities: 7, images_per_identity: 2, size: 32}"
        with pytest.raises(
            InputError, match=r"its identities must be those of data\.train; .*000006"
        ):
            train(load_tiny(tmp_path, f"data.validation={source}"), tmp_path / "run", tmp_path)

    def test_too_few_people_to_hold_out(self, tmp_path):
        overrides = [
            "data.train.num_identities=2",
            "data.validation={fraction: 0.5, by: identity}",
        ]
        with pytest.raises(
            InputError, match="5 images of 1 held-out identities make 10 genuine and 0 impostor"
        ):
            train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(tmp_path, precision):
    recipe = load_tiny(tmp_path, *ONE_STAGE, f"training.precision={precision}")
    run = train(recipe, tmp_path / "run", tmp_path).path
    assert keras.config.dtype_policy().name == "float32"
    epochs = epoch_records(read_metrics(run / "metrics.jsonl"))
    assert all(np.isfinite(record["loss"]) for record in epochs)


class TestClassification:
    SPLIT = (
        "source: split, fractions: [0.5, 0.25, 0.25], "
        "of: {source: synthetic, num_identities: 6, images_per_identity: 8, size: 32}"
    )

    def parts(self):
        return [
            *ONE_STAGE,
            f"data.train={{{self.SPLIT}, subset: train}}",
            f"data.validation={{{self.SPLIT}, subset: validation}}",
            f"evaluation.classification={{{self.SPLIT}, subset: test}}",
        ]

    def test_the_run_says_what_the_tool_says(self, tmp_path, capsys):
        run = train(load_tiny(tmp_path, *self.parts()), tmp_path / "run", tmp_path).path
        printed = capsys.readouterr().out
        assert "24 images of 6 identities to train, 12 images to validate, 12 images to" in printed
        assert "largest class" in printed
        figures = json.loads((run / "classification.json").read_text(encoding="utf-8"))
        assert figures["num_images"] == 12
        source = open_source(f"{{{self.SPLIT}, subset: test}}").source
        by_the_tool = evaluate_classification(load_classifier(run), source).to_dict()
        assert by_the_tool["confusion"] == figures["confusion"]
        assert by_the_tool["log_loss"] == pytest.approx(figures["log_loss"], rel=1e-5)
        page = read_page(run / "report.html")
        for words in ("Classification", "95% CI", "macro F1", "predicted"):
            assert words in page
        assert (run / "plots" / "confusion.png").is_file()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("{synthetic: {num_identities: 7, size: 32}}", "classes that the model doesn't know"),
            ("{source: folder, path: gone}", "gone: no such folder"),
        ],
    )
    def test_what_can_not_be_classified_is_found_before_training(self, tmp_path, source, message):
        recipe = load_tiny(tmp_path, f"evaluation.classification={source}")
        with pytest.raises(InputError, match=message):
            train(recipe, tmp_path / "run", tmp_path)
        assert not (tmp_path / "run" / "metrics.jsonl").exists()

    def test_a_head_without_classes_is_found_before_training(self, tmp_path):
        recipe = load_tiny(tmp_path, *self.parts(), "model.head=triplet")
        with pytest.raises(InputError, match=r"^evaluation\.classification: .* has no classes"):
            train(recipe, tmp_path / "run", tmp_path)
        assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_head_without_classes(tmp_path):
    """Images of a person in a batch are told from others; the run can't classify."""
    recipe = load_tiny(tmp_path, *ONE_STAGE, "model.head=triplet")
    run = train(recipe, tmp_path / "run", tmp_path).path
    assert all(np.isfinite(r["loss"]) for r in epoch_records(read_metrics(run / "metrics.jsonl")))
    classifier = load_classifier(run)
    with pytest.raises(InputError, match="a triplet head has no classes, so it can't classify"):
        classifier.scores(np.zeros((2, 32, 32, 3), "uint8"))


class TestStopping:
    def test_a_loss_that_is_not_finite(self, tmp_path):
        huge = "training.stages.0.optimizer={name: sgd, learning_rate: 1e6, weight_decay: 0.9}"
        overrides = [
            huge,
            "training.stages.0.freeze=none",
            "model.head=softmax",
            "model.neck.batch_norm=false",
        ]
        with pytest.raises(
            InputError, match=r"head 1/1: the .* is NaN or infinite, at learning rate 1e\+06"
        ):
            train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path)

    def test_two_verification_sets_of_one_name(self, tmp_path):
        with pytest.raises(InputError, match="two sets are called 'synthetic'"):
            train(
                load_tiny(tmp_path, "evaluation.verification=[synthetic, synthetic]"),
                tmp_path / "run",
                tmp_path,
            )

    def test_one_person_alone(self, tmp_path):
        with pytest.raises(InputError, match="learns to tell people apart"):
            train(load_tiny(tmp_path, "data.train.num_identities=1"), tmp_path / "run", tmp_path)

    def test_a_validation_figure_that_is_not_finite(self, tmp_path, monkeypatch):
        evaluate = Recognizer.evaluate

        def not_finite(self, *args, **kwargs):
            return evaluate(self, *args, **kwargs) | {"loss": float("nan")}

        monkeypatch.setattr(Recognizer, "evaluate", not_finite)
        with pytest.raises(InputError, match=r"head 1/1: val_loss became nan\. Training stopped b"):
            train(load_tiny(tmp_path), tmp_path / "run", tmp_path)
        assert read_progress(newest_checkpoint(tmp_path / "run")).total_steps == 0

    def test_missing_data_says_what_the_recipe_says_about_it(self, tmp_path):
        overrides = [
            "data.train={source: folder, path: faces}",
            "about={notes: Ask the owner., demo_overrides: --set data.train=synthetic}",
        ]
        with pytest.raises(InputError, match=r"faces: no such folder") as caught:
            train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path)
        assert "Ask the owner." in str(caught.value)
        assert "on synthetic faces: add --set data.train=synthetic" in str(caught.value)

    def test_a_missing_verification_set_is_found_before_training(self, tmp_path):
        with pytest.raises(InputError, match=r"lfw\.bin: no such file"):
            train(
                load_tiny(tmp_path, "evaluation.verification=[lfw.bin]"), tmp_path / "run", tmp_path
            )
        assert not (tmp_path / "run").exists()

    def test_what_is_refused_leaves_nothing(self, tmp_path):
        recipe = load_tiny(tmp_path, "data.train={source: folder, path: faces}")
        with pytest.raises(InputError, match="no such folder"):
            train(recipe, tmp_path / "runs" / "a", tmp_path)
        assert not (tmp_path / "runs").exists()
        # A folder of the user's stays, with what is in it.
        (tmp_path / "runs" / "mine").mkdir(parents=True)
        (tmp_path / "runs" / "mine" / ".notes.txt").write_text("keep")
        with pytest.raises(InputError, match="no such folder"):
            train(recipe, tmp_path / "runs" / "mine", tmp_path)
        assert [path.name for path in (tmp_path / "runs" / "mine").iterdir()] == [".notes.txt"]


def same_model(one, other) -> bool:
    pair = [keras.saving.load_model(run / "model.keras").get_weights() for run in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize(
    "augment",
    [
        "[random_flip, mixup]",
        pytest.param("[one_class_cutmix, {cutmix: {probability: 0.5}}]", marks=pytest.mark.slow),
    ],
)
def test_trains_on_images_that_are_mixed(tmp_path, augment):
    overrides = [
        f"data.augment={augment}",
        "data.samples_per_identity=2",
        "training.stages=[{name: only, epochs: 2, optimizer: adam}]",
    ]
    run = train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path).path
    epochs = epoch_records(read_metrics(run / "metrics.jsonl"))
    assert [record["step"] for record in epochs] == [3, 6]
    for record in epochs:
        assert np.isfinite(record["loss"])
        assert 0 <= record["accuracy"] <= 1
        # Validation is not mixed: its figures are shares of whole images.
        assert (record["val_accuracy"] * 6) % 1 == pytest.approx(0, abs=1e-4)


def test_the_loss_of_a_mixed_image_is_that_of_both(tmp_path):
    recognizer = build_recognizer(load_tiny(tmp_path).model, (32, 32), 6, tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    embeddings = recognizer(images)
    first, second = np.array([0, 1, 2, 3], "int32"), np.array([4, 5, 0, 1], "int32")
    shares = np.array([1.0, 0.75, 0.5, 0.0], "float32")
    labels = {"identities": first, "others": second, "shares": shares}
    losses, found = recognizer.losses_and_correct(embeddings, labels, False)
    alone, found_alone = recognizer.losses_and_correct(embeddings, first, False)
    other, _ = recognizer.losses_and_correct(embeddings, second, False)
    wanted = shares * np.asarray(alone) + (1 - shares) * np.asarray(other)
    np.testing.assert_allclose(np.asarray(losses), wanted, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(found_alone))


def test_validation_counts_its_steps(tmp_path, monkeypatch):
    """It may take minutes, too."""
    seen = []
    monkeypatch.setattr(Lines, "update", lambda self, number=1: seen.append(self._description))
    train(load_tiny(tmp_path, *ONE_STAGE), tmp_path / "run", tmp_path)
    assert seen.count("validating") == 1
    assert seen.count("all 1/1") == 3
