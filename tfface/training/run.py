"""One training run, from recipe to report: the place where all parts are put together."""

import csv
from contextlib import nullcontext
from pathlib import Path

import keras

from tfface.errors import InputError, say
from tfface.evaluation.classification import Classification, classify
from tfface.evaluation.classification_plots import draw_classification
from tfface.evaluation.classifier import Classifier
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.verification import verify
from tfface.evaluation.verification_plots import draw_verification
from tfface.files import replacing, write_json
from tfface.heads.head_file import load_head, save_head
from tfface.names import safe_row
from tfface.recipe import Recipe, dump
from tfface.reporting import classification_table
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.reporting.page import Picture
from tfface.reporting.plots.training import draw_curves
from tfface.reporting.run_report import write_run_report
from tfface.reporting.verification_table import as_text
from tfface.training import checkpointing, device, multiprocess
from tfface.training.datasets import RunData, load_data
from tfface.training.device import explaining_full_memory, prepare_device
from tfface.training.distribution import SingleDevice, distribute
from tfface.training.preemption import PreemptionHandler
from tfface.training.recognizer import Recognizer, build_recognizer, check_batch_norms
from tfface.training.run_folder import RunFolder, environment
from tfface.training.trainer import Loop
from tfface.training.warm_start import read_warm_start


def train(recipe: Recipe, run_dir: Path, data_dir: Path, *, resume: bool = False) -> Path:
    """Trains what a recipe describes and evaluates it; all that comes of it is in the run folder.

    Args:
        run_dir: made if it isn't there. A finished run of the same recipe in it is left as it is.
        data_dir: where the recipe's relative paths start.
        resume: go on from the newest checkpoint that an interrupted run left there.
    Returns: run_dir.
    Raises InputError: bad data, weights or folder; the loss is not finite any more; memory or disk
        are full. TrainingInterrupted: SIGINT or SIGTERM came; the run can be gone on with.
    """
    run = RunFolder(run_dir)
    prepare_device(recipe)
    distribution = distribute(recipe)
    if run.is_finished(recipe):
        say(f"{run_dir} holds a finished run of this recipe; to train again, delete it or give")
        say("another --run-dir. Its report:")
        say(run.report)
        return run_dir
    multiprocess.barrier("a look at the run folder")
    lock = run.locked() if multiprocess.is_main_process() else nullcontext()
    with lock, PreemptionHandler() as interruptions, explaining_full_memory(recipe):
        _train(recipe, run, data_dir, distribution, interruptions, resume=resume)
    return run_dir


def _train(
    recipe: Recipe,
    run: RunFolder,
    data_dir: Path,
    distribution: SingleDevice,
    interruptions: PreemptionHandler,
    *,
    resume: bool,
) -> None:
    if multiprocess.is_main_process():
        run.start(recipe, resume=resume)

    # ------------------------------------------------------------------------------------- data
    say(f"run: {run.path}")
    # A checkpoint has all of it, and what it came from may be gone.
    start = None if resume and run.has_begun() else read_warm_start(recipe.model, data_dir)
    with explaining_full_memory(recipe, device.DATA):
        data = load_data(recipe, data_dir, run.path.parent / ".cache", distribution.part)
    distribution.check_batch(data.train.batch_size)
    say(f"data: {data.description}")
    for note in data.notes:
        say(f"  {note}")
    if multiprocess.is_main_process():
        run.check_data(data.sources)
        _write_identities(run.identities, data.identities)

    with distribution.scope():
        # -------------------------------------------------------------------------------- model
        keras.utils.set_random_seed(recipe.training.seed)
        with explaining_full_memory(recipe, device.NETWORK):
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
        say(f"model: {_describe_model(recipe, recognizer)}{distribution.description}")
        num_images = distribution.images_per_batch_norm(data.train.batch_size)
        check_batch_norms(recognizer.embedder, recipe.training, num_images)
        if start is not None:
            say(start.fill(recognizer.embedder, recognizer.head, data.identities))
            # It is as large as the model.
            del start
        if data.test_images is not None:
            _check_classifies(recognizer)

        # ------------------------------------------------------------------------------- stages
        Loop(recipe, recognizer, data, run, distribution, interruptions).train(resume=resume)
        _save_head(recipe, recognizer, data, run)

    multiprocess.shutdown()
    if not multiprocess.is_main_process():
        return
    alone = distribution.local_replica(recognizer.embedder)
    with alone.synced(), replacing(run.model) as temporary:
        alone.model.save(temporary)

    # ----------------------------------------------------------------- evaluation and report
    with explaining_full_memory(recipe, device.EVALUATION):
        classified = _classify(alone.model, data, run)
        results = _verify(alone.model, data, run)
    _report(recipe, classified, results, data, run)
    if classified or results:
        say(f"plots: {run.plots}")
    say(f"report: {run.report}")


def _save_head(recipe: Recipe, recognizer: Recognizer, data: RunData, run: RunFolder) -> None:
    """Keeps what model.keras lacks to classify: it holds the embedder alone."""
    part = recipe.model.head
    weights = checkpointing.variable_values(recognizer, recognizer.head.trainable_weights)
    if multiprocess.is_main_process():
        save_head(
            run.head,
            recognizer.head,
            name=part.name,
            options=part.options,
            num_identities=len(data.identities),
            embedding_size=recognizer.embedder.output_shape[-1],
            weights=weights,
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
    say(classification_table.as_text(figures))
    return classified


def _verify(trained: keras.Model, data: RunData, run: RunFolder) -> dict:
    """Measures the trained embedder on the recipe's verification sets and prints the table."""
    if not data.test_sets:
        return {}
    embedder = KerasEmbedder(trained, run.path.name)
    results = {pairs.name: verify(embedder, pairs) for pairs in data.test_sets}
    figures = {name: result.to_dict() for name, result in results.items()}
    write_json(run.verification, {"sets": figures})
    say(as_text(figures))
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
        verification={name: result.to_dict() for name, result in results.items()},
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
        table.writerows(safe_row(row) for row in enumerate(names))
