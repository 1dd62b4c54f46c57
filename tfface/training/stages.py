"""Preparing a stage: frozen layers, optimizer, learning-rate schedule."""

import math

import keras

from tfface.kernels.keras_internals import flatten_layers
from tfface.kernels.rows import use_sparse_updates
from tfface.recipe.schema import StageConfig
from tfface.registry import build_from_config
from tfface.training.callbacks.ema import enable_ema, reset_ema
from tfface.training.optimizers import OPTIMIZERS, SCHEDULES, WarmUp
from tfface.training.recognizer import Recognizer


def prepare(recognizer: Recognizer, stage: StageConfig, steps_per_epoch: int) -> None:
    """Freezes what the stage freezes, and compiles the recognizer with the stage's optimizer.

    Args:
        recognizer: built; on TensorFlow under the distribution's scope.
        stage: the recipe's stage.
        steps_per_epoch: for schedules, which count in epochs.
    """
    _freeze(recognizer, stage)
    optimizer = build_from_config(
        OPTIMIZERS[stage.optimizer.name],
        stage.optimizer.options,
        data_dir=None,
        schedule=_schedule(stage, steps_per_epoch),
    )
    optimizer.global_clipnorm = stage.global_clipnorm
    if stage.ema_momentum is not None:
        enable_ema(optimizer, stage.ema_momentum)
    by_rows = [] if recognizer.head is None else recognizer.head.sparse_variables
    for variable in by_rows:
        use_sparse_updates(optimizer, variable)
    if optimizer.weight_decay:
        # Biases, batch norms and other vectors are offsets and scales: decay would only shift them.
        vectors = [v for v in recognizer.trainable_variables if len(v.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=[*vectors, *by_rows])
    # XLA by device: on with an accelerator, off on a CPU, where it makes steps slower.
    recognizer.reports_steps = True
    recognizer.compile(optimizer=optimizer, jit_compile="auto")
    recognizer.optimizer.build(recognizer.trainable_variables)
    reset_ema(recognizer)


def describe(recognizer: Recognizer, stage: StageConfig) -> str:
    """Returns one line about what the stage trains."""
    trained = sum(math.prod(v.shape) for v in recognizer.trainable_variables)
    total = sum(math.prod(v.shape) for v in recognizer.weights)
    frozen = {
        "none": "nothing frozen",
        "backbone": "backbone frozen",
        "backbone_bn": "the backbone's batch norms frozen",
        "embedder": "all but the head frozen",
    }[stage.freeze]
    return f"{frozen}, {trained:,} of {total:,} parameters trainable"


def _freeze(recognizer: Recognizer, stage: StageConfig) -> None:
    # Set on the layers themselves: Keras does not pass it on from the model around them.
    for layer in recognizer.embedder.layers:
        layer.trainable = stage.freeze != "embedder"
    recognizer.backbone.trainable = not stage.freezes_backbone
    if stage.freeze == "backbone_bn":
        for layer in flatten_layers(recognizer.backbone):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def _schedule(
    stage: StageConfig, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    schedule = build_from_config(
        SCHEDULES[stage.schedule.name],
        stage.schedule.options,
        data_dir=None,
        learning_rate=stage.optimizer.options["learning_rate"],
        steps_per_epoch=steps_per_epoch,
        num_steps=stage.epochs * steps_per_epoch,
    )
    warmup_steps = round(stage.lr_warmup_epochs * steps_per_epoch)
    return WarmUp(schedule, warmup_steps) if warmup_steps else schedule
