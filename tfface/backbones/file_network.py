"""A network of a file of Keras as a backbone, whatever its layers are."""

from pathlib import Path

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.weights.file_readers import check_trainable
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.backbones.weights.legacy_h5 import SUFFIXES, load_legacy_h5
from tfface.backbones.weights.published import refuse_weights
from tfface.errors import InputError, did_you_mean, shown
from tfface.paths import not_there


def keras_file(
    path: Path,
    until: str | None = None,
    *,
    image_size: tuple[int, int],
    weights: str | None = None,
) -> Backbone:
    """The network and the weights of a whole model that Keras has saved.

    Input normalization: `facenet` for an `.h5` file, whose network takes scaled pixels; `raw` for a
    `.keras` file, as tfface's own scale their pixels themselves.

    Args:
        path: an `.h5` file of Keras 2, such as those of Keras_insightface, or a `.keras` file.
        until: name of the last layer that is used; by default the whole model is, whose embeddings
            are a feature map with one position.

    Raises:
        InputError: the file can't be loaded, its network takes other images, or has no such layer.
    """
    refuse_weights("keras_file", weights)
    where = "model.backbone: keras_file"
    check_trainable(path, where)
    if not path.is_file():
        raise InputError(f"{where}: {not_there(path, 'file')}")
    suffix = path.suffix.lower()
    if suffix not in (".keras", *SUFFIXES):
        raise InputError(
            f"{where}: {path}: must be a .keras or .h5 file; weights in other formats are loaded "
            "into a backbone of the same layers, by model.backbone: {name: NAME, weights: FILE}"
        )
    is_legacy = suffix in SUFFIXES
    try:
        network = load_legacy_h5(path) if is_legacy else load_keras_file(path)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    taken = [list(tensor.shape) for tensor in network.inputs]
    if taken != [[None, *image_size, 3]]:
        raise InputError(
            f"{where}: {path} takes {taken}, and data.image_size is {image_size[0]}x{image_size[1]}"
        )
    features = _output(f"{where}: {path}", network, until)
    if len(features.shape) == 2:
        features = layers.Reshape((1, 1, features.shape[1]), name="backbone_features")(features)
    if len(features.shape) != 4 or None in features.shape[1:]:
        raise InputError(
            f"{where}: {path}: its network gives {list(features.shape)}: expected a feature map or "
            "a vector for each image; choose a layer by until"
        )
    backbone = keras.Model(network.inputs[0], features, name="backbone")
    return Backbone(backbone, "facenet" if is_legacy else "raw")


def _output(where: str, network: keras.Model, until: str | None):
    if until is not None:
        names = [layer.name for layer in network.layers]
        if until not in names:
            raise InputError(
                f"{where}: has no layer until: {shown(until)}{did_you_mean(until, names)}; its "
                f"last ones are {', '.join(map(shown, names[-8:]))}"
            )
        return network.get_layer(until).output
    if len(network.outputs) != 1:
        raise InputError(
            f"{where}: its network has {len(network.outputs)} outputs; choose a layer by until"
        )
    return network.outputs[0]
