"""One training run, from recipe to report: the place where all parts are put together."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import keras

from tfface.errors import InputError, note, warn
from tfface.files import replacing
from tfface.heads.head_file import save_head
from tfface.output_paths import check_output
from tfface.recipe import Recipe
from tfface.recipe.schema import HeadConfig
from tfface.training import device, multiprocess
from tfface.training.callbacks.preemption import PreemptionHandler
from tfface.training.checkpoint_state import variable_values
from tfface.training.data_paths import source_folders
from tfface.training.datasets import load_data
from tfface.training.device import (
    explaining_full_memory,
    prepare_device,
    with_augmentation_place,
)
from tfface.training.distribution import SingleDevice, distribute
from tfface.training.folded_norms import estimate_folded_norms
from tfface.training.head_weights import read_head_weights
from tfface.training.precision import choose_precision, computing_in
from tfface.training.recognizer import Recognizer, build_recognizer, check_batch_norms
from tfface.training.run_folder import RunFolder
from tfface.training.run_metrics import read_run_metrics
from tfface.training.trainer import Trainer
from tfface.training.training_identities import (
    shared_images_warnings,
    squeezed_warning,
    unaligned_warning,
)
from tfface.training.warm_start import read_warm_start


@dataclass(frozen=True)
class RunResult:
    """What a run leaves.

    Attributes:
        path: the run folder.
        metrics: name -> value, of the evaluation and of the epoch whose weights the run keeps;
            empty in other processes than the main one.
    """

    path: Path
    metrics: dict[str, float]


def train(
    recipe: Recipe,
    run_dir: Path,
    data_dir: Path,
    *,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunResult:
    """Trains what a recipe describes and evaluates it.

    Callbacks get the events of each stage as those of one `fit`: `on_train_begin` and
    `on_train_end` once a stage, epochs counted through all stages from 0, batches by their position
    in the epoch. `self.model` is the `Recognizer`, or the part of it that a stage with cached
    features trains. `self.model.stop_training = True` ends the stage. A resumed run calls the
    callbacks anew: a checkpoint does not hold their state.

    Args:
        recipe: as `tfface.recipe.load` returns it.
        run_dir: made if it isn't there. A finished run of the same recipe in it is left as it is.
        data_dir: where the recipe's relative paths start.
        resume: continue from the newest checkpoint that an interrupted run left there.
        callbacks: your own, called beside those of the run.

    Returns:
        RunResult.

    Raises:
        InputError: data, weights or folder are bad, the loss is NaN or infinite, memory or disk
            are full.
        TrainingInterrupted: SIGINT or SIGTERM came; the run can be resumed.
    """
    run = RunFolder(run_dir)
    recipe = with_augmentation_place(recipe, run.written_recipe() if run.has_begun() else None)
    prepare_device(recipe.training, recipe.data)
    distribution = distribute(recipe.training, recipe.model.head)
    if run.is_finished(recipe):
        note(f"{run_dir} holds a finished run of this recipe; to train again, delete it or give")
        note("another run folder (--run-dir). Its report:")
        note(run.report)
    else:
        if not run.has_begun():
            check_output(source_folders(recipe, data_dir), run_dir)
        multiprocess.barrier("a look at the run folder")
        lock = run.locked() if multiprocess.is_main_process() else nullcontext()
        with lock, PreemptionHandler() as handler, explaining_full_memory(recipe):
            _train(recipe, run, data_dir, distribution, handler, callbacks, resume=resume)
    if not multiprocess.is_main_process():
        return RunResult(run_dir, {})
    return RunResult(run_dir, read_run_metrics(run, recipe).metrics)


def _train(
    recipe: Recipe,
    run: RunFolder,
    data_dir: Path,
    distribution: SingleDevice,
    handler: PreemptionHandler,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    resume: bool,
) -> None:
    if multiprocess.is_main_process():
        run.start(recipe, resume=resume)

    # ------------------------------------------------------------------------------------- data
    note(f"run: {run.path}")
    # A checkpoint has all of it, and what it came from may be gone.
    warm_start = head_weights = None
    if not (resume and run.has_begun()):
        warm_start = read_warm_start(recipe.model, data_dir)
        head_weights = read_head_weights(recipe.model.head, data_dir)
    with explaining_full_memory(recipe, device.DATA):
        data = load_data(recipe, data_dir, run.path.parent / ".cache", distribution.shard)
    distribution.check_batch(data.train.batch_size)
    note(f"data: {data.description}")
    for line in data.notes:
        note(f"  {line}")
    if multiprocess.is_main_process() and not run.has_begun():
        head = recipe.model.head
        name = None if head is None else head.name
        unaligned = unaligned_warning(name, data)
        squeezed = squeezed_warning(name, data, recipe.data.image_size)
        for warning in (*shared_images_warnings(data), unaligned, squeezed):
            if warning:
                warn(warning)
    if multiprocess.is_main_process():
        run.check_data(data.sources)
        run.write_identities(data.identities)

    precision = choose_precision(recipe, run, len(data.identities), data.teacher_size)
    if multiprocess.is_main_process():
        run.keep_precision(precision)

    with distribution.scope():
        # -------------------------------------------------------------------------------- model
        keras.utils.set_random_seed(recipe.training.seed)
        with (
            explaining_full_memory(recipe, device.NETWORK),
            computing_in(precision),
        ):
            recognizer = build_recognizer(
                recipe.model,
                recipe.data.image_size,
                len(data.identities),
                data_dir,
                data.train.steps_per_epoch,
                distribution.center_shards,
                recipe.training.distillation,
            )
        if recognizer.distillation is not None:
            student = recognizer.embedder.output_shape[-1]
            recognizer.distillation.check_sizes(student, data.teacher_size)
        note(f"model: {_describe_model(recipe, recognizer, precision)}{distribution.description}")
        num_images = distribution.images_per_batch_norm(data.train.batch_size)
        check_batch_norms(recognizer.embedder, recipe.training, num_images)
        if warm_start is not None:
            note(warm_start.fill(recognizer.embedder, recognizer.head, data.identities))
            # It is as large as the model.
            del warm_start
        if head_weights is not None:
            note(head_weights.fill(recognizer.head, data.identities))
            del head_weights
        # A checkpoint has them.
        if not (resume and run.has_begun()):
            estimated = estimate_folded_norms(recognizer.embedder, data.training_images)
            if estimated is not None:
                note(estimated)
        if data.test_images is not None:
            _check_classifies(recognizer)

        # ------------------------------------------------------------------------------- stages
        trainer = Trainer(
            recipe.training, recipe.data, recognizer, data, run, distribution, handler, callbacks
        )
        trainer.train(resume=resume)
        if recipe.model.head is not None:
            _save_head(recipe.model.head, recognizer, len(data.identities), run)

    multiprocess.shutdown()
    if not multiprocess.is_main_process():
        return
    replica = distribution.local_replica(recognizer.embedder)
    with replica.synced(), replacing(run.model) as temporary:
        replica.model.save(temporary)

    # ----------------------------------------------------------------- evaluation and report
    # Not before the first step: matplotlib takes most of a second to import.
    from tfface.training.run_evaluation import evaluate_run

    with explaining_full_memory(recipe, device.EVALUATION):
        evaluate_run(replica.model, recipe, data, run)


def _save_head(
    head: HeadConfig, recognizer: Recognizer, num_identities: int, run: RunFolder
) -> None:
    """Saves what model.keras lacks to classify: it holds the embedder alone."""
    weights = variable_values(recognizer, recognizer.head.trainable_weights)
    if multiprocess.is_main_process():
        save_head(
            run.head,
            recognizer.head,
            name=head.name,
            options=head.options,
            num_identities=num_identities,
            embedding_size=recognizer.embedder.output_shape[-1],
            weights=weights,
        )


def _check_classifies(recognizer: Recognizer) -> None:
    """Raises InputError: the head has no classes; found out before training."""
    try:
        recognizer.head.check_classifies()
    except InputError as error:
        raise InputError(f"evaluation.classification: {error}") from error


def _describe_model(recipe: Recipe, recognizer: Recognizer, precision: str) -> str:
    height, width = recipe.data.image_size
    part, init_from = recipe.model.backbone, recipe.model.init_from
    # A network of a file comes with its weights.
    of_file = part.options.get("path")
    weights = part.weights if part.weights != "none" else of_file or "random weights"
    if init_from is not None:
        weights = f"init_from {init_from.path}"
    num_epochs = sum(stage.epochs for stage in recipe.training.stages)
    return (
        f"{part.name} ({weights}), "
        f"{height}x{width} pixels -> embedding of {recognizer.embedder.output_shape[-1]} -> "
        f"{_describe_training(recipe, num_epochs)}, {recognizer.count_params():,} "
        f"parameters, {precision}, backend {keras.backend.backend()}"
    )


def _describe_training(recipe: Recipe, num_epochs: int) -> str:
    head, distillation = recipe.model.head, recipe.training.distillation
    parts = [] if head is None else [_describe_head(head, num_epochs)]
    if distillation is not None:
        parts.append(f"{distillation.loss} loss to {distillation.teacher.path}")
    return " and ".join(parts)


def _describe_head(head: HeadConfig, num_epochs: int) -> str:
    warmup = head.options.get("margin_warmup_epochs")
    if not warmup:
        return head.name
    if warmup > num_epochs:
        of = f"{num_epochs} of {warmup:g} epochs of warm-up"
        return f"{head.name} (margin never full: {of})"
    return f"{head.name} (margin rising for {warmup:g} of up to {num_epochs} epochs)"
