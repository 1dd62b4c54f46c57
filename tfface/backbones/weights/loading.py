"""Loads initial weights of a backbone, or of a whole embedder, from a file."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from tfface.backbones.backbone import INPUT_NORMALIZATIONS, Backbone
from tfface.backbones.normalization import fold_published, fold_rescaling, use_weights
from tfface.backbones.weights.file_readers import SUFFIXES, check_trainable, reader_of
from tfface.backbones.weights.keras_file import check_weights_h5, load_keras_file
from tfface.backbones.weights.looks_like import looks_like_graph
from tfface.backbones.weights.onnx_file import load_onnx, read_onnx
from tfface.backbones.weights.onnx_graph import GraphWeights, match_graph
from tfface.backbones.weights.tf_checkpoint import load_tf_checkpoint, tf_checkpoint_name
from tfface.backbones.weights.torch_weights import describe, has_names, load_torch_weights
from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE, suffix_in_lower_case
from tfface.paths import not_there


def load_initial_weights(path: Path, backbone: Backbone, embedder: keras.Model) -> str | None:
    """Loads the weights of a backbone from a file, and of the neck if the file has them.

    Args:
        path: as for `load_weights`; or a PyTorch checkpoint of the same layout, or its arrays, or
            an ONNX model of it; or a checkpoint of TensorFlow 2, by its index or without `.index`.
        backbone: of the embedder.
        embedder: has `backbone.network` as a layer; the layers behind it are the neck.

    Returns:
        A line on what was loaded and what was not; None if only backbones are in such files.

    Raises:
        InputError: as `load_weights` and `load_torch_weights`.
    """
    names = [layer.name for layer in embedder.layers]
    neck = embedder.layers[names.index(backbone.network.name) + 1 :]
    if (checkpoint := tf_checkpoint_name(path)) is not None:
        return load_tf_checkpoint(path, checkpoint, backbone.network, neck)
    _check_is_file(path)
    # Of Keras, also where their content looks like another's.
    is_of_keras = path.name.lower().endswith((".weights.h5", ".keras"))
    reader = None if is_of_keras else reader_of(path)
    if reader is None:
        load_weights(backbone.network, path)
        return None
    if reader is not read_onnx:
        arrays = reader(path)
        return load_torch_weights(path, arrays, backbone.network, neck, backbone.neck_modules)
    model = load_onnx(path)
    # Without nodes it is but a file of arrays.
    is_named = not model.producers or has_names(model.arrays, backbone.network, path)
    found = None
    try:
        if model.producers:
            found = match_graph(path, model, backbone.network, neck, backbone.neck_modules)
    except InputError as error:
        # Names tell where arrays belong; only how the graph scales pixels stays unknown.
        if not is_named:
            raise InputError(f"{error}{looks_like_graph(model)}") from error
    if found is not None:
        _check_pixels(path, found, embedder)
    if is_named or found is None:
        return load_torch_weights(path, model.arrays, backbone.network, neck, backbone.neck_modules)
    fills = [*found.fills, *(fill for fills in found.neck.values() for fill in fills)]
    for variable, values in fills:
        variable.assign(values)
    with_weights = [layer.name for layer in neck if layer.weights]
    line = describe(path, len(fills), list(found.neck), with_weights, [])
    if found.folded:
        line += f"; {len(found.folded)} batch norms are folded into layers of the file"
    return line


def _check_pixels(path: Path, found: GraphWeights, embedder: keras.Model) -> None:
    """Raises InputError: the file scales pixels itself, and otherwise than the embedder does."""
    if found.pixels is None:
        return
    scaling = embedder.get_layer("input_normalization")
    for theirs, ours in zip(found.pixels, (scaling.scale, scaling.offset), strict=True):
        if not np.allclose(theirs, ours, rtol=1e-3, atol=1e-3):
            scale, offset = (np.asarray(value).round(5).tolist() for value in found.pixels)
            fitting = [
                name
                for name, contract in INPUT_NORMALIZATIONS.items()
                if np.allclose(found.pixels, (contract.scale, contract.offset), atol=1e-3)
            ]
            advice = (
                f"set model.input_normalization: {fitting[0]}"
                if fitting
                else ("no model.input_normalization is that")
            )
            raise InputError(
                f"model.backbone.weights: {path}: its graph takes pixels of 0 to 255 times {scale} "
                f"plus {offset}, and this embedder others: {advice}"
            )


def is_published_h5(weights: str) -> bool:
    """Whether a recipe's weights are a file that Keras publishes for keras.applications."""
    weights = weights.lower()
    return weights.endswith(".h5") and not weights.endswith(".weights.h5")


def load_weights(network: keras.Model, path: Path) -> None:
    """Loads the weights of a network from a file of Keras.

    Args:
        network: built without published weights (see `normalization`).
        path: a `.weights.h5` file of the same network, or a `.keras` file of it or of a tfface
            model with this backbone.

    Raises:
        InputError: the file does not exist, is of another type, or of another network.
    """
    _check_is_file(path)
    try:
        if path.name.lower().endswith(".weights.h5"):
            with path.open("rb") as file:
                num_values = check_weights_h5(file, path.stat().st_size)
            with warnings.catch_warnings(), _of_another_network(path, network, num_values):
                # Keras only warns about weights that it can't assign.
                warnings.simplefilter("error", UserWarning)
                with suffix_in_lower_case(path) as known:
                    network.load_weights(known)
            fold_published(network)
        elif path.suffix.lower() == ".keras":
            saved = _load_saved(path)
            if any(layer.name == network.name for layer in saved.layers):
                saved = saved.get_layer(network.name)
            fold_rescaling(saved)
            with _of_another_network(path, network, saved.count_params()):
                network.set_weights(saved.get_weights())
            use_weights(network)
        else:
            raise InputError(
                f"model.backbone.weights: {path}: unknown type of file; must be 'imagenet', "
                "'none', or the path of a file of PyTorch, NumPy, safetensors, ONNX or Keras "
                f"({', '.join((*SUFFIXES, '.weights.h5', '.keras'))}; or .h5, as Keras publishes "
                "weights of the networks of keras.applications); a whole model of an .h5 file is a "
                "backbone by {name: keras_file, path: ...}"
            )
    except DAMAGED_ARCHIVE as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"model.backbone.weights: {path} does not fit this backbone: {reason[:300]}"
        ) from error


@contextmanager
def _of_another_network(path: Path, network: keras.Model, num_values: int) -> Iterator[None]:
    """Raises a clear error for weights of another network.

    Keras' messages are about its internal objects.
    """
    try:
        yield
    except (*DAMAGED_ARCHIVE, UserWarning) as error:
        wanted = network.count_params()
        held = f"it contains {num_values:,} values, but the backbone has {wanted:,}"
        if num_values == wanted:
            held = f"it contains {num_values:,} values like the backbone, but in other layers"
        raise InputError(
            f"model.backbone.weights: {path} does not fit this backbone: it is of another network: "
            f"{held}; give weights of the same model.backbone.name with the same options"
        ) from error


def _load_saved(path: Path) -> keras.Model:
    try:
        saved = load_keras_file(path)
    except InputError as error:
        raise InputError(f"model.backbone.weights: {error}") from error
    if not isinstance(saved, keras.Model):
        raise InputError(
            f"model.backbone.weights: {path} contains a single layer ({type(saved).__name__}), not "
            "a network"
        )
    return saved


def _check_is_file(path: Path) -> None:
    check_trainable(path, "model.backbone.weights")
    if not path.is_file():
        raise InputError(f"model.backbone.weights: {not_there(path, 'file')}")
