"""Reader of ONNX models: their weights, and the graph that says what each is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfface.backbones.weights.array_files import StoredArray, as_float32, damaged
from tfface.errors import InputError
from tfface.extras import not_installed

# Nodes that change a weight's shape, or nothing. A weight goes through one or two of them.
_VIEWS = ("Identity", "Unsqueeze", "Squeeze", "Reshape", "Cast", "Transpose")
_MOST_VIEWS = 8
# What is asked of attributes is a list, or one number; a damaged file may have the other.
_LISTS = frozenset({"dilations", "kernel_shape", "pads", "perm", "strides"})
_NUMBERS = frozenset({"alpha", "beta", "epsilon", "transB"})


@dataclass(frozen=True)
class OnnxNode:
    """A node of a graph.

    Attributes:
        op: its operation, such as "Conv".
        inputs: names of tensors.
        attributes: name -> number or list of numbers; others are left out.
    """

    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class OnnxWeights:
    """The weights and the graph of an ONNX model.

    Attributes:
        arrays: name -> array.
        producers: name of a tensor -> the node that makes it.
        outputs: names of the graph's outputs.
    """

    def __init__(
        self,
        arrays: Mapping[str, StoredArray],
        producers: Mapping[str, OnnxNode],
        outputs: tuple[str, ...],
    ):
        self.arrays = arrays
        self.producers = producers
        self.outputs = outputs

    def __contains__(self, name: str) -> bool:
        return self._stored(name) is not None

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape in which a weight is stored."""
        stored = self._stored(name)
        return () if stored is None else stored[0].shape

    def array(self, name: str) -> np.ndarray | None:
        """Returns a weight as float32, transposed as the graph does; None if a tensor is none."""
        stored = self._stored(name)
        if stored is None:
            return None
        array = stored[0].load()
        for axes in reversed(stored[1]):
            if axes is not None and sorted(axes) != list(range(array.ndim)):
                return None
            array = np.transpose(array, axes)
        return array

    def _stored(self, name: str) -> tuple[StoredArray, list[list[int] | None]] | None:
        """Returns an array, and the transpositions between it and a tensor, the last one first."""
        transposed: list[list[int] | None] = []
        for _ in range(_MOST_VIEWS):
            if name in self.arrays:
                return self.arrays[name], transposed
            node = self.producers.get(name)
            if node is None or node.op not in _VIEWS or not node.inputs:
                return None
            if node.op == "Transpose":
                transposed.append(node.attributes.get("perm"))
            name = node.inputs[0]
        return None


def read_onnx(path: Path) -> dict[str, StoredArray]:
    """Reads the weights of an ONNX model, by their names.

    Args:
        path: the file.

    Raises:
        InputError: as `load_onnx`.
    """
    return dict(load_onnx(path).arrays)


def load_onnx(path: Path) -> OnnxWeights:
    """Reads an ONNX model.

    Args:
        path: the file.

    Returns:
        Its weights and graph.

    Raises:
        InputError: the `onnx` package is not installed, or the file is damaged.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(f"model.backbone.weights: {path}: {not_installed('onnx')}") from error
    try:
        # The package refuses external data outside of the folder.
        model = onnx.load(path)
    # The package documents no errors; protobuf's is a class of its own.
    except Exception as error:
        raise damaged(path, error) from error

    def stored(tensor: Any) -> StoredArray:
        def load() -> np.ndarray:
            try:
                return as_float32(onnx.numpy_helper.to_array(tensor), "")
            # It documents no errors here, either.
            except Exception as error:
                raise damaged(path, f"{tensor.name}: {error}") from error

        return StoredArray(tuple(tensor.dims), load)

    kinds = onnx.AttributeProto
    arrays = {tensor.name: stored(tensor) for tensor in model.graph.initializer}
    producers: dict[str, OnnxNode] = {}
    for node in model.graph.node:
        attributes = {}
        for one in node.attribute:
            if node.op_type == "Constant" and one.type == kinds.TENSOR:
                arrays.update((name, stored(one.t)) for name in node.output)
            elif one.type in (kinds.INT, kinds.INTS, kinds.FLOAT, kinds.FLOATS):
                value = onnx.helper.get_attribute_value(one)
                is_number = isinstance(value, int | float)
                if one.name in (_LISTS if is_number else _NUMBERS):
                    raise damaged(path, f"{one.name} of a node is of another type")
                attributes[one.name] = value if is_number else list(value)
        made = OnnxNode(node.op_type, tuple(name for name in node.input if name), attributes)
        producers.update((name, made) for name in node.output if name)
    return OnnxWeights(arrays, producers, tuple(output.name for output in model.graph.output))
