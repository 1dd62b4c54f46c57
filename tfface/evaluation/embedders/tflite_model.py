"""A LiteRT model (`.tflite`) as an embedder."""

import os
import struct
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.external import (
    ExternalEmbedder,
    Output,
    choose_output,
    read_image_input,
)
from tfface.evaluation.embedders.metadata import KEY, parse_metadata
from tfface.evaluation.embedders.options import EmbedderOptions


def load_tflite_embedder(model: str, options: EmbedderOptions) -> ExternalEmbedder | None:
    """Loads a `.tflite` file.

    A model with a fixed batch size is run several times for each batch. Quantized inputs and
    outputs are converted by the scale and zero point in the file.

    Args:
        model: the MODEL argument.
        options: options of the model.

    Returns:
        The embedder; None if `model` is not a `.tflite` file.

    Raises:
        InputError: the file does not exist, can't be loaded, or does not embed images.
    """
    path = Path(model)
    if path.suffix.lower() != ".tflite":
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=options.num_threads or os.cpu_count())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: can't be loaded as a LiteRT model ({reason})") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        shapes = [one["shape_signature"].tolist() for one in inputs]
        raise InputError(f"{path}: the model takes {shapes}: expected one input of images")
    known = [Output(one["name"], _sizes(one)) for one in outputs]
    taken, given = inputs[0], outputs[choose_output(path, known, options.output)]
    shape = _sizes(taken)

    def run(images: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(taken["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(taken["index"], _quantized(images, taken))
        interpreter.invoke()
        return _dequantized(interpreter.get_tensor(given["index"]), given)

    # A quantized input has its own scale, so it takes float pixels in any range.
    is_uint8 = taken["dtype"] == np.uint8 and not taken["quantization"][0]
    return ExternalEmbedder(
        run,
        path,
        read_image_input(path, shape, is_uint8=is_uint8),
        options,
        given["name"] if len(outputs) > 1 else None,
        metadata=parse_metadata(_entry(path, KEY), path),
    )


def _entry(path: Path, name: str) -> str | None:
    """Returns an entry of a file's metadata; None if there is none."""
    # Most files have none, and the schema takes half a second to import.
    data = path.read_bytes()
    if name.encode() not in data:
        return None
    from ai_edge_litert.schema_py_generated import Model

    try:
        model = Model.GetRootAs(data)
        for number in range(model.MetadataLength()):
            entry = model.Metadata(number)
            if entry.Name() == name.encode():
                return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode()
    # What reading beyond the end of a damaged file raises.
    except (struct.error, IndexError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: can't be loaded as a LiteRT model (damaged metadata)") from error
    return None


def _sizes(tensor: dict) -> list[int | None]:
    # -1 stands for a dimension of any size.
    return [size if size > 0 else None for size in tensor["shape_signature"].tolist()]


def _quantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    """Converts float32 values to the type of the tensor."""
    scale, zero = tensor["quantization"]
    if not scale:
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(tensor["dtype"])


def _dequantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values
