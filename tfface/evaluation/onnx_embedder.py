"""An ONNX model as an embedder, run by ONNX Runtime."""

from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedder_options import EmbedderOptions
from tfface.evaluation.foreign_embedder import ForeignEmbedder, read_image_input


def load_onnx_embedder(model: str, options: EmbedderOptions) -> ForeignEmbedder | None:
    """Returns the embedder of an `.onnx` file; None if `model` is no such path.

    Raises InputError: there's no such file, it can't be loaded, or doesn't embed images.
    """
    path = Path(model)
    if path.suffix != ".onnx":
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # ONNX Runtime's errors have no common base of their own.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: can't be loaded as an ONNX model ({reason})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type not in ("tensor(float)", "tensor(uint8)"):
        found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
        raise InputError(
            f"{path}: the model takes {found}: expected one input of float32 or uint8 images"
        )
    # Names stand for sizes that are free.
    shape = [size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape]
    name, output = inputs[0].name, outputs[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([output], {name: images})[0]

    is_uint8 = inputs[0].type == "tensor(uint8)"
    return ForeignEmbedder(run, path, read_image_input(path, shape, is_uint8=is_uint8), options)
