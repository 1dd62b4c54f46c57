"""Which reader reads a file of weights: by its content, whatever it is called."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from tfface.backbones.weights.array_files import StoredArray, read_npz, read_safetensors
from tfface.backbones.weights.onnx_file import read_onnx
from tfface.backbones.weights.torch_file import LEGACY_MAGIC, read_torch_file
from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE

Reader = Callable[[Path], dict[str, StoredArray]]

# What is read whatever its beginning: its reader says what is wrong with it.
_BY_SUFFIX: dict[str, Reader] = {
    ".pth": read_torch_file,
    ".pt": read_torch_file,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".onnx": read_onnx,
}
# Names that files of several kinds have.
_OTHER_SUFFIXES = (".ckpt", ".pth.tar", ".bin", ".pkl")
SUFFIXES = (*_BY_SUFFIX, *_OTHER_SUFFIXES)
# Programs for inference, in which layers are fused and weights perhaps quantized.
_INFERENCE_ONLY = {".tflite": "a TensorFlow Lite model", ".xml": "an OpenVINO model"}


def reader_of(path: Path) -> Reader | None:
    """Returns what reads the arrays of a file; None if it is of another kind.

    Args:
        path: of a file.
    """
    by_suffix = _BY_SUFFIX.get(path.suffix.lower())
    if by_suffix is read_onnx:
        return by_suffix
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            if any(name.endswith("/data.pkl") for name in names):
                return read_torch_file
            if any(name.endswith(".npy") for name in names):
                return read_npz
            return by_suffix
        with path.open("rb") as file:
            start = file.read(32)
    except DAMAGED_ARCHIVE:
        return by_suffix
    if LEGACY_MAGIC in start:
        return read_torch_file
    # The length of the header, and the header: JSON.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return read_safetensors
    return by_suffix


def check_trainable(path: Path, place: str) -> None:
    """Checks that a file isn't of a format that is for inference alone.

    Args:
        path: of a file, or the folder of a SavedModel.
        place: the key of the recipe that names it.

    Raises:
        InputError: it is.
    """
    kind = _INFERENCE_ONLY.get(path.suffix.lower())
    if kind is None and (path / "saved_model.pb").is_file():
        kind = "a SavedModel"
    if kind is not None:
        raise InputError(
            f"{place}: {path}: {kind} can't be trained on, as it is for inference alone; train a "
            "network to make the same embeddings instead, with training.distillation: {teacher: "
            f"{path.name}}}, as the recipe distill_mobilenetv2 does"
        )
