"""Checkpoints of TensorFlow 2 (`save_weights` of Keras 2), such as those of arcface-tf2.

A checkpoint is an index, NAME.index, and files of data, NAME.data-00000-of-00001. It holds arrays,
and a graph of the objects that they belong to, in which each has the name of its layer.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from google.protobuf.message import DecodeError
from keras import layers

from tfface.backbones.weights.torch_weights import describe
from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE

_INDEX = ".index"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_ARRAY = "/.ATTRIBUTES/VARIABLE_VALUE"
# Keras' default, which checkpoints don't hold. arcface-tf2 has it in its last layers.
_EPSILON = 1e-3
# A layer that only one network has -> the network.
_LAYERS = {
    "conv4_block23_3_conv/kernel": "resnet101",
    "conv4_block6_3_conv/kernel": "resnet50",
    "block_16_project/kernel": "mobilenet_v2",
    "conv_pw_13/kernel": "mobilenet",
}


def tf_checkpoint_name(path: Path) -> str | None:
    """Returns the name by which TensorFlow reads a checkpoint; None if a path is none.

    Args:
        path: NAME.index, or NAME if there is no such file.
    """
    if path.suffix == _INDEX and path.is_file():
        return str(path).removesuffix(_INDEX)
    if not path.exists() and path.with_name(path.name + _INDEX).is_file():
        return str(path)
    return None


class _TfCheckpoint:
    """The arrays of a checkpoint, by the names of layers."""

    def __init__(self, path: Path, name: str):
        from tensorflow.core.protobuf import trackable_object_graph_pb2
        from tensorflow.train import load_checkpoint

        self.path = path
        self._reader = load_checkpoint(name)
        self._shapes = {
            key: tuple(shape) for key, shape in self._reader.get_variable_to_shape_map().items()
        }
        if _GRAPH not in self._shapes:
            raise InputError(
                f"model.backbone.weights: {path}: a checkpoint of TensorFlow 1, or of an Estimator:"
                f" it holds {len(self._shapes)} arrays but not to which layers they belong"
            )
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(self._reader.get_tensor(_GRAPH))
        # Full name of a variable, such as conv1_conv/kernel -> key of its array.
        self.keys: dict[str, str] = {}
        for node in graph.nodes:
            for attribute in node.attributes:
                key = attribute.checkpoint_key
                if key in self._shapes and key.endswith(_ARRAY) and ".OPTIMIZER_SLOT" not in key:
                    self.keys.setdefault(attribute.full_name, key)

    def shape(self, key: str) -> tuple[int, ...]:
        return self._shapes[key]

    def read(self, key: str) -> np.ndarray:
        return np.asarray(self._reader.get_tensor(key), np.float32)


def load_tf_checkpoint(
    path: Path, name: str, network: keras.Model, neck: Sequence[keras.Layer]
) -> str:
    """Loads a network of keras.applications, and the matching beginning of the neck.

    Layers of the network are found by their names, those of the neck by their order. A bias that
    only the file has is subtracted from the mean of the following batch norm.

    Args:
        path: of the checkpoint as given, for messages.
        name: what `tf_checkpoint_name` returns.
        network: has the names of layers of keras.applications.
        neck: the layers behind it, in order.

    Returns:
        A line on what was loaded and what was not.

    Raises:
        InputError: the checkpoint is damaged, or an array of the network is missing or has another
            shape; nothing is loaded then.
    """
    from tensorflow.errors import OpError

    try:
        checkpoint = _TfCheckpoint(path, name)
        found = [_wanted(checkpoint, *each) for each in _weights_of(network)]
        for variable, values in [(variable, checkpoint.read(key)) for variable, key in found]:
            variable.assign(values)
        used = {key for _, key in found}
        filled = _fill_neck_in_order(checkpoint, neck, used)
    except (OpError, DecodeError, IndexError, *DAMAGED_ARCHIVE) as error:
        if isinstance(error, InputError):
            raise
        reason = shown(" ".join(str(error).split()))
        raise InputError(
            f"model.backbone.weights: {path}: cut short or damaged: {reason}"
        ) from error
    # What belongs to an optimizer, and counters, are no weights.
    unused = [
        full_name
        for full_name, key in checkpoint.keys.items()
        if key not in used and key.startswith("layer_with_weights-")
    ]
    with_weights = [layer.name for layer in neck if layer.weights]
    return describe(path, len(used), filled, with_weights, unused)


def _weights_of(network: keras.Model) -> Iterator[tuple[keras.Variable, str]]:
    """Yields weights and their names in Keras 2."""
    for layer in network.layers:
        for variable in layer.weights:
            leaf = variable.name
            if isinstance(layer, layers.DepthwiseConv2D) and leaf == "kernel":
                leaf = "depthwise_kernel"
            yield variable, f"{layer.name}/{leaf}"


def _wanted(
    checkpoint: _TfCheckpoint, variable: keras.Variable, name: str
) -> tuple[keras.Variable, str]:
    """Returns the weight and the key of its array."""
    where = f"model.backbone.weights: {checkpoint.path} does not fit this backbone"
    known, shape = checkpoint.keys, tuple(variable.shape)
    if name not in known:
        some = ", ".join(map(shown, list(known)[:3]))
        raise InputError(
            f"{where}: it has no array for {name} {list(shape)}; it has {len(known)} others "
            f"({some}, ...){_likeness(known)}"
        )
    key = known[name]
    if checkpoint.shape(key) != shape:
        raise InputError(
            f"{where}: {name} is {list(checkpoint.shape(key))}, and must be {list(shape)}"
            f"{_likeness(known)}"
        )
    return variable, key


def _likeness(names: dict[str, str]) -> str:
    found = next((network for layer, network in _LAYERS.items() if layer in names), None)
    return f"; it looks like {found}" if found else ""


def _fill_neck_in_order(
    checkpoint: _TfCheckpoint, neck: Sequence[keras.Layer], used: set[str]
) -> list[str]:
    """Loads the neck from the layers behind the network; returns the names of its loaded layers.

    Adds the keys of arrays that were loaded to `used`.
    """
    # Layers of the checkpoint in their order: path -> leaf -> key.
    behind: dict[str, dict[str, str]] = {}
    for key in sorted(set(checkpoint.keys.values()) - used, key=_in_order):
        parent, _, leaf = key.removesuffix(_ARRAY).rpartition("/")
        if parent.startswith("layer_with_weights-"):
            behind.setdefault(parent, {})[leaf] = key
    filled = []
    bias: np.ndarray | None = None
    wanted = [layer for layer in neck if layer.weights]
    for layer, stored in zip(wanted, behind.values(), strict=False):
        weights = {variable.name: variable for variable in layer.weights}
        extra = set(stored) - set(weights)
        is_dense = isinstance(layer, layers.Dense)
        if not set(weights) <= set(stored) or extra - ({"bias"} if is_dense else set()):
            break
        if any(checkpoint.shape(stored[leaf]) != tuple(w.shape) for leaf, w in weights.items()):
            break
        for leaf, variable in weights.items():
            values = checkpoint.read(stored[leaf])
            if leaf == "moving_mean" and bias is not None:
                values = values - bias
            if leaf == "moving_variance":
                # The file's network adds its epsilon to it, ours another one.
                values = values + (_EPSILON - layer.epsilon)
            variable.assign(values)
        used.update(stored[leaf] for leaf in weights)
        bias = None
        if extra:
            bias = checkpoint.read(stored["bias"])
            used.add(stored["bias"])
        filled.append(layer.name)
    return filled


def _in_order(key: str) -> list[int | str]:
    """Sorts layer_with_weights-10 behind layer_with_weights-9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", key)]
