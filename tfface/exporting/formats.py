"""The formats of exported files."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tfface.errors import InputError
from tfface.exporting.litert_model import write_litert
from tfface.exporting.onnx_model import write_onnx
from tfface.exporting.openvino_model import write_openvino
from tfface.exporting.options import ExportOptions
from tfface.exporting.saved_model import write_saved_model
from tfface.extras import not_installed


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        title: for people.
        suffix: of its files; "" for a folder.
        write: writes a model, as the functions of `FORMATS` do.
        quantizations: the values of `ExportOptions.quantize` that it has.
        more_suffixes: of files that belong to the file.
        packages: that write it, and read it to compare it with the original.
    """

    title: str
    suffix: str
    write: Callable[..., None]
    quantizations: tuple[str, ...] = ()
    more_suffixes: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def paths(self, path: Path) -> list[Path]:
        """Returns all files, or the folder, of an export to `path`."""
        return [path, *(path.with_suffix(suffix) for suffix in self.more_suffixes)]


# To add a format: write a file with a function like these, add it here, and add a loader to
# `EMBEDDERS`, by which exported files are compared with the original.
FORMATS: dict[str, Format] = {
    "onnx": Format(
        *("ONNX", ".onnx", write_onnx, ("float16",)),
        packages=("onnx", "tf2onnx", "onnxruntime"),
    ),
    "litert": Format(
        *("LiteRT", ".tflite", write_litert, ("float16", "int8", "weights-int8")),
        packages=("ai_edge_litert",),
    ),
    "saved_model": Format("SavedModel", "", write_saved_model),
    "openvino": Format("OpenVINO", ".xml", write_openvino, ("float16",), (".bin",), ("openvino",)),
}


def find_format(path: Path, name: str | None = None) -> str:
    """Returns the name of the format of a file.

    Args:
        path: of the file.
        name: of the format, where the user has given it.

    Raises:
        InputError: there is no such format, or the suffix is that of another.

    Example:
        >>> find_format(Path("face.onnx")), find_format(Path("exports/face"))
        ('onnx', 'saved_model')
    """
    if name is not None and name not in FORMATS:
        raise InputError(f"format {name!r}: must be one of {', '.join(FORMATS)}")
    suffix = path.suffix.lower()
    by_suffix = next((known for known, one in FORMATS.items() if one.suffix == suffix), None)
    # A folder may have any name that is not that of a file.
    if by_suffix is None and name == "saved_model" and suffix != ".keras":
        return name
    if by_suffix is None or name not in (None, by_suffix):
        suffixes = ", ".join(
            f"{one.suffix or 'none'} for {known}" for known, one in FORMATS.items()
        )
        raise InputError(f"{path}: the suffix must be that of the format: {suffixes}")
    return by_suffix


def check_options(name: str, options: ExportOptions) -> None:
    """Checks that a format has what the options ask for.

    Raises:
        InputError: it doesn't.
    """
    one = FORMATS[name]
    if options.quantize is not None and options.quantize not in one.quantizations:
        formats = [known for known in FORMATS if options.quantize in FORMATS[known].quantizations]
        raise InputError(
            f"--quantize {options.quantize}: not for {one.title}; it is for {', '.join(formats)}"
        )
    if options.opset is not None and name != "onnx":
        raise InputError(f"--opset is for onnx alone, not for {one.title}")


def check_installed(name: str) -> None:
    """Checks that the packages of a format are installed, which writing it needs.

    Raises:
        ModuleNotFoundError: one is not.
    """
    for package in FORMATS[name].packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(not_installed(package), name=package)
