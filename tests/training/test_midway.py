"""Stopped within an epoch, a run goes on as if it hadn't been, or says why it can't."""

import itertools
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.recipes import ONE_STAGE, load_tiny, newest_checkpoint
from tests.training.test_resume import records
from tfface.data.pipeline.pipeline import Pipeline
from tfface.errors import InputError
from tfface.folder_lock import locked
from tfface.reporting.metrics_log import read_metrics
from tfface.training.callbacks.preemption import PreemptionHandler, TrainingInterrupted
from tfface.training.checkpoint_file import read_arrays
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.checkpoint_state import read_progress
from tfface.training.recognizer import Recognizer
from tfface.training.run import train
from tfface.training.run_progress import RunProgress

OFTEN = "training.checkpoints.every_steps=1"
# Six steps.
TWO_EPOCHS = (*ONE_STAGE, "training.stages.0.epochs=2")


def weights(run) -> list[np.ndarray]:
    arrays, _ = read_arrays(newest_checkpoint(run))
    return [arrays[key] for key in sorted(arrays)]


def assert_same_run(one, other) -> None:
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert records(one) == records(other)
    assert step_losses(one) == step_losses(other)


def step_losses(run) -> list[dict]:
    return [r for r in read_metrics(run / "metrics.jsonl") if "epoch" not in r]


def after_step(number: int, act) -> keras.callbacks.Callback:
    """Returns a callback that acts after so many steps of `train`."""
    steps = itertools.count(1)

    def on_train_batch_end(batch, logs):
        if next(steps) == number:
            act()

    return keras.callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)


def raising(error: BaseException) -> keras.callbacks.Callback:
    def fail():
        raise error

    return after_step(1, fail)


def signal_after_step(number: int) -> keras.callbacks.Callback:
    return after_step(number, lambda: os.kill(os.getpid(), signal.SIGTERM))


@pytest.fixture
def each_checkpoint(monkeypatch):
    """Copies the run folder at every checkpoint, as `at_STAGE_STEPS_SINCE_EPOCH` beside it."""
    save = CheckpointManager.save

    def save_and_copy(self, model, progress):
        save(self, model, progress)
        self.wait()
        run = self._folder.parent
        if run.name == "run":
            name = f"at_{progress.stage}_{progress.total_steps}_{progress.step}"
            shutil.copytree(run, run.parent / name, dirs_exist_ok=True)

    monkeypatch.setattr(CheckpointManager, "save", save_and_copy)


# All but "plain" are slow: tests/training/test_resume.py resumes a run with cached features and
# averages by default.
KINDS = {
    "plain": [],
    "sampled": ["model.head.sample_rate=0.5"],
    "features": ["data.cache=features", "data.augment=[]"],
    "copies": [
        "data.cache=features",
        "data.num_cached_augmentations=2",
        "training.stages.0.epochs=3",
    ],
    "float16": ["training.precision=mixed_float16"],
    "ema": [
        "training.stages.1.ema_momentum=0.7",
        "training.stages.1.early_stopping={monitor: val_loss, patience: 1}",
    ],
    "skipping": ["training.on_nonfinite=skip"],
}


def in_its_tier(kind: str):
    return pytest.param(kind, marks=[] if kind == "plain" else pytest.mark.slow)


@pytest.mark.parametrize("kind", [in_its_tier(kind) for kind in KINDS])
def test_from_every_step(tmp_path, each_checkpoint, kind):
    recipe = load_tiny(tmp_path, OFTEN, *KINDS[kind])
    run = train(recipe, tmp_path / "run", tmp_path).path
    copies = sorted(tmp_path.glob("at_*_[12]"))
    assert len(copies) >= 6
    # Of each stage one, from after one step and from after two.
    for copy in (copies[0], copies[-1]):
        train(recipe, copy, tmp_path, resume=True)
        assert_same_run(copy, run)


def test_a_signal_between_steps(tmp_path):
    recipe = load_tiny(tmp_path, *TWO_EPOCHS)
    run = train(recipe, tmp_path / "run", tmp_path).path
    with pytest.raises(TrainingInterrupted, match="SIGTERM"):
        train(recipe, tmp_path / "other", tmp_path, callbacks=[signal_after_step(5)])
    assert read_progress(newest_checkpoint(tmp_path / "other")).step == 2
    assert_same_run(train(recipe, tmp_path / "other", tmp_path, resume=True).path, run)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.slow
def test_a_signal_in_validation(tmp_path):
    """The steps of the epoch are not lost, though it isn't finished."""
    recipe = load_tiny(tmp_path, *TWO_EPOCHS, "training.stages.0.ema_momentum=0.5")
    run = train(recipe, tmp_path / "run", tmp_path).path

    class SignalInValidation(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="SIGINT"):
        train(recipe, tmp_path / "other", tmp_path, callbacks=[SignalInValidation()])
    progress = read_progress(newest_checkpoint(tmp_path / "other"))
    assert (progress.epoch, progress.step) == (0, 3)
    assert_same_run(train(recipe, tmp_path / "other", tmp_path, resume=True).path, run)


def test_a_terminal_that_is_closed(monkeypatch):
    """SIGHUP; nohup has it ignored, and so does a run that nohup starts."""
    monkeypatch.setattr(os, "isatty", lambda stream: False)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    kept = os.dup(1)
    controller, terminal = os.openpty()
    try:
        os.dup2(terminal, 1)
        with PreemptionHandler() as interruptions, interruptions.deferred():
            os.kill(os.getpid(), signal.SIGHUP)
        said_to = os.fstat(1).st_rdev
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with PreemptionHandler():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        os.dup2(kept, 1)
        for handle in (kept, controller, terminal):
            os.close(handle)
        signal.signal(signal.SIGHUP, before)
    assert interruptions.requested == "SIGHUP"
    assert said_to == os.stat(os.devnull).st_rdev
    with pytest.raises(TrainingInterrupted, match="SIGHUP") as raised:
        interruptions.check()
    assert raised.value.exit_code == 129


def test_who_has_not_heard_the_signal_itself_ends_as_by_sigterm():
    """Of several processes one may have been asked alone."""
    assert (str(TrainingInterrupted("")), TrainingInterrupted("").exit_code) == ("SIGTERM", 143)
    assert TrainingInterrupted("SIGINT").exit_code == 130


def test_a_second_interrupt_ends_at_once():
    with PreemptionHandler() as interruptions, interruptions.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        assert interruptions.requested == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_made_no_step_is_not_in_the_way(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        train(
            load_tiny(tmp_path, *ONE_STAGE),
            tmp_path / "run",
            tmp_path,
            callbacks=[raising(KeyboardInterrupt())],
        )
    assert newest_checkpoint(tmp_path / "run").name.endswith("-stage-0-step-0-kept-0.safetensors")
    recipe = load_tiny(tmp_path, *ONE_STAGE, "training.seed=7", "model.embedding_size=4")
    capsys.readouterr()
    run = train(recipe, tmp_path / "run", tmp_path, resume=True).path
    assert capsys.readouterr().out.startswith(
        f"--resume: {run} holds no checkpoint; starting a new run\n"
    )
    assert_same_run(run, train(recipe, tmp_path / "other", tmp_path).path)


class TestDamagedCheckpoints:
    def test_the_one_before_is_gone_on_from(self, tmp_path, each_checkpoint, capsys):
        recipe = load_tiny(tmp_path, *TWO_EPOCHS, OFTEN)
        run = train(recipe, tmp_path / "run", tmp_path).path
        copy = tmp_path / "at_0_5_2"
        newest = newest_checkpoint(copy)
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
        train(recipe, copy, tmp_path, resume=True)
        said = capsys.readouterr().out
        assert f"warning: {newest}: not a readable checkpoint: its bytes are not those of" in said
        assert "resuming from the checkpoint before it\n" in said
        assert "resuming after step 1 of epoch 2\n" in said
        assert_same_run(copy, run)

    @pytest.mark.slow
    def test_all(self, tmp_path, each_checkpoint):
        recipe = load_tiny(tmp_path, *TWO_EPOCHS, OFTEN)
        train(recipe, tmp_path / "run", tmp_path)
        copy = tmp_path / "at_0_5_2"
        for file in (copy / "checkpoints").glob("checkpoint-*"):
            file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(InputError, match=r"not a readable checkpoint.*it is the last one"):
            train(recipe, copy, tmp_path, resume=True)

    def test_only_so_many_are_kept(self, tmp_path):
        overrides = [*TWO_EPOCHS, OFTEN, "training.checkpoints.keep=3"]
        stopping = "training.stages.0.early_stopping={monitor: val_loss, patience: 2}"
        run = train(load_tiny(tmp_path, *overrides, stopping), tmp_path / "run", tmp_path).path
        assert len(list((run / "checkpoints").glob("checkpoint-*"))) == 3
        kept = {path.name for path in (run / "checkpoints").glob("kept-*")}
        assert kept <= {f"kept-0-{epoch}.safetensors" for epoch in range(3)}
        assert kept


class TestNonfinite:
    """The second batch of a run has a loss, or a gradient, that is not a number."""

    # tests/training/test_run.py has a loss that isn't finite, in the default tier.
    @pytest.fixture(params=[pytest.param("loss", marks=pytest.mark.slow), "gradient"])
    def what(self, monkeypatch, request):
        epoch, losses = Pipeline.epoch, Recognizer.losses_and_correct

        def with_a_bad_batch(self, number, first_step=0):
            batches = epoch(self, number, first_step)
            # Validation isn't augmented.
            if number != 0 or not self.is_augmented:
                return batches
            # All of one identity, which no other batch is.
            return batches.enumerate(first_step).map(
                lambda step, batch: (batch[0], batch[1] * tf.cast(step != 1, tf.int32))
            )

        def bad_for_it(self, embeddings, labels, training):
            found, right = losses(self, embeddings, labels, training)
            bad = keras.ops.all(labels == 0) if training else False
            if request.param == "loss":
                return keras.ops.where(bad, np.nan, found), right
            zero = keras.ops.where(bad, 0.0, 1.0) * keras.ops.sum(embeddings)
            # At 0 the root is 0 and its gradient isn't finite.
            return found + 1e-30 * keras.ops.sqrt(keras.ops.abs(zero)), right

        monkeypatch.setattr(Pipeline, "epoch", with_a_bad_batch)
        monkeypatch.setattr(Recognizer, "losses_and_correct", bad_for_it)
        return request.param

    def recipe(self, folder, how, *more):
        augmented = (*TWO_EPOCHS, "data.augment=[random_flip]")
        return load_tiny(folder, *augmented, f"training.on_nonfinite={how}", OFTEN, *more)

    @pytest.mark.slow
    def test_stop(self, tmp_path, what):
        with pytest.raises(
            InputError,
            match=rf"all 1/2: the {what} of step 2 is NaN or infinite, at learning rate "
            r"0\.05; its images: 00000\d/000\d\.jpg, .*\. Training stopped, and the last "
            r"checkpoint is kept.*--resume --set training\.on_nonfinite=restore",
        ):
            train(self.recipe(tmp_path, "stop"), tmp_path / "run", tmp_path)
        assert read_progress(newest_checkpoint(tmp_path / "run")).total_steps == 1
        assert all(np.isfinite(array).all() for array in weights(tmp_path / "run"))
        # What the message says.
        train(self.recipe(tmp_path, "restore"), tmp_path / "run", tmp_path, resume=True)

    @pytest.mark.parametrize("how", ["skip", pytest.param("restore", marks=pytest.mark.slow)])
    def test_goes_on(self, tmp_path, what, how, capsys):
        overrides = ["training.checkpoints.every_steps=none"]
        run = train(self.recipe(tmp_path, how, *overrides), tmp_path / "run", tmp_path).path
        said = capsys.readouterr().out
        assert said.count(f"warning: all 1/2: the {what} of step 2 is NaN or infinite") == 1
        end = {"skip": "; the step was skipped\n", "restore": " without this batch\n"}[how]
        assert end in said
        assert all(np.isfinite(array).all() for array in weights(run))
        assert [r["step"] for r in records(run)] == [3, 6]
        assert all(np.isfinite(r["loss"]) for r in records(run))

    @pytest.mark.slow
    def test_skipped_is_as_if_left_out(self, tmp_path, what):
        """But for the optimizer's count of steps."""
        overrides = ["model.neck.dropout=0", "training.stages.0.optimizer.momentum=0.5"]
        runs = [
            train(self.recipe(tmp_path, how, *overrides), tmp_path / how, tmp_path).path
            for how in ("skip", "restore")
        ]
        (one, _), (two, _) = (read_arrays(newest_checkpoint(run)) for run in runs)
        for key in one:
            if key.startswith("model/"):
                # On JAX they are two programs, which round in other places.
                np.testing.assert_allclose(one[key], two[key], rtol=1e-6)


class TestChangedOnTheWay:
    def stopped(self, folder, *overrides) -> None:
        recipe = load_tiny(folder, *TWO_EPOCHS, *overrides)
        with pytest.raises(TrainingInterrupted, match="SIGTERM"):
            train(recipe, folder / "run", folder, callbacks=[signal_after_step(5)])

    def test_another_batch_size(self, tmp_path, capsys):
        self.stopped(tmp_path)
        recipe = load_tiny(tmp_path, *TWO_EPOCHS, "data.batch_size=4")
        run = train(recipe, tmp_path / "run", tmp_path, resume=True).path
        said = capsys.readouterr().out
        assert "batches of 4 images in place of 8: the learning rate is as the recipe says" in said
        assert "resuming after step 4 of epoch 2\n" in said
        assert [record["step"] for record in records(run)] == [3, 12]

    @pytest.mark.slow
    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="augments on the device on TensorFlow only"
    )
    def test_augmentation_elsewhere(self, tmp_path):
        flipped = "data.augment=[random_flip]"
        self.stopped(tmp_path, flipped)
        changed = load_tiny(tmp_path, *TWO_EPOCHS, flipped, "data.augment_on=device")
        run = train(changed, tmp_path / "run", tmp_path, resume=True).path
        whole = load_tiny(tmp_path, *TWO_EPOCHS, flipped)
        assert_same_run(run, train(whole, tmp_path / "whole", tmp_path).path)

    def test_other_data(self, tmp_path):
        faces = tmp_path / "faces"
        _draw_faces(faces, 6, 5)
        override = "data.train={source: folder, path: faces}"
        self.stopped(tmp_path, override)
        (faces / "2" / "1.png").unlink()
        recipe = load_tiny(tmp_path, *TWO_EPOCHS, override)
        with pytest.raises(
            InputError,
            match=r"data\.train: has 29 images of 6 identities, and the run began with 30",
        ):
            train(recipe, tmp_path / "run", tmp_path, resume=True)

    @pytest.mark.slow
    def test_other_times(self, tmp_path, capsys):
        faces = tmp_path / "faces"
        _draw_faces(faces, 6, 5)
        override = "data.train={source: folder, path: faces}"
        self.stopped(tmp_path, override)
        os.utime(faces / "2" / "1.png", (0, 0))
        recipe = load_tiny(tmp_path, *TWO_EPOCHS, override)
        train(recipe, tmp_path / "run", tmp_path, resume=True)
        assert (
            "warning: data.train: has the images that the run began with" in capsys.readouterr().out
        )

    @pytest.mark.slow
    def test_elsewhere(self, tmp_path, capsys):
        self.stopped(tmp_path)
        file = tmp_path / "run" / "environment.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"keras": "3.0"}))
        recipe = load_tiny(tmp_path, *TWO_EPOCHS)
        train(recipe, tmp_path / "run", tmp_path, resume=True)
        assert "resuming in another environment: keras 3.0 -> 3." in capsys.readouterr().out


def test_another_process_has_the_folder(tmp_path):
    recipe = load_tiny(tmp_path)
    with (
        locked(tmp_path / "run"),
        pytest.raises(InputError, match="run: another process is writing it; wait for its end"),
    ):
        train(recipe, tmp_path / "run", tmp_path)


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """What was written before stays, and is gone on from."""
    import resource

    recipe = load_tiny(tmp_path, *TWO_EPOCHS)
    run = train(recipe, tmp_path / "run", tmp_path).path
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill = after_step(5, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard)))
    often = load_tiny(tmp_path, *TWO_EPOCHS, OFTEN)
    try:
        with pytest.raises(
            InputError, match=r"can't be written: File too large; the checkpoint before it is kept"
        ):
            train(often, tmp_path / "other", tmp_path, callbacks=[fill])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # That of step 4 may have been under way.
    assert read_progress(newest_checkpoint(tmp_path / "other")).total_steps in (3, 4)
    assert_same_run(train(recipe, tmp_path / "other", tmp_path, resume=True).path, run)


def test_a_full_disk_before_the_first_checkpoint(tmp_path):
    checkpoints = CheckpointManager(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    checkpoints.save_best_weights(keras.Sequential([keras.Input((1,))]), RunProgress())
    with pytest.raises(InputError, match=r"; there is no checkpoint before it: free space there"):
        checkpoints.wait()


def test_full_memory(tmp_path):
    with pytest.raises(
        InputError,
        match=r"out of memory in a training step: reduce data\.batch_size \(now 8\), and rerun "
        r"with --resume; or in a new run data\.image_size \(now 32x32\), training\.precision "
        r".*sample_rate",
    ):
        train(load_tiny(tmp_path), tmp_path / "run", tmp_path, callbacks=[raising(MemoryError())])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "run.load_data",
            r"out of memory while the data are read: reduce data\.image_size \(now 32x32",
        ),
        (
            "run.build_recognizer",
            r"out of memory while the network is built: reduce model\.embedding_si",
        ),
        (
            "run_evaluation.evaluate_run",
            r"out of memory while the trained network is evaluated: reduce data\.image_size",
        ),
    ],
)
def test_full_memory_beside_training_steps(tmp_path, monkeypatch, part, message):
    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(f"tfface.training.{part}", full)
    with pytest.raises(InputError, match=message) as error:
        train(load_tiny(tmp_path), tmp_path / "run", tmp_path)
    assert "batch_size" not in str(error.value)


def test_no_gpu(tmp_path):
    with pytest.raises(
        InputError, match=r"asks for a GPU, and the backend \w+ finds only cpu:0; .*require_gpu=f"
    ):
        train(load_tiny(tmp_path, "training.require_gpu=true"), tmp_path / "run", tmp_path)


def _draw_faces(folder, num_identities: int, num_images: int) -> None:
    from PIL import Image

    for identity in range(num_identities):
        (folder / str(identity)).mkdir(parents=True)
        for image in range(num_images):
            picture = Image.new("RGB", (32, 32), (40 * identity, 20 * image, 90))
            picture.save(folder / str(identity) / f"{image}.png")


@pytest.mark.slow
def test_every_byte_of_a_small_checkpoint(tmp_path):
    """A flipped bit or a cut anywhere is found, also where it would not matter."""
    run = train(load_tiny(tmp_path, *ONE_STAGE), tmp_path / "run", tmp_path).path
    path = newest_checkpoint(run)
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(InputError, match="not a readable checkpoint"):
            read_progress(path)
        path.write_bytes(content[:place])
        with pytest.raises(InputError, match="not a readable checkpoint"):
            read_progress(path)
    path.write_bytes(content)
    assert read_progress(path).total_steps == 3
