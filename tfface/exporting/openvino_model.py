"""Writes OpenVINO files."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from tfface.evaluation.embedders.metadata import KEY
from tfface.exporting.graph import signature
from tfface.exporting.options import ExportOptions


def write_openvino(
    model: keras.Model,
    path: Path,
    options: ExportOptions,
    metadata: str,
    calibration: np.ndarray | None,
) -> None:
    """Writes a model as an `.xml` file, with its weights in the `.bin` file beside it.

    Args:
        model: of `export_network`.
        path: of the `.xml` file.
        options: of the export.
        metadata: JSON, which goes into `rt_info`.
        calibration: not used.
    """
    import openvino

    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        raw = Path(folder, path.name)
        model.export(str(raw), format="openvino", verbose=False, input_signature=signature(model))
        network = openvino.Core().read_model(raw)
        network.set_rt_info(metadata, [KEY])
        openvino.save_model(network, path, compress_to_fp16=options.quantize == "float16")
        # It maps the file of weights, which some systems can't remove then.
        del network
