"""Starting a backbone, or all of an embedder, from a weights file."""

import warnings
from pathlib import Path

import keras

from tfface.backbones.backbone import Backbone
from tfface.backbones.keras_file import load_keras_file
from tfface.backbones.torch_weights import READERS, load_torch_weights
from tfface.backbones.weights_h5 import check_weights_h5
from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE


def start_from(path: Path, backbone: Backbone, embedder: keras.Model) -> str | None:
    """Fills a backbone from a file, and the neck behind it where the file has that too.

    Args:
        path: as for `load_weights`; or a PyTorch checkpoint of the same layout, or its arrays:
            one of `READERS`.
        embedder: has `backbone.network` as a layer; the layers behind that are the neck.
    Returns: what was loaded and what was not, in a line; None where it's the backbone alone.
    Raises InputError: as `load_weights` and `load_torch_weights`.
    """
    if path.suffix not in READERS:
        load_weights(backbone.network, path)
        return None
    _check_is_file(path)
    names = [layer.name for layer in embedder.layers]
    neck = embedder.layers[names.index(backbone.network.name) + 1 :]
    return load_torch_weights(path, backbone.network, neck, backbone.neck_modules)


def load_weights(network: keras.Model, path: Path) -> None:
    """Fills `network` from a file of Keras.

    Args:
        path: a `.weights.h5` file of the same network, or a `.keras` file of it or of a tfface
            model that was trained on top of it.
    Raises InputError: the file is missing, of another kind, or of another network.
    """
    _check_is_file(path)
    try:
        if path.name.endswith(".weights.h5"):
            with path.open("rb") as file:
                check_weights_h5(file, path.stat().st_size)
            with warnings.catch_warnings():
                # Keras only warns of weights that it found no place for.
                warnings.simplefilter("error", UserWarning)
                network.load_weights(path)
        elif path.suffix == ".keras":
            saved = _load_saved(path)
            if any(layer.name == network.name for layer in saved.layers):
                saved = saved.get_layer(network.name)
            network.set_weights(saved.get_weights())
        else:
            raise InputError(
                f"model.backbone.weights: {path}: unknown kind of file; must be 'imagenet', "
                f"'none', or a path that ends in .weights.h5, .keras, {', '.join(READERS)}"
            )
    except (*DAMAGED_ARCHIVE, UserWarning) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"model.backbone.weights: {path} does not fit this backbone: {reason[:300]}"
        ) from error


def _load_saved(path: Path) -> keras.Model:
    try:
        saved = load_keras_file(path)
    except InputError as error:
        raise InputError(f"model.backbone.weights: {error}") from error
    if not isinstance(saved, keras.Model):
        raise InputError(
            f"model.backbone.weights: {path} holds a single layer ({type(saved).__name__}), not a "
            "network"
        )
    return saved


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"model.backbone.weights: {path}: no such file")
