"""An OpenVINO model (`.xml` with its `.bin`) as an embedder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.external import ExternalEmbedder, read_image_input
from tfface.evaluation.embedders.metadata import KEY, parse_metadata
from tfface.evaluation.embedders.options import EmbedderOptions


def load_openvino_embedder(model: str, options: EmbedderOptions) -> ExternalEmbedder | None:
    """Loads an OpenVINO `.xml` file, with its weights in the `.bin` file beside it.

    Args:
        model: the MODEL argument.
        options: options of the model.

    Returns:
        The embedder; None if `model` is not an `.xml` file.

    Raises:
        InputError: the file does not exist, can't be loaded, or does not embed images.
    """
    path = Path(model)
    if path.suffix.lower() != ".xml":
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    options.check_single_output(model)
    import openvino

    # Else processors that can compute in half precision do so.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if options.num_threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.num_threads
    try:
        network = openvino.Core().read_model(path)
        compiled = openvino.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[-1]
        raise InputError(f"{path}: can't be loaded as an OpenVINO model ({reason})") from error
    inputs, outputs = network.inputs, network.outputs
    types = {"u8": np.uint8, "f32": np.float32}
    dtype = types.get(inputs[0].element_type.get_type_name()) if len(inputs) == 1 else None
    if dtype is None or len(outputs) != 1:
        raise InputError(
            f"{path}: the model takes {len(inputs)} inputs and returns {len(outputs)} outputs: "
            "expected one input of float32 or uint8 images, and embeddings alone"
        )

    def run(images: np.ndarray) -> np.ndarray:
        return compiled(images)[0]

    said = network.get_rt_info([KEY]).astype(str) if network.has_rt_info([KEY]) else None
    return ExternalEmbedder(
        run,
        path,
        read_image_input(path, _sizes(inputs[0].get_partial_shape()), is_uint8=dtype is np.uint8),
        options,
        weight_files=[path.with_suffix(".bin")],
        metadata=parse_metadata(said, path),
    )


def _sizes(shape: Sequence[Any]) -> list[int | None]:
    return [size.get_length() if size.is_static else None for size in shape]
