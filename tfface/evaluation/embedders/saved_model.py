"""A TensorFlow SavedModel as an embedder: the folders that `model.export(...)` writes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfface.errors import InputError
from tfface.evaluation.embedders.external import ForeignEmbedder, read_image_input
from tfface.evaluation.embedders.options import EmbedderOptions
from tfface.evaluation.embedders.saved_model_operations import reason_against

MODEL_FILE = "saved_model.pb"
SIGNATURE = "serving_default"


def load_saved_model_embedder(model: str, options: EmbedderOptions) -> ForeignEmbedder | None:
    """Returns the embedder of a SavedModel folder; None if `model` is no such folder.

    TensorFlow runs it, whatever backend Keras has. A SavedModel is a program, which may read and
    write files like any other, so one that does anything but compute is refused.

    Raises InputError: the folder is refused, can't be loaded, has no signature `serving_default`,
        or that doesn't take images, float32 or uint8, and return one output.
    """
    path = Path(model)
    if not (path / MODEL_FILE).is_file():
        return None
    options.check_single_output(model)
    _check_operations(path)
    try:
        with _without_warnings():
            loaded = tf.saved_model.load(path)
    # A damaged folder comes as whatever the part of TensorFlow raises that stumbles over it.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path}: can't be loaded as a SavedModel ({type(error).__name__}: {reason})"
        ) from error
    function = _signature(path, loaded)
    name, taken = _only_input(path, function)
    output = _only_output(path, function)
    if taken.shape.rank is None:
        raise InputError(f"{path}: the model doesn't say what shape it takes: export it with one")

    # The function alone wouldn't keep the variables that it uses.
    def run(images: np.ndarray, _loaded=loaded) -> np.ndarray:
        return function(**{name: tf.constant(images)})[output].numpy()

    shape = read_image_input(path, taken.shape.as_list(), is_uint8=taken.dtype == tf.uint8)
    return ForeignEmbedder(run, path, shape, options)


def _check_operations(path: Path) -> None:
    """Raises InputError: it can't be read, or does anything but compute."""
    # TensorFlow would read these in place of the file that is looked at here.
    if others := [file.name for file in path.glob("saved_model.*") if file.name != MODEL_FILE]:
        raise InputError(f"{path}: refused: it holds {others[0]} beside {MODEL_FILE}")
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString((path / MODEL_FILE).read_bytes())
    except (DecodeError, OSError) as error:
        raise InputError(
            f"{path}: can't be loaded as a SavedModel ({MODEL_FILE} is damaged: {error})"
        ) from error
    if reason := reason_against(saved_model):
        raise InputError(
            f"{path}: refused: a SavedModel is a program, and this one {reason}; export the "
            "network as .onnx or .keras"
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Holds back what TensorFlow says of gradients that the folder doesn't hold."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _signature(path: Path, loaded):
    if SIGNATURE not in loaded.signatures:
        known = ", ".join(loaded.signatures) or "none"
        raise InputError(
            f"{path}: has no signature {SIGNATURE} (it has: {known}): write it with Keras' "
            "model.export, or with tf.saved_model.save and signatures"
        )
    return loaded.signatures[SIGNATURE]


def _only_input(path: Path, function) -> tuple[str, tf.TensorSpec]:
    inputs = function.structured_input_signature[1]
    (name, taken), *others = inputs.items() or [(None, None)]
    if name is None or others or taken.dtype not in (tf.float32, tf.uint8):
        raise InputError(
            f"{path}: the model takes {_described(inputs)}: expected one input of float32 or uint8 "
            "images"
        )
    return name, taken


def _only_output(path: Path, function) -> str:
    outputs = function.structured_outputs
    if len(outputs) != 1:
        raise InputError(
            f"{path}: the model returns {_described(outputs)}: expected embeddings alone"
        )
    return next(iter(outputs))


def _described(tensors: dict[str, tf.TensorSpec]) -> str:
    return (
        ", ".join(
            f"{name} {spec.shape} {spec.dtype.name}" for name, spec in sorted(tensors.items())
        )
        or "nothing"
    )
