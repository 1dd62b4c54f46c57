"""Filling networks with the weights of PyTorch's of the same layout.

A Keras layer is named as the PyTorch module is, `_` for `.`, so `layer1.0.bn1.running_mean` of a
checkpoint is the moving mean of the layer `layer1_0_bn1`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tfface.backbones.weights.array_files import StoredArray, read_npz, read_onnx, read_safetensors
from tfface.backbones.weights.torch_file import read_torch_file
from tfface.errors import InputError, shown

READERS: dict[str, Callable[[Path], dict[str, StoredArray]]] = {
    ".pth": read_torch_file,
    ".pt": read_torch_file,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".onnx": read_onnx,
}
# What wrappers and larger models put before the names of a network's own modules.
_PREFIXES = ("module", "backbone", "encoder", "model", "network", "net", "_orig_mod")
_DEEPEST_PREFIX = 4
# torchvision renamed the layers of its vision transformers after it had published their weights.
_RENAMED = {"_mlp_linear_1_": "_mlp_0_", "_mlp_linear_2_": "_mlp_3_"}
# Of a batch norm; Keras has no use for it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Slot:
    """One weight of a Keras layer, and what PyTorch calls it.

    Attributes:
        variable: is filled.
        name: the PyTorch weight, `_` for `.`.
        shapes: that it may have there; axes of length 1 don't count.
        convert: to the variable's shape, given the array in the first of `shapes`.
    """

    variable: keras.Variable
    name: str
    shapes: tuple[tuple[int, ...], ...]
    convert: Callable[[np.ndarray], np.ndarray]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return _without_ones(shape) in map(_without_ones, self.shapes)

    def fill(self, stored: StoredArray, less: np.ndarray | float = 0.0) -> None:
        self.variable.assign(self.convert(stored.load().reshape(self.shapes[0])) - less)


def load_torch_weights(
    path: Path,
    network: keras.Model,
    neck: Sequence[keras.Layer] = (),
    neck_modules: Mapping[str, str] | None = None,
) -> str:
    """Fills `network`, and as much of the neck as is the same there, from a checkpoint.

    The neck is filled from its beginning on, layer by layer, as long as it has the layers of
    `neck_modules` in their order and shapes; the rest keeps what it starts from. A bias that only
    PyTorch has goes into the mean of the batch norm behind it.

    Args:
        path: ends in one of `READERS`, in any case.
        network: its layers are named as the checkpoint's modules.
        neck: the layers behind it, in their order.
        neck_modules: name of a neck's layer -> the PyTorch module, in their order.

    Returns:
        One line on what was loaded and what was not.

    Raises:
        InputError: the file can't be read; a weight of `network` is missing or of another shape
            (the first is named, and nothing was filled).
    """
    checkpoint = _Checkpoint(path, READERS[path.suffix.lower()](path))
    slots = [slot for layer in _with_weights(network.layers) for slot in slots_of(layer, path)]
    checkpoint.strip_prefix({slot.name for slot in slots})
    found = [(slot, checkpoint.find(slot)) for slot in slots]
    checkpoint.check_nothing_is_left({slot.name for slot in slots}, neck_modules or {})
    for slot, stored in found:
        slot.fill(stored)
    filled = _fill_neck(checkpoint, neck, neck_modules or {})
    return _describe(checkpoint, filled, [layer.name for layer in _with_weights(neck)])


# ---------------------------------------------------------------- the checkpoint


class _Checkpoint:
    """The arrays of a file by their names with `_` for `.`, and which of them were used."""

    def __init__(self, path: Path, arrays: Mapping[str, StoredArray]):
        self.path = path
        self.used: set[str] = set()
        self._keys: dict[str, str] = {}
        self._arrays = {key: array for key, array in arrays.items() if _last(key) != _COUNTER}
        self._index("")

    def strip_prefix(self, wanted: set[str]) -> None:
        """Looks for `wanted` behind that prefix which most of them have."""
        found: dict[str, set[str]] = {"": set()}
        for key in self._arrays:
            prefix, rest = "", key
            # Deeper than wrappers nest; a file may nest without end.
            for _ in range(_DEEPEST_PREFIX + 1):
                name = _python_name(rest)
                if name in wanted:
                    found.setdefault(prefix, set()).add(name)
                part, dot, rest = rest.partition(".")
                if not dot or part not in _PREFIXES:
                    break
                prefix += f"{part}."
        self._index(max(sorted(found, key=len), key=lambda prefix: len(found[prefix])))

    def _index(self, prefix: str) -> None:
        self._prefix = prefix
        self._keys = {
            _python_name(key.removeprefix(prefix)): key
            for key in self._arrays
            if key.startswith(prefix)
        }

    def find(self, slot: Slot) -> StoredArray:
        """Returns the array of `slot`. Raises InputError: there is none, or of another shape."""
        wanted = list(slot.shapes[0])
        key = self._keys.get(slot.name)
        if key is None:
            known = [shown(name) for name in list(self._arrays)[:3]]
            raise InputError(
                f"model.backbone.weights: {self.path} does not fit this backbone: it has no array "
                f"for {slot.name} {wanted}; it has {len(self._arrays)} others ("
                f"{', '.join(known)}{', ...' if len(self._arrays) > len(known) else ''})"
            )
        if not slot.fits(self._arrays[key].shape):
            raise InputError(
                f"model.backbone.weights: {self.path} does not fit this backbone: {shown(key)} is "
                f"{list(self._arrays[key].shape)}, and must be {wanted}"
            )
        self.used.add(key)
        return self._arrays[key]

    def check_nothing_is_left(self, wanted: set[str], neck_modules: Mapping[str, str]) -> None:
        """Raises InputError: there are arrays where the backbone's are that it has no place for.

        A deeper network has all of a shallower one, which would be another function then.
        """
        rooms = {self._room(self._keys[name]) for name in wanted}
        necks = tuple(f"{module.replace('.', '_')}_" for module in neck_modules.values())
        for name, key in self._keys.items():
            if name in wanted or name.startswith(necks):
                continue
            if self._room(key) in rooms:
                raise InputError(
                    f"model.backbone.weights: {self.path} is of another network: it has "
                    f"{shown(key)} {list(self._arrays[key].shape)}, and this backbone no place "
                    "for it"
                )

    def knows(self, name: str) -> bool:
        return name in self._keys

    def has(self, slot: Slot) -> bool:
        """Whether there is an array of the shape of `slot`."""
        key = self._keys.get(slot.name)
        return key is not None and slot.fits(self._arrays[key].shape)

    def _room(self, key: str) -> str:
        """The outermost module."""
        return key.removeprefix(self._prefix).partition(".")[0]

    @property
    def unused(self) -> list[str]:
        return [key for key in self._arrays if key not in self.used]


# ---------------------------------------------------------------- the neck


def _fill_neck(
    checkpoint: _Checkpoint, neck: Sequence[keras.Layer], modules: Mapping[str, str]
) -> list[str]:
    """Returns the names of the layers that were filled."""
    filled: list[str] = []
    feature_map = bias = None
    left = list(modules.items())
    for layer in neck:
        if isinstance(layer, layers.Flatten):
            feature_map = layer.input.shape[1:]
        if not layer.weights:
            continue
        if not left or left[0][0] != layer.name:
            break
        _, module = left.pop(0)
        is_dense = isinstance(layer, layers.Dense)
        slots = slots_of(layer, checkpoint.path, module, feature_map if is_dense else None)
        if is_dense and not checkpoint.knows(slots[-1].name):
            # PyTorch has no bias there: ours starts at 0, which is the same.
            slots = slots[:1]
        if not all(checkpoint.has(slot) for slot in slots):
            break
        for slot in slots:
            less = 0.0
            if bias is not None and slot.name.endswith("_running_mean") and checkpoint.has(bias):
                less = checkpoint.find(bias).load().reshape(-1)
            slot.fill(checkpoint.find(slot), less)
        bias = feature_map = None
        if is_dense and layer.bias is None:
            bias = Slot(None, f"{module.replace('.', '_')}_bias", ((layer.units,),), _same)
        filled.append(layer.name)
    return filled


def _describe(checkpoint: _Checkpoint, filled: list[str], neck: list[str]) -> str:
    into = "the backbone"
    if filled:
        into += " and the neck" if filled == neck else f" and {', '.join(filled)}"
    line = f"weights: {len(checkpoint.used)} arrays of {checkpoint.path.name} into {into}"
    if anew := neck[len(filled) :]:
        line += f"; {', '.join(anew)} start{'s' if len(anew) == 1 else ''} anew"
    if unused := checkpoint.unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        line += f"; not used: {', '.join(unused[:3])}{more}"
    return line


# ---------------------------------------------------------------- layers


def _with_weights(given: Iterable[keras.Layer]) -> list[keras.Layer]:
    return [layer for layer in given if layer.weights]


def slots_of(
    layer: keras.Layer,
    path: Path,
    module: str | None = None,
    feature_map: tuple[int, int, int] | None = None,
) -> list[Slot]:
    """Returns the weights of a layer, and what PyTorch calls them.

    Args:
        path: of the checkpoint, for the message.
        module: what PyTorch calls it, if not as the layer is named.
        feature_map: rows, columns and channels of the map that was made flat for a dense layer.

    Raises:
        InputError: of such a layer it isn't known how PyTorch stores it.
    """
    prefix = layer.name if module is None else module.replace(".", "_")
    if type(layer) not in _WEIGHTS:
        raise InputError(
            f"model.backbone.weights: {path}: PyTorch's weights can't be put into this backbone: "
            f"its layer {layer.name} is a {type(layer).__name__}"
        )
    if feature_map is not None:
        weights = _dense(layer, feature_map)
    else:
        weights = _WEIGHTS[type(layer)](layer)
    return [
        Slot(variable, f"{prefix}_{leaf}" if leaf else prefix, shapes, convert)
        for leaf, variable, shapes, convert in weights
        if variable is not None
    ]


def _vector(leaf: str, variable: keras.Variable | None) -> tuple:
    if variable is None:
        return leaf, None, (), _same
    return leaf, variable, (tuple(variable.shape),), _same


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _convolution(layer: layers.Conv2D) -> list[tuple]:
    rows, columns, inputs, outputs = layer.kernel.shape
    return [
        (
            "weight",
            layer.kernel,
            ((outputs, inputs, rows, columns),),
            lambda array: array.transpose(2, 3, 1, 0),
        ),
        _vector("bias", layer.bias),
    ]


def _grouped(layer: layers.EinsumDense) -> list[tuple]:
    """A convolution in groups, as `torch_layers.grouped_conv` makes it."""
    places, groups, inputs, outputs = layer.kernel.shape
    size = math.isqrt(places)
    return [
        (
            "weight",
            layer.kernel,
            ((groups * outputs, inputs, size, size),),
            lambda array: array.reshape(groups, outputs, inputs, places).transpose(3, 0, 2, 1),
        ),
    ]


def _depthwise(layer: layers.DepthwiseConv2D) -> list[tuple]:
    rows, columns, channels, multiplier = layer.kernel.shape
    return [
        (
            "weight",
            layer.kernel,
            ((channels * multiplier, 1, rows, columns),),
            lambda array: array.reshape(channels, multiplier, rows, columns).transpose(2, 3, 0, 1),
        ),
        _vector("bias", layer.bias),
    ]


def _dense(layer: layers.Dense, feature_map: tuple[int, int, int] | None = None) -> list[tuple]:
    inputs, outputs = layer.kernel.shape
    rows, columns, channels = feature_map or (1, 1, inputs)
    # PyTorch flattens channels first; a convolution over the whole map is the same layer.
    shapes = ((outputs, channels, rows, columns), (outputs, inputs))
    return [
        (
            "weight",
            layer.kernel,
            shapes,
            lambda array: array.transpose(2, 3, 1, 0).reshape(inputs, outputs),
        ),
        _vector("bias", layer.bias),
    ]


def _batch_norm(layer: layers.BatchNormalization) -> list[tuple]:
    return [
        _vector("weight", layer.gamma),
        _vector("bias", layer.beta),
        _vector("running_mean", layer.moving_mean),
        _vector("running_var", layer.moving_variance),
    ]


def _layer_norm(layer: layers.LayerNormalization) -> list[tuple]:
    return [_vector("weight", layer.gamma), _vector("bias", layer.beta)]


def _prelu(layer: layers.PReLU) -> list[tuple]:
    return [_vector("weight", layer.alpha)]


def _embedding(layer: layers.Embedding) -> list[tuple]:
    """A parameter of a module's own, such as the positions of a vision transformer."""
    return [_vector("", layer.embeddings)]


_WEIGHTS: dict[type, Callable[[keras.Layer], list[tuple]]] = {
    layers.Conv2D: _convolution,
    layers.EinsumDense: _grouped,
    layers.DepthwiseConv2D: _depthwise,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _layer_norm,
    layers.PReLU: _prelu,
    layers.Embedding: _embedding,
}


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _python_name(key: str) -> str:
    """`_` for `.`, and today's names for former ones."""
    name = key.replace(".", "_")
    for former, new in _RENAMED.items():
        name = name.replace(former, new)
    return name
