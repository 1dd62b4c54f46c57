"""Starting a backbone from a weights file."""

import warnings
from pathlib import Path

import keras

from tfface.errors import InputError


def load_weights(network: keras.Model, path: Path) -> None:
    """Fills `network` from a file.

    Args:
        path: a `.weights.h5` file of the same network, or a `.keras` file of it or of a tfface
            model that was trained on top of it.
    Raises InputError: the file is missing, of another kind, or of another network.
    """
    if not path.is_file():
        raise InputError(f"model.backbone.weights: {path}: no such file")
    try:
        if path.name.endswith(".weights.h5"):
            with warnings.catch_warnings():
                # Keras only warns of weights that it found no place for.
                warnings.simplefilter("error", UserWarning)
                network.load_weights(path)
        elif path.suffix == ".keras":
            saved = keras.saving.load_model(path, compile=False, safe_mode=True)
            if any(layer.name == network.name for layer in saved.layers):
                saved = saved.get_layer(network.name)
            network.set_weights(saved.get_weights())
        else:
            raise InputError(
                f"model.backbone.weights: {path}: unknown kind of file; must be 'imagenet', "
                "'none', or a path that ends in .weights.h5 or .keras"
            )
    except (ValueError, OSError, KeyError, TypeError, UserWarning) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"model.backbone.weights: {path} does not fit this backbone: {reason[:300]}"
        ) from error
