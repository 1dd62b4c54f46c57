"""An ONNX model as an embedder, run by ONNX Runtime."""

import mmap
import os
import re
from collections.abc import Sequence
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


def load_onnx_embedder(model: str, options: EmbedderOptions) -> ExternalEmbedder | None:
    """Loads an `.onnx` file.

    Args:
        model: the MODEL argument.
        options: options of the model.

    Returns:
        The embedder; None if `model` is not an `.onnx` file.

    Raises:
        InputError: the file does not exist, can't be loaded, or does not embed images.
    """
    path = Path(model)
    if path.suffix.lower() != ".onnx":
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    import onnxruntime

    # Its log repeats what its exceptions say.
    onnxruntime.set_default_logger_severity(4)
    try:
        settings = onnxruntime.SessionOptions()
        # 0 means as many as there are.
        settings.intra_op_num_threads = options.num_threads or 0
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    # ONNX Runtime's errors have no common base class.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: can't be loaded as an ONNX model ({reason})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type not in ("tensor(float)", "tensor(uint8)"):
        found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
        raise InputError(
            f"{path}: the model takes {found}: expected one input of float32 or uint8 images"
        )
    name = inputs[0].name
    known = [Output(one.name, _sizes(one.shape)) for one in outputs]
    output = outputs[choose_output(path, known, options.output)].name

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([output], {name: images})[0]

    shape = _sizes(inputs[0].shape)
    return ExternalEmbedder(
        run,
        path,
        read_image_input(path, shape, is_uint8=inputs[0].type == "tensor(uint8)"),
        options,
        output if len(outputs) > 1 else None,
        _weight_files(path),
        parse_metadata(session.get_modelmeta().custom_metadata_map.get(KEY), path),
    )


def _sizes(shape: Sequence[object]) -> list[int | None]:
    # A name stands for a dimension of any size.
    return [size if isinstance(size, int) and size > 0 else None for size in shape]


# ONNX stores the file of an external array as an entry "location" with the file's name.
_LOCATION = re.compile(rb"\x0a\x08location\x12")


def _weight_files(path: Path) -> list[Path]:
    """Returns the external data files of an `.onnx` file."""
    found = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in _LOCATION.finditer(data):
            length, start = _length(data, match.end())
            found.add(path.parent / os.fsdecode(data[start : start + length]))
    # Bytes that look like a name by chance lead to no file.
    return [file for file in found if _is_file(file)]


def _length(data: mmap.mmap, start: int) -> tuple[int, int]:
    """Reads a protobuf varint of at most two bytes; returns the number and its end."""
    low, high = (*data[start : start + 2], 0, 0)[:2]
    return (low, start + 1) if low < 128 else (low % 128 + 128 * high, start + 2)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
