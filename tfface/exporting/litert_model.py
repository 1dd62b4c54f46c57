"""Writes LiteRT (TensorFlow Lite) files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfface.evaluation.embedders.metadata import KEY
from tfface.exporting.graph import signature
from tfface.exporting.options import ExportOptions

_FILE_IDENTIFIER = b"TFL3"
# Bytes; what LiteRT's schema asks of the buffers of weights.
_ALIGNMENT = 16


def write_litert(
    model: keras.Model,
    path: Path,
    options: ExportOptions,
    metadata: str,
    calibration: np.ndarray | None,
) -> None:
    """Writes a model as a `.tflite` file.

    Args:
        model: of `export_network`.
        path: of the file.
        options: of the export.
        metadata: JSON, which becomes an entry of the file's metadata.
        calibration: the model's inputs that ranges are measured on for int8.
    """
    settings: dict[str, Any] = {}
    if options.quantize:
        settings["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if options.quantize == "float16":
        settings["target_spec"] = {"supported_types": [tf.float16]}
    if options.quantize == "int8" and calibration is not None:
        batches = _batches(calibration, options.batch_size or 1)
        settings["representative_dataset"] = lambda: ([batch] for batch in batches)
    model.export(
        str(path), format="litert", verbose=False, input_signature=signature(model), **settings
    )
    path.write_bytes(_with_metadata(path.read_bytes(), metadata))


def _batches(images: np.ndarray, size: int) -> list[np.ndarray]:
    """Returns batches of exactly that size; the last one is filled up with the first images."""
    count = -(-len(images) // size) * size
    filled = images[np.arange(count) % len(images)]
    return np.split(filled, count // size)


def _with_metadata(content: bytes, metadata: str) -> bytes:
    """Returns a file with another entry of metadata."""
    import flatbuffers
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT, ModelT

    class AlignedBuilder(flatbuffers.Builder):
        """Python's builder forgets that the schema aligns the weights."""

        def StartVector(self, size, count, alignment):
            return super().StartVector(size, count, max(alignment, _ALIGNMENT))

    model = ModelT.InitFromPackedBuf(content)
    buffer, entry = BufferT(), MetadataT()
    buffer.data = np.frombuffer(metadata.encode(), np.uint8)
    entry.name = KEY
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = AlignedBuilder(len(content))
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())
