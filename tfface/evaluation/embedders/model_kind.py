"""Whether a path can be that of a model, by its name and what is in it, without TensorFlow."""

from pathlib import Path

from tfface.errors import InputError

_RECIPES = (".yaml", ".yml")
_SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx", ".tflite", ".xml", *_RECIPES)
_FILES = ("model.keras", "saved_model.pb")
# The keys of `EMBEDDERS`.
KINDS = (
    "the word `pixels` (a baseline without a model)",
    "a run folder or a .keras file",
    "an .h5 file of Keras 2",
    "a SavedModel folder",
    "an .onnx file",
    "a .tflite file",
    "an OpenVINO .xml file",
)


def is_recipe_file(path: Path) -> bool:
    """Whether a model's path is that of a recipe, by its name."""
    return path.suffix.lower() in _RECIPES


def check_is_model(path: Path) -> None:
    """Checks that a file or folder that is there looks like a model.

    Raises:
        InputError: it doesn't, or is an unfinished run.

    Example:
        >>> check_is_model(Path("mobilefacenet.onnx"))
    """
    if path.suffix.lower() in _SUFFIXES or any((path / name).is_file() for name in _FILES):
        return
    if (path / "recipe.yaml").is_file() and (path / "checkpoints").is_dir():
        raise InputError(f"{path}: holds an unfinished run: finish it by its command with --resume")
    if (path / "recipe.yaml").is_file() and (path / "environment.json").is_file():
        raise InputError(
            f"{path}: holds a run that ended before its first checkpoint: give its command again"
        )
    raise InputError(f"{path}: not a model that can be evaluated; a model is {'; '.join(KINDS)}")
