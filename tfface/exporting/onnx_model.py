"""Writes ONNX files."""

import warnings
from pathlib import Path

import keras
import numpy as np

from tfface.evaluation.embedders.metadata import KEY
from tfface.exporting.graph import signature
from tfface.exporting.options import ExportOptions


def write_onnx(
    model: keras.Model,
    path: Path,
    options: ExportOptions,
    metadata: str,
    calibration: np.ndarray | None,
) -> None:
    """Writes a model as an `.onnx` file with its weights inside.

    Args:
        model: of `export_network`.
        path: of the file.
        options: of the export.
        metadata: JSON, which goes into `metadata_props`.
        calibration: not used.
    """
    import onnx
    import tf2onnx  # noqa: F401  Keras imports it later, and says less where it is missing.

    with warnings.catch_warnings():
        # About names of NumPy that the converter still uses.
        warnings.simplefilter("ignore")
        model.export(
            str(path),
            format="onnx",
            verbose=False,
            input_signature=signature(model),
            opset_version=options.opset,
        )
    written = onnx.load(path)
    if options.quantize == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        written = convert_float_to_float16(written, keep_io_types=True)
    if options.batch_size is None:
        for tensor in (written.graph.input[0], written.graph.output[0]):
            tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    written.metadata_props.add(key=KEY, value=metadata)
    onnx.save(written, path)
