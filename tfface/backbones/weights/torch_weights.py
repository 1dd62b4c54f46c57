"""Loads PyTorch checkpoints into Keras networks of the same layout.

A Keras layer has the name of the PyTorch module with `_` for `.`, so `layer1.0.bn1.running_mean` in
a checkpoint is the moving mean of the layer `layer1_0_bn1`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tfface.backbones.weights.array_files import StoredArray
from tfface.backbones.weights.looks_like import looks_like
from tfface.errors import InputError, shown

# Prefixes of module names in wrappers and larger models, which are meant where a file has several.
_PREFIXES = ("module", "backbone", "encoder", "model", "network", "net", "_orig_mod")
_DEEPEST_PREFIX = 4
# torchvision renamed layers of its vision transformers after publishing their weights.
_RENAMED = {"_mlp_linear_1_": "_mlp_0_", "_mlp_linear_2_": "_mlp_3_"}
# Of batch norms; not used by Keras.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class MappedWeight:
    """A weight of a Keras layer and its counterpart in PyTorch.

    Attributes:
        variable: of the Keras layer.
        name: of the PyTorch weight, with `_` for `.`.
        shapes: possible shapes in PyTorch; axes of length 1 are ignored.
        convert: converts an array of the first of `shapes` to the variable's shape.
    """

    variable: keras.Variable
    name: str
    shapes: tuple[tuple[int, ...], ...]
    convert: Callable[[np.ndarray], np.ndarray]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return _without_ones(shape) in map(_without_ones, self.shapes)

    def fill(self, stored: StoredArray, less: np.ndarray | float = 0.0) -> None:
        self.variable.assign(self.convert(stored.load().reshape(self.shapes[0])) - less)


def has_names(arrays: Mapping[str, StoredArray], network: keras.Model, path: Path) -> bool:
    """Whether a file has an array for each weight of a network by its name.

    Args:
        arrays: name -> array of the file.
        network: its layers have the names of the checkpoint's modules.
        path: of the file, for messages.
    """
    checkpoint = _Checkpoint(path, arrays)
    names = {weight.name for weight in _mapped(network, path)}
    checkpoint.strip_prefix(names)
    return all(checkpoint.knows(name) for name in names)


def _mapped(network: keras.Model, path: Path) -> list[MappedWeight]:
    return [
        weight for layer in _with_weights(network.layers) for weight in mapped_weights(layer, path)
    ]


def load_torch_weights(
    path: Path,
    arrays: Mapping[str, StoredArray],
    network: keras.Model,
    neck: Sequence[keras.Layer] = (),
    neck_modules: Mapping[str, str] | None = None,
) -> str:
    """Loads a network, and the matching beginning of the neck, from a checkpoint.

    Neck layers are loaded in order, as long as they are those of `neck_modules` with the same
    shapes; the others keep their initial weights. A bias that only PyTorch has is subtracted from
    the mean of the following batch norm.

    Args:
        path: of the file, for messages.
        arrays: name -> array of the file.
        network: its layers have the names of the checkpoint's modules.
        neck: the layers behind it, in order.
        neck_modules: name of a neck layer -> PyTorch module, in order.

    Returns:
        A line on what was loaded and what was not.

    Raises:
        InputError: the file can't be read, or a weight of `network` is missing or has another shape
            (the first is named, and nothing is loaded).
    """
    checkpoint = _Checkpoint(path, arrays)
    weights = _mapped(network, path)
    checkpoint.strip_prefix({weight.name for weight in weights})
    found = [(weight, checkpoint.find(weight)) for weight in weights]
    checkpoint.check_nothing_is_left({weight.name for weight in weights}, neck_modules or {})
    for weight, stored in found:
        weight.fill(stored)
    filled = _fill_neck(checkpoint, neck, neck_modules or {})
    return describe(
        path,
        len(checkpoint.used),
        filled,
        [layer.name for layer in _with_weights(neck)],
        checkpoint.unused,
    )


# ---------------------------------------------------------------- the checkpoint


class _Checkpoint:
    """The arrays of a file by name, with `_` for `.`, and which of them were used."""

    def __init__(self, path: Path, arrays: Mapping[str, StoredArray]):
        self.path = path
        self.used: set[str] = set()
        self._keys: dict[str, str] = {}
        self._arrays = {
            key: array for key, array in arrays.items() if key.rpartition(".")[2] != _COUNTER
        }
        self._index("")

    def strip_prefix(self, wanted: set[str]) -> None:
        """Removes the prefix behind which most of the names in `wanted` are found.

        Raises InputError: all of them are found behind several, and it is not clear which is meant.
        """
        found: dict[str, set[str]] = {"": set()}
        for key in self._arrays:
            prefix, rest = "", key
            # Deeper than wrappers are nested; a hostile file may be nested without end.
            for _ in range(_DEEPEST_PREFIX + 1):
                name = _python_name(rest)
                if name in wanted:
                    found.setdefault(prefix, set()).add(name)
                part, dot, rest = rest.partition(".")
                if not dot:
                    break
                prefix += f"{part}."
        by_length = sorted(found, key=len)
        whole = [prefix for prefix in by_length if found[prefix] == wanted]
        known = [p for p in whole if all(part in _PREFIXES for part in p.split(".")[:-1])]
        if len(whole) > 1 and not known:
            raise InputError(
                f"model.backbone.weights: {self.path} has several networks of this kind "
                f"({', '.join(shown(prefix) for prefix in whole[:3])}): save the one you mean alone"
            )
        self._index((known or [max(by_length, key=lambda prefix: len(found[prefix]))])[0])

    def _index(self, prefix: str) -> None:
        self._prefix = prefix
        self._keys = {
            _python_name(key.removeprefix(prefix)): key
            for key in self._arrays
            if key.startswith(prefix)
        }

    def find(self, weight: MappedWeight) -> StoredArray:
        """Returns an array. Raises InputError: it is missing, or has another shape."""
        wanted = list(weight.shapes[0])
        key = self._keys.get(weight.name)
        if key is None:
            known = [shown(name) for name in list(self._arrays)[:3]]
            raise InputError(
                f"model.backbone.weights: {self.path} does not fit this backbone: it has no array "
                f"for {weight.name} {wanted}; it has {len(self._arrays)} others ("
                f"{', '.join(known)}{', ...' if len(self._arrays) > len(known) else ''})"
                f"{looks_like(self._arrays)}"
            )
        if not weight.fits(self._arrays[key].shape):
            raise InputError(
                f"model.backbone.weights: {self.path} does not fit this backbone: {shown(key)} is "
                f"{list(self._arrays[key].shape)}, and must be {wanted}{looks_like(self._arrays)}"
            )
        self.used.add(key)
        return self._arrays[key]

    def check_nothing_is_left(self, wanted: set[str], neck_modules: Mapping[str, str]) -> None:
        """Raises InputError: modules of the backbone have arrays that it has no weights for.

        A deeper network contains all weights of a shallower one, but computes another function.
        """
        modules = {self._outer_module(self._keys[name]) for name in wanted}
        necks = tuple(f"{module.replace('.', '_')}_" for module in neck_modules.values())
        for name, key in self._keys.items():
            if name in wanted or name.startswith(necks):
                continue
            if self._outer_module(key) in modules:
                raise InputError(
                    f"model.backbone.weights: {self.path} is of another network: it has "
                    f"{shown(key)} {list(self._arrays[key].shape)}, which this backbone does not "
                    f"have{looks_like(self._arrays)}"
                )

    def knows(self, name: str) -> bool:
        return name in self._keys

    def has(self, weight: MappedWeight) -> bool:
        """Whether there is an array of the right shape."""
        key = self._keys.get(weight.name)
        return key is not None and weight.fits(self._arrays[key].shape)

    def _outer_module(self, key: str) -> str:
        """The outermost module."""
        return key.removeprefix(self._prefix).partition(".")[0]

    @property
    def unused(self) -> list[str]:
        return [key for key in self._arrays if key not in self.used]


# ---------------------------------------------------------------- the neck


def _fill_neck(
    checkpoint: _Checkpoint, neck: Sequence[keras.Layer], modules: Mapping[str, str]
) -> list[str]:
    """Loads the neck; returns the names of its loaded layers."""
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
        weights = mapped_weights(layer, checkpoint.path, module, feature_map if is_dense else None)
        if is_dense and not checkpoint.knows(weights[-1].name):
            # Without a bias in PyTorch, the initial bias of 0 is the same.
            weights = weights[:1]
        if isinstance(layer, layers.BatchNormalization) and not any(
            checkpoint.knows(weight.name) for weight in weights[:2]
        ):
            # PyTorch's affine=False: the initial scale of 1 and offset of 0 are the same.
            weights = weights[2:]
        if not all(checkpoint.has(weight) for weight in weights):
            break
        for weight in weights:
            less = 0.0
            if bias is not None and weight.name.endswith("_running_mean") and checkpoint.has(bias):
                less = checkpoint.find(bias).load().reshape(-1)
            weight.fill(checkpoint.find(weight), less)
        bias = feature_map = None
        if is_dense and layer.bias is None:
            bias = MappedWeight(None, f"{module.replace('.', '_')}_bias", ((layer.units,),), _same)
        filled.append(layer.name)
    return filled


def describe(
    path: Path, num_arrays: int, filled: Sequence[str], neck: Sequence[str], unused: Sequence[str]
) -> str:
    """Returns a line on what was loaded and what was not.

    Args:
        path: of the file.
        num_arrays: that were loaded.
        filled: names of the neck's layers that were.
        neck: names of all its layers with weights.
        unused: names of arrays that were not.
    """
    into = "the backbone"
    if filled:
        into += " and the neck" if filled == neck else f" and {', '.join(filled)}"
    line = f"weights: {num_arrays} arrays of {path.name} into {into}"
    if rest := neck[len(filled) :]:
        line += f"; {', '.join(rest)} start{'s' if len(rest) == 1 else ''} from random weights"
    if unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        line += f"; not used: {', '.join(unused[:3])}{more}"
    return line


# ---------------------------------------------------------------- layers


def _with_weights(given: Iterable[keras.Layer]) -> list[keras.Layer]:
    return [layer for layer in given if layer.weights]


def mapped_weights(
    layer: keras.Layer,
    path: Path,
    module: str | None = None,
    feature_map: tuple[int, int, int] | None = None,
) -> list[MappedWeight]:
    """Returns the weights of a layer and their counterparts in PyTorch.

    Args:
        layer: of a network or neck.
        path: of the checkpoint, for the message.
        module: name of the PyTorch module; None for that of the layer.
        feature_map: rows, columns and channels of the flattened input of a dense layer.

    Returns:
        The weights.

    Raises:
        InputError: PyTorch weights are not supported for a layer of this type.
    """
    prefix = layer.name if module is None else module.replace(".", "_")
    if type(layer) not in _WEIGHTS:
        raise InputError(
            f"model.backbone.weights: {path}: PyTorch weights can't be loaded into this backbone: "
            f"its layer {layer.name} is a {type(layer).__name__}"
        )
    if feature_map is not None:
        weights = _dense(layer, feature_map)
    else:
        weights = _WEIGHTS[type(layer)](layer)
    return [
        MappedWeight(variable, f"{prefix}_{leaf}" if leaf else prefix, shapes, convert)
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
    """A grouped convolution of `torch_layers.grouped_conv`."""
    positions, groups, inputs, outputs = layer.kernel.shape
    size = math.isqrt(positions)
    return [
        (
            "weight",
            layer.kernel,
            ((groups * outputs, inputs, size, size),),
            lambda array: array.reshape(groups, outputs, inputs, positions).transpose(3, 0, 2, 1),
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
    # PyTorch flattens channels first; a convolution over the whole map is an equivalent layer.
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


_WEIGHTS: dict[type, Callable[[keras.Layer], list[tuple]]] = {
    layers.Conv2D: _convolution,
    layers.EinsumDense: _grouped,
    layers.DepthwiseConv2D: _depthwise,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: lambda layer: [
        _vector("weight", layer.gamma),
        _vector("bias", layer.beta),
    ],
    layers.PReLU: lambda layer: [_vector("weight", layer.alpha)],
    # A parameter of a module itself, such as position embeddings of a vision transformer.
    layers.Embedding: lambda layer: [_vector("", layer.embeddings)],
}


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _python_name(key: str) -> str:
    """Returns the name with `_` for `.`, and new names for old ones."""
    name = key.replace(".", "_")
    for former, new in _RENAMED.items():
        name = name.replace(former, new)
    return name
