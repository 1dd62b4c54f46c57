"""tfface: train, evaluate and ship face-recognition models with Keras 3 and tf.data.

    import tfface

    run = tfface.train("quickstart")
    model = tfface.load_embedder(run.path)
    tfface.compare("a.jpg", "b.jpg", model=model)

Names are imported when they are first used: `import tfface` alone does not load TensorFlow. Where
Keras is imported already, `import tfface` registers heads and `Recognizer` with it, so that
`keras.saving.load_model` reads them.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tfface import onednn

if TYPE_CHECKING:
    from tfface import backbones as backbones
    from tfface import heads as heads
    from tfface import metrics as metrics
    from tfface.alignment.photo_faces import AlignedFace as AlignedFace
    from tfface.api.comparing import Comparison as Comparison
    from tfface.api.comparing import compare as compare
    from tfface.api.datasets import image_dataset as image_dataset
    from tfface.api.datasets import open_source as open_source
    from tfface.api.embedding import Embedder as Embedder
    from tfface.api.embedding import load_embedder as load_embedder
    from tfface.api.evaluating import evaluate_classification as evaluate_classification
    from tfface.api.evaluating import evaluate_identification as evaluate_identification
    from tfface.api.evaluating import evaluate_verification as evaluate_verification
    from tfface.api.exporting import export as export
    from tfface.api.faces import align as align
    from tfface.api.galleries import Gallery as Gallery
    from tfface.api.galleries import IdentifiedFace as IdentifiedFace
    from tfface.api.training import RunResult as RunResult
    from tfface.api.training import build_embedder as build_embedder
    from tfface.api.training import train as train
    from tfface.errors import InputError as InputError
    from tfface.evaluation.classifier import Classifier as Classifier
    from tfface.evaluation.classifier import load_classifier as load_classifier
    from tfface.exporting.exporter import ExportResult as ExportResult
    from tfface.recipe import Recipe as Recipe
    from tfface.training.recognizer import Recognizer as Recognizer

__version__ = "0.1.0"

# Name -> the module that has it; None for the package of that name. Type checkers read the imports
# above in place of this.
_PUBLIC = {
    "AlignedFace": "tfface.alignment.photo_faces",
    "Classifier": "tfface.evaluation.classifier",
    "Comparison": "tfface.api.comparing",
    "Embedder": "tfface.api.embedding",
    "ExportResult": "tfface.exporting.exporter",
    "Gallery": "tfface.api.galleries",
    "IdentifiedFace": "tfface.api.galleries",
    "InputError": "tfface.errors",
    "Recipe": "tfface.recipe",
    "Recognizer": "tfface.training.recognizer",
    "RunResult": "tfface.api.training",
    "align": "tfface.api.faces",
    "backbones": None,
    "build_embedder": "tfface.api.training",
    "compare": "tfface.api.comparing",
    "evaluate_classification": "tfface.api.evaluating",
    "evaluate_identification": "tfface.api.evaluating",
    "evaluate_verification": "tfface.api.evaluating",
    "export": "tfface.api.exporting",
    "heads": None,
    "image_dataset": "tfface.api.datasets",
    "load_classifier": "tfface.evaluation.classifier",
    "load_embedder": "tfface.api.embedding",
    "metrics": None,
    "open_source": "tfface.api.datasets",
    "train": "tfface.api.training",
}

_WITHOUT_TENSORFLOW = ("InputError", "Recipe", "metrics")

# Before anything imports TensorFlow.
onednn.turn_on()

if "keras" in sys.modules:
    importlib.import_module("tfface.training.recognizer")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tfface' has no attribute '{name}'")
    module = _PUBLIC[name]
    if name not in _WITHOUT_TENSORFLOW and "tensorflow" not in sys.modules:
        # What is imported next needs it, and would let it fill the screen with notes.
        from tfface.quiet_tensorflow import import_tensorflow

        import_tensorflow(os.environ.get("KERAS_BACKEND") or "tensorflow")
    if module is None:
        return importlib.import_module(f"tfface.{name}")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        from tfface.extras import EXTRAS, not_installed

        if package not in EXTRAS:
            raise
        message = f"tfface.{name}: {not_installed(package)}"
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
