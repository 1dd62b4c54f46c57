"""A model that Keras 2 has saved as `.h5` as an embedder."""

from dataclasses import replace
from pathlib import Path

from tfface.backbones.weights.legacy_h5 import SUFFIXES, load_legacy_h5
from tfface.errors import InputError
from tfface.evaluation.embedders.external import ExternalEmbedder, read_image_input
from tfface.evaluation.embedders.keras_model import fitting_batch_size
from tfface.evaluation.embedders.options import EmbedderOptions


def load_legacy_h5_embedder(model: str, options: EmbedderOptions) -> ExternalEmbedder | None:
    """Loads an `.h5` file of Keras 2, such as those of Keras_insightface.

    Args:
        model: the MODEL argument.
        options: options of the model.

    Returns:
        The embedder; None if `model` is not an `.h5` or `.hdf5` file.

    Raises:
        InputError: the file does not exist, can't be loaded, or does not embed images.
    """
    path = Path(model)
    if path.suffix.lower() not in SUFFIXES:
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    options.check_single_output(model)
    network = load_legacy_h5(path)
    shapes = [list(tensor.shape) for tensor in network.inputs]
    if len(shapes) != 1:
        raise InputError(f"{path}: the model takes {shapes}: expected one input of images")
    image_input = read_image_input(path, shapes[0])
    if image_input.channels_first:
        raise InputError(f"{path}: the model takes {shapes[0]}: expected channels last")
    fitting = fitting_batch_size(network, options.batch_size, flip=options.flip)
    options = replace(options, batch_size=fitting)
    return ExternalEmbedder(network.predict_on_batch, path, image_input, options)
