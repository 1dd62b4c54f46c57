"""One training run, from recipe to report: the place where all parts are put together."""

import csv
import math
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import keras

from tfface.errors import InputError
from tfface.evaluation.classification import Classification, classify
from tfface.evaluation.classification_pictures import draw_classification
from tfface.evaluation.classifier import Classifier
from tfface.evaluation.keras_embedder import KerasEmbedder
from tfface.evaluation.verification import verify
from tfface.evaluation.verification_pictures import draw_verification
from tfface.files import replacing, write_json
from tfface.heads.head_file import load_head, save_head
from tfface.recipe import Recipe, dump
from tfface.report import classification_table
from tfface.report.metrics_log import MetricsLog, NoLog, epoch_records, read_metrics
from tfface.report.page import Picture
from tfface.report.plots.training import draw_curves
from tfface.report.run_report import write_run_report
from tfface.report.verification_table import as_text
from tfface.training import checkpoint, processes, stage_end, stages
from tfface.training.averaging import averaged, take_average
from tfface.training.callbacks import Steps
from tfface.training.checkpoint import Progress
from tfface.training.datasets import RunData, load_data
from tfface.training.distribution import OneDevice, distribute
from tfface.training.feature_cache import FeatureCache
from tfface.training.init_from import read_init
from tfface.training.learner import on_images
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.run_folder import RunFolder, environment


def train(recipe: Recipe, run_dir: Path, data_dir: Path, *, resume: bool = False) -> Path:
    """Trains what a recipe describes and evaluates it; all that comes of it is in the run folder.

    Args:
        run_dir: made if it isn't there. A finished run of the same recipe in it is left as it is.
        data_dir: where the recipe's relative paths start.
        resume: go on after the last epoch that an interrupted run finished there.
    Returns: run_dir.
    Raises InputError: bad data, weights or folder; or the loss is not finite any more.
    """
    run = RunFolder(run_dir)
    distribution = distribute(recipe)
    if run.is_finished(recipe):
        print(f"{run_dir} holds a finished run of this recipe; to train again, delete it or give")
        print("another --run-dir. Its report:")
        print(run.report)
        return run_dir
    processes.wait("a look at the run folder")
    if processes.is_writer():
        run.start(recipe, resume=resume)

    # ------------------------------------------------------------------------------------- data
    print(f"run: {run_dir}", flush=True)
    # A checkpoint has all of it, and what it came from may be gone.
    goes_on = resume and run.latest.exists()
    start = None if goes_on else read_init(recipe.model, data_dir)
    data = load_data(recipe, data_dir, run_dir.parent / ".cache", distribution.part)
    distribution.check_batch(data.train.batch_size)
    print(f"data: {data.description}", flush=True)
    if processes.is_writer():
        _write_identities(run.identities, data.identities)

    with distribution.scope():
        # -------------------------------------------------------------------------------- model
        keras.utils.set_random_seed(recipe.training.seed)
        recognizer = _with_precision(
            recipe.training.precision,
            lambda: build_recognizer(
                recipe.model,
                recipe.data.image_size,
                len(data.identities),
                data_dir,
                data.train.steps_per_epoch,
                distribution.center_shards,
            ),
        )
        print(f"model: {_describe_model(recipe, recognizer)}{distribution.description}", flush=True)
        if start is not None:
            print(start.fill(recognizer.embedder, recognizer.head, data.identities), flush=True)
            # It is as large as the model.
            del start
        if data.test_images is not None:
            _check_classifies(recognizer)

        # ------------------------------------------------------------------------------- stages
        _run_stages(recipe, recognizer, data, run, distribution, resume=resume)
        _save_head(recipe, recognizer, data, run)

    processes.leave()
    if not processes.is_writer():
        return run_dir
    alone = distribution.alone(recognizer.embedder)
    with alone.renewed(), replacing(run.model) as temporary:
        alone.model.save(temporary)

    # ----------------------------------------------------------------- evaluation and report
    classified = _classify(alone.model, data, run)
    results = _verify(alone.model, data, run)
    _report(recipe, classified, results, data, run)
    if classified or results:
        print(f"plots: {run.plots}")
    print(f"report: {run.report}")
    return run_dir


def _run_stages(
    recipe: Recipe,
    recognizer: Recognizer,
    data: RunData,
    run: RunFolder,
    distribution: OneDevice,
    *,
    resume: bool,
) -> None:
    """Trains stage by stage, with a checkpoint after every epoch."""
    resume = resume and run.latest.exists()
    progress = Progress()
    first_stage = checkpoint.stage_of(run.latest) if resume else 0
    if first_stage >= len(recipe.training.stages):
        raise InputError(
            f"{run.latest}: is of stage {first_stage + 1}, and the recipe has "
            f"{len(recipe.training.stages)}; choose another --run-dir or delete this one"
        )
    features = None
    if recipe.data.cache == "features":
        features = FeatureCache(recognizer, data, recipe.data.augmented_copies)
    for number, stage in enumerate(recipe.training.stages[first_stage:], start=first_stage):
        stages.prepare(recognizer, stage, data.train.steps_per_epoch)
        if resume and number == first_stage:
            progress = checkpoint.load(run.latest, recognizer)
            print(f"resuming after epoch {progress.total_epochs}", flush=True)
        else:
            progress = Progress(
                stage=number,
                total_epochs=progress.total_epochs,
                total_steps=progress.total_steps,
            )
            if stage.end_on_gap is not None:
                checkpoint.save_weights(run.best, recognizer)
            if number > 0:
                # From here on best.npz is this stage's: a resumed run must not end the stage before
                # with it.
                checkpoint.save(run.latest, recognizer, progress)
        print(
            f"stage {number + 1}/{len(recipe.training.stages)} '{stage.name}': up to "
            f"{stage.epochs} epochs of {data.train.steps_per_epoch} steps, "
            f"{stages.describe(recognizer, stage)}",
            flush=True,
        )
        if features is not None and stage.freeze == "backbone":
            learner = features.learner(progress.total_epochs - progress.epoch)
            print(f"  {features.description}", flush=True)
        else:
            learner = on_images(recognizer, data, distribution)
            if features is not None:
                features.forget()
        with _log(run, progress) as log:
            while progress.epoch < stage.epochs and not progress.ended_by:
                _run_epoch(recognizer, learner, stage, progress, log, run)
        take_average(recognizer)
        if stage_end.keeps_weights(stage):
            _take_kept_weights(recognizer, run)
            print(f"  {stage_end.describe(progress, stage)}", flush=True)


def _log(run: RunFolder, progress: Progress) -> AbstractContextManager:
    if not processes.is_writer():
        return nullcontext(NoLog())
    return MetricsLog(
        run.metrics, resume_at_step=progress.total_steps, tensorboard_dir=run.tensorboard
    )


def _save_head(recipe: Recipe, recognizer: Recognizer, data: RunData, run: RunFolder) -> None:
    """Keeps what model.keras lacks to classify: it holds the embedder alone."""
    part = recipe.model.head
    weights = checkpoint.values(recognizer, recognizer.head.trainable_weights)
    if processes.is_writer():
        save_head(
            run.head,
            recognizer.head,
            name=part.name,
            options=part.options,
            num_identities=len(data.identities),
            embedding_size=recognizer.embedder.output_shape[-1],
            weights=weights,
        )


def _take_kept_weights(recognizer: Recognizer, run: RunFolder) -> None:
    try:
        checkpoint.load_weights(run.best, recognizer)
    except InputError as error:
        raise InputError(
            f"{error}; these are the weights that the stage ends with, and the run can't go on "
            "without them: choose another --run-dir or delete this one"
        ) from error


def _run_epoch(recognizer, learner, stage, progress, log, run) -> None:
    """Trains one epoch, validates, logs, and writes the checkpoint; moves `progress` on."""
    train = learner.train
    title = f"{stage.name} {progress.epoch + 1}/{stage.epochs}"
    steps = Steps(title, progress.total_steps, train.steps_per_epoch, log)
    rate = keras.ops.convert_to_numpy(recognizer.optimizer.learning_rate)
    started = time.perf_counter()
    with train.naming_bad_images():
        history = learner.model.fit(
            train.epoch(progress.total_epochs),
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[steps],
        ).history
    seconds = time.perf_counter() - started
    progress.epoch += 1
    progress.total_epochs += 1
    progress.total_steps += train.steps_per_epoch
    with averaged(recognizer):
        figures = {name: history[name][0] for name in ("loss", "accuracy")} | learner.validate()
        _check_finite(figures, title)
        keep = stage_end.judge(progress, stage, figures)
        if keep:
            checkpoint.save_weights(run.best, recognizer)
    log.epoch(
        {
            "epoch": progress.total_epochs,
            "stage": stage.name,
            "step": progress.total_steps,
            **figures,
            **({"accuracy_gap": stage_end.gap(figures)} if stage.end_on_gap is not None else {}),
            **({"ended_by": progress.ended_by} if progress.ended_by else {}),
            "learning_rate": float(rate),
            "epoch_seconds": round(seconds, 3),
            "images_per_second": round(steps.num_steps * train.batch_size / seconds, 1),
        }
    )
    checkpoint.save(run.latest, recognizer, progress)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    best = " (best)" if keep and stage.early_stopping is not None else ""
    print(f"  {title}: {shown}, {seconds:.1f} s{best}", flush=True)
    if progress.ended_by == "end_on_gap":
        print(
            f"  training accuracy is {stage_end.gap(figures):.4f} above validation accuracy, more "
            f"than {stage.end_on_gap.threshold:g}: the stage ends",
            flush=True,
        )


def _check_finite(figures: dict[str, float], title: str) -> None:
    for name, value in figures.items():
        if not math.isfinite(value):
            raise InputError(
                f"{title}: {name} became {value}; training stopped and the checkpoint of the epoch "
                "before is kept. Lower the learning rate, or use precision float32"
            )


def _check_classifies(recognizer: Recognizer) -> None:
    """Raises InputError: the head has no classes; found out before training."""
    try:
        recognizer.head.check_classifies()
    except InputError as error:
        raise InputError(f"evaluation.classification: {error}") from error


def _classify(embedder: keras.Model, data: RunData, run: RunFolder) -> Classification | None:
    """Classifies the recipe's test images with the trained head and prints the tables."""
    if data.test_images is None:
        return None
    # From its file: in training its weights may have been divided among devices.
    head = load_head(run.head).head
    classifier = Classifier(
        KerasEmbedder(embedder, run.path.name, flip=False),
        lambda embeddings: keras.ops.convert_to_numpy(head.probabilities(embeddings)),
        data.identities,
    )
    classified = classify(classifier, data.test_images)
    figures = classified.to_json()
    write_json(run.classification, figures)
    print(classification_table.as_text(figures))
    return classified


def _verify(trained: keras.Model, data: RunData, run: RunFolder) -> dict:
    """Measures the trained embedder on the recipe's verification sets and prints the table."""
    if not data.test_sets:
        return {}
    embedder = KerasEmbedder(trained, run.path.name)
    results = {pairs.name: verify(embedder, pairs) for pairs in data.test_sets}
    figures = {name: result.to_json() for name, result in results.items()}
    write_json(run.verification, {"sets": figures})
    print(as_text(figures))
    return results


def _report(
    recipe: Recipe,
    classified: Classification | None,
    results: dict,
    data: RunData,
    run: RunFolder,
) -> None:
    """Draws the curves and writes the page, last of all: it marks the run as finished."""
    epochs = epoch_records(read_metrics(run.metrics))
    draw_curves(run.curves, epochs, title=run.path.name)
    pictures = [Picture(run.curves, "The run, epoch by epoch.")]
    if classified:
        pictures += draw_classification(classified, data.test_images, run.plots)
    if results:
        pictures += draw_verification(results, data.test_sets, run.plots)
    write_run_report(
        run.report,
        title=run.path.name,
        classification=classified and classified.to_json(),
        verification={name: result.to_json() for name, result in results.items()},
        pictures=pictures,
        epochs=epochs,
        recipe=dump(recipe),
        environment=environment(),
    )


def _with_precision(policy: str, make):
    """Calls `make` under a precision policy, which the layers it makes remember."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


def _describe_model(recipe: Recipe, recognizer: Recognizer) -> str:
    height, width = recipe.data.image_size
    part, init_from = recipe.model.backbone, recipe.model.init_from
    weights = part.weights if part.weights != "none" else "random weights"
    if init_from is not None:
        weights = f"init_from {init_from.path}"
    return (
        f"{part.name} ({weights}), "
        f"{height}x{width} pixels -> embedding of {recognizer.embedder.output_shape[-1]} -> "
        f"{_describe_head(recipe)}, {recognizer.count_params():,} parameters, "
        f"{recipe.training.precision}, backend {keras.backend.backend()}"
    )


def _describe_head(recipe: Recipe) -> str:
    part = recipe.model.head
    warmup = part.options.get("warmup_epochs")
    if not warmup:
        return part.name
    # Side by side, so that a warm-up longer than the run is seen.
    num_epochs = sum(stage.epochs for stage in recipe.training.stages)
    return f"{part.name} (margin rising for {warmup:g} of up to {num_epochs} epochs)"


def _write_identities(path: Path, names: list[str]) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        table = csv.writer(file)
        table.writerow(["label", "name"])
        table.writerows(enumerate(names))
