"""Writes SavedModel folders."""

from pathlib import Path

import keras
import numpy as np

from tfface.evaluation.embedders.saved_model import METADATA_FILE
from tfface.exporting.graph import signature
from tfface.exporting.options import ExportOptions


def write_saved_model(
    model: keras.Model,
    path: Path,
    options: ExportOptions,
    metadata: str,
    calibration: np.ndarray | None,
) -> None:
    """Writes a model as a SavedModel folder with the signature `serving_default`.

    Args:
        model: of `export_network`.
        path: of the folder.
        options: of the export.
        metadata: JSON, which becomes a file in the folder.
        calibration: not used.
    """
    model.export(
        str(path), format="tf_saved_model", verbose=False, input_signature=signature(model)
    )
    file = path / METADATA_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(metadata, encoding="utf-8")
