"""What a run does beside training steps, as Keras callbacks that live as long as a stage."""

from tfface.training.callbacks.checkpointing import Checkpointing
from tfface.training.callbacks.early_stopping import EarlyStopping
from tfface.training.callbacks.ema import EmaWeights
from tfface.training.callbacks.metrics_logger import MetricsLogger
from tfface.training.callbacks.nan_guard import NanGuard
from tfface.training.callbacks.preemption import Preemption

__all__ = [
    "Checkpointing",
    "EarlyStopping",
    "EmaWeights",
    "MetricsLogger",
    "NanGuard",
    "Preemption",
]
