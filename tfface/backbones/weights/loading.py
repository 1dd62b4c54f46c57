"""Loads initial weights of a backbone, or of a whole embedder, from a file."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from tfface.backbones.backbone import Backbone
from tfface.backbones.normalization import fold_published, fold_rescaling, use_weights
from tfface.backbones.weights.keras_file import check_weights_h5, load_keras_file
from tfface.backbones.weights.torch_weights import READERS, load_torch_weights
from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE, suffix_in_lower_case


def load_initial_weights(path: Path, backbone: Backbone, embedder: keras.Model) -> str | None:
    """Loads the weights of a backbone from a file, and of the neck if the file has them.

    Args:
        path: as for `load_weights`; or a PyTorch checkpoint of the same layout, or its arrays, with
            a suffix in `READERS`.
        backbone: of the embedder.
        embedder: has `backbone.network` as a layer; the layers behind it are the neck.

    Returns:
        A line on what was loaded and what was not; None if only backbones are in such files.

    Raises:
        InputError: as `load_weights` and `load_torch_weights`.
    """
    if path.suffix.lower() not in READERS:
        load_weights(backbone.network, path)
        return None
    _check_is_file(path)
    names = [layer.name for layer in embedder.layers]
    neck = embedder.layers[names.index(backbone.network.name) + 1 :]
    return load_torch_weights(path, backbone.network, neck, backbone.neck_modules)


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
                "'none', or a path that ends in .weights.h5, .keras, "
                f"{', '.join(READERS)}; or in .h5, as Keras publishes weights of the networks of "
                "keras.applications"
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
    if not path.is_file():
        raise InputError(f"model.backbone.weights: {path}: no such file")
