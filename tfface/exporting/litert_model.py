"""Writes LiteRT (TensorFlow Lite) files."""

import csv
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfface.errors import InputError
from tfface.evaluation.embedders.metadata import KEY
from tfface.exporting.graph import signature
from tfface.exporting.options import ExportOptions

_FILE_IDENTIFIER = b"TFL3"
# Bytes; what LiteRT's schema asks of the buffers of weights.
_ALIGNMENT = 16
# LiteRT's operations with weights, which `ExportOptions.float_layers` counts.
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


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

    Raises:
        InputError: the model has too few layers for `float_layers`.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.export(
            folder, format="tf_saved_model", verbose=False, input_signature=signature(model)
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        content = _converted(converter, options, calibration)
    path.write_bytes(_with_metadata(content, metadata))


def _converted(
    converter: tf.lite.TFLiteConverter, options: ExportOptions, calibration: np.ndarray | None
) -> bytes:
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    if options.quantize is None:
        return converter.convert()
    if options.quantize == "weights-int8" and options.float_layers:
        plain = converter.convert()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return _with_float_weights(converter.convert(), plain, options.float_layers)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if options.quantize == "int8" and calibration is not None:
        batches = _batches(calibration, options.batch_size or 1)
        converter.representative_dataset = lambda: ([batch] for batch in batches)
        if options.float_layers:
            return _int8_after(converter, batches[0], options.float_layers)
    return converter.convert()


def _int8_after(converter: tf.lite.TFLiteConverter, batch: np.ndarray, count: int) -> bytes:
    """Quantizes all but the first layers and what lies between these.

    TensorFlow's debugger knows the operations in their order, and converts without some of them.
    """
    # The debugger squares large differences, which nobody asks for here.
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        # The debugger's own.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: [[batch]]
        )
        debugger.run()
        table = io.StringIO()
        debugger.layer_statistics_dump(table)
        rows = list(csv.DictReader(table.getvalue().splitlines()))
        layers = [number for number, row in enumerate(rows) if row["op_name"] in _LAYERS]
        _check_count(count, len(layers))
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=[row["tensor_name"] for row in rows[: layers[count - 1] + 1]]
        )
        return debugger.get_nondebug_quantized_model()


def _with_float_weights(content: bytes, plain: bytes, count: int) -> bytes:
    """Returns a file whose first layers have the weights of the file in float32.

    The converter has no such option for weights in 8 bits.
    """
    from ai_edge_litert.schema_py_generated import ModelT, TensorType

    model, original = ModelT.InitFromPackedBuf(content), ModelT.InitFromPackedBuf(plain)
    pairs = list(zip(_weights(model), _weights(original), strict=True))
    _check_count(count, len(pairs))
    for tensor, wanted in pairs[:count]:
        # Small ones stay in float32 anyway.
        if tensor.type == TensorType.INT8:
            tensor.type, tensor.quantization = wanted.type, wanted.quantization
            model.buffers[tensor.buffer].data = original.buffers[wanted.buffer].data
    return _packed(model, len(content))


def _weights(model: Any) -> list[Any]:
    """Returns the tensors of the layers' weights, in the order of the layers."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    codes = [getattr(BuiltinOperator, name) for name in _LAYERS]
    graph = model.subgraphs[0]
    return [
        graph.tensors[operation.inputs[1]]
        for operation in graph.operators
        if model.operatorCodes[operation.opcodeIndex].builtinCode in codes
    ]


def _check_count(float_layers: int, num_layers: int) -> None:
    if float_layers >= num_layers:
        raise InputError(
            f"--float-layers {float_layers}: must be less than {num_layers}, the number of layers "
            "that can be quantized"
        )


def _batches(images: np.ndarray, size: int) -> list[np.ndarray]:
    """Returns batches of exactly that size; the last one is filled up with the first images."""
    count = -(-len(images) // size) * size
    filled = images[np.arange(count) % len(images)]
    return np.split(filled, count // size)


def _with_metadata(content: bytes, metadata: str) -> bytes:
    """Returns a file with another entry of metadata."""
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT, ModelT

    model = ModelT.InitFromPackedBuf(content)
    buffer, entry = BufferT(), MetadataT()
    buffer.data = np.frombuffer(metadata.encode(), np.uint8)
    entry.name = KEY
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return _packed(model, len(content))


def _packed(model: Any, size: int) -> bytes:
    """Returns the bytes of a file of about this size."""
    import flatbuffers

    class AlignedBuilder(flatbuffers.Builder):
        """Python's builder forgets that the schema aligns the weights."""

        def StartVector(self, size, count, alignment):
            return super().StartVector(size, count, max(alignment, _ALIGNMENT))

    builder = AlignedBuilder(size)
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())
