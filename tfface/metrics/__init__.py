"""Metrics of face recognition: verification, identification, classification. NumPy only.

    verification.verification                  pairs of embeddings: accuracy, TAR@FAR, EER, AUC
    identification.identification              ranks and similarities of queries: CMC, TPIR@FPIR
    classification.classification              predictions: accuracy, precision, recall, calibration
    roc.roc, k_fold.fold_accuracy, ...         the parts of these

Example:
    >>> import numpy as np
    >>> import tfface
    >>> genuine = np.array([True, True, False, False])
    >>> curve = tfface.metrics.roc.roc(np.array([0.9, 0.6, 0.7, 0.1]), genuine)
    >>> tfface.metrics.roc.auc(curve)
    0.75
"""

import importlib
import pkgutil
from types import ModuleType

_MODULES = {module.name for module in pkgutil.iter_modules(__path__)}


def __getattr__(name: str) -> ModuleType:
    # So that `tfface.metrics.roc` needs no import of its own.
    if name not in _MODULES:
        raise AttributeError(f"module 'tfface.metrics' has no attribute '{name}'")
    return importlib.import_module(f"tfface.metrics.{name}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
