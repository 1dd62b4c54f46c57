"""Weights of an ONNX model by what its graph computes, for files without the names of the layers.

Exporters fold the batch norm behind a convolution into it and give the arrays names of their own.
So the graph is followed from its end to its beginning, side by side with that of the network: each
layer takes the arrays of the node that computes the same, with the same shapes, strides and
padding. A batch norm that was folded becomes the identity, with the convolution's bias as beta.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tfface.backbones.weights.onnx_file import OnnxNode, OnnxWeights
from tfface.backbones.weights.torch_weights import MappedWeight, mapped_weights
from tfface.errors import InputError
from tfface.kernels.keras_internals import graph_nodes

# They hand on what they get, as far as weights are concerned.
_TRANSPARENT_NODES = ("Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast")
_TRANSPARENT_LAYERS = (layers.ZeroPadding2D, layers.Reshape, layers.Flatten, layers.Dropout)
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.EinsumDense)
# Far more than face networks have behind their feature map.
_LONGEST_TAIL = 64


@dataclass
class GraphWeights:
    """What a graph has for a network and the beginning of its neck.

    Attributes:
        fills: (weight of a layer, array in PyTorch's layout) of the backbone.
        folded: batch norms that the file has folded away, in no order.
        neck: as `fills`, by the names of neck layers in order.
        pixels: (scale, offset) of each channel by which the graph itself maps pixels; None if it
            takes scaled ones.
    """

    fills: list[tuple[keras.Variable, np.ndarray]] = field(default_factory=list)
    folded: list[layers.BatchNormalization] = field(default_factory=list)
    neck: dict[str, list[tuple[keras.Variable, np.ndarray]]] = field(default_factory=dict)
    pixels: tuple[np.ndarray, np.ndarray] | None = None


def match_graph(
    path: Path,
    weights: OnnxWeights,
    network: keras.Model,
    neck: Sequence[keras.Layer],
    neck_modules: Mapping[str, str],
) -> GraphWeights:
    """Finds the weights of a network in a graph; assigns nothing.

    Args:
        path: of the file, for messages.
        weights: of the file.
        network: the backbone.
        neck: the layers behind it, in order.
        neck_modules: names of neck layers that such files have, in order.

    Returns:
        The arrays and where they belong.

    Raises:
        InputError: the graph computes another function.
    """
    matcher = _Matcher(path, weights, network)
    (features,) = network.outputs
    for output in weights.outputs:
        tail = list(_tail(weights, output))
        for number, tensor in enumerate(tail):
            if matcher.match((tensor, id(features)), 0):
                found = matcher.collect((tensor, id(features)))
                behind = [weights.producers[name] for name in reversed(tail[:number])]
                _match_neck(path, weights, behind, neck, list(neck_modules), found)
                return found
    raise InputError(f"model.backbone.weights: {path} does not fit this backbone: {matcher.reason}")


def _tail(weights: OnnxWeights, tensor: str) -> Iterator[str]:
    """Yields tensors from an output of the graph towards its input."""
    for _ in range(_LONGEST_TAIL):
        yield tensor
        node = weights.producers.get(tensor)
        inputs = [] if node is None else [name for name in node.inputs if name not in weights]
        if not inputs:
            return
        tensor = inputs[0]


# ---------------------------------------------------------------- the backbone

_Key = tuple[str, int]


@dataclass
class _Match:
    """What the layers up to a junction take, and the tensors that it joins."""

    found: GraphWeights = field(default_factory=GraphWeights)
    before: list[_Key] = field(default_factory=list)


class _DiffersError(Exception):
    """The graph computes something else than the network here."""


class _Matcher:
    """Compares the graph of a file with that of a network.

    Attributes:
        reason: why the comparison that went furthest failed.
    """

    def __init__(self, path: Path, weights: OnnxWeights, network: keras.Model):
        self.reason = "its graph has no nodes"
        self._depth = -1
        self._path = path
        self._weights = weights
        self._made = {
            id(tensor): (node.operation, node.input_tensors)
            for node in graph_nodes(network)
            for tensor in node.output_tensors
        }
        # A tensor of both graphs -> what was found; None if they differ.
        self._matches: dict[_Key, _Match | None] = {}

    def match(self, key: _Key, depth: int) -> bool:
        """Whether both compute the same up to a tensor of each.

        Args:
            key: name of the file's tensor, id of the network's.
            depth: layers that were compared on the way to them.
        """
        if key not in self._matches:
            try:
                self._matches[key] = self._follow(*key, depth)
            except _DiffersError as error:
                self._matches[key] = None
                if not self._depth > error.args[1]:
                    self.reason, self._depth = error.args
        return self._matches[key] is not None

    def collect(self, key: _Key) -> GraphWeights:
        """Returns what all layers up to a tensor take."""
        whole, left, seen = GraphWeights(), [key], {key}
        # Each layer once: a shortcut may begin between two junctions.
        fills, folded = {}, {}
        while left:
            match = self._matches[left.pop()]
            if match is None:
                continue
            fills.update((id(fill[0]), fill) for fill in match.found.fills)
            folded.update((id(norm), norm) for norm in match.found.folded)
            whole.pixels = match.found.pixels or whole.pixels
            left += [one for one in match.before if one not in seen]
            seen.update(match.before)
        whole.fills, whole.folded = list(fills.values()), list(folded.values())
        return whole

    def _follow(self, tensor: str, made: int, depth: int) -> _Match:
        """Compares layer by layer up to where branches join, or to the input.

        Raises _DiffersError: with the reason, and how many layers were the same.
        """
        match = _Match()
        folded: layers.BatchNormalization | None = None
        while True:
            layer, inputs = self._layer(made)
            tensor, node = self._node(tensor)
            if isinstance(layer, layers.InputLayer):
                match.found.pixels = self._pixels(tensor, depth)
                return match
            depth += 1
            if node is None or not node.inputs:
                raise _DiffersError(
                    f"its graph begins where the backbone has the layer {layer.name}", depth
                )
            kind = _kind(layer)
            if isinstance(layer, layers.BatchNormalization):
                if node.op != "BatchNormalization":
                    # Of a convolution alone: what follows an addition can't be folded.
                    if folded is not None or not isinstance(
                        self._layer(id(inputs[0]))[0], _CONVOLUTIONS
                    ):
                        raise self._differs(layer, node, depth)
                    folded, made = layer, id(inputs[0])
                    continue
                self._take_batch_norm(match.found, layer, node, depth)
            elif isinstance(layer, _CONVOLUTIONS):
                self._take_convolution(match.found, layer, inputs, node, folded, depth)
                folded = None
            elif node.op not in kind:
                raise self._differs(layer, node, depth)
            elif isinstance(layer, layers.PReLU):
                self._take_slopes(match.found, layer, node, depth)
            elif isinstance(layer, layers.Add | layers.Multiply):
                return self._join(match, layer, inputs, node, depth)
            elif isinstance(layer, layers.MaxPooling2D) and (
                list(node.attributes.get("strides", [1, 1])) != list(layer.strides)
                or list(node.attributes.get("kernel_shape", [])) != list(layer.pool_size)
            ):
                raise self._differs(layer, node, depth)
            tensor, made = node.inputs[0], id(inputs[0])

    def _join(self, match, layer, inputs, node, depth: int) -> _Match:
        for order in ((0, 1), (1, 0)):
            before = [(node.inputs[i], id(inputs[n])) for n, i in enumerate(order)]
            if len(node.inputs) == 2 and all(self.match(key, depth) for key in before):
                match.before = before
                return match
        raise _DiffersError(f"what it adds at {layer.name} is computed in another way", 0)

    def _layer(self, made: int) -> tuple[keras.Operation, list]:
        """Returns the layer that makes a tensor, and its inputs; skips those without weights."""
        while True:
            layer, inputs = self._made[made]
            if isinstance(layer, layers.Concatenate):
                # The shifted copies of a grouped convolution: all are parts of one tensor.
                inputs = self._made[id(inputs[0])][1]
            elif not isinstance(layer, _TRANSPARENT_LAYERS) and not _is_linear(layer):
                return layer, inputs
            made = id(inputs[0])

    def _node(self, tensor: str) -> tuple[str, OnnxNode | None]:
        """Returns the node that makes a tensor; those that only hand it on are skipped."""
        for _ in range(len(self._weights.producers) + 1):
            node = self._weights.producers.get(tensor)
            # A damaged file may have one that is given nothing.
            if node is None or not node.inputs or not _only_hands_on(node):
                return tensor, node
            tensor = node.inputs[0]
        raise _DiffersError("its graph has a cycle", 0)

    def _differs(self, layer: keras.Operation, node: OnnxNode, depth: int) -> _DiffersError:
        shapes = [list(self._weights.shape(name)) for name in node.inputs if name in self._weights]
        has = f"{node.op}{f' with {shapes[0]}' if shapes else ''}"
        wanted = type(layer).__name__
        if isinstance(layer, keras.Layer) and layer.weights:
            wanted += f" with {list(mapped_weights(layer, self._path)[0].shapes[0])}"
        return _DiffersError(
            f"its graph has {has} where the backbone's {layer.name} is {wanted}", depth
        )

    # ------------------------------------------------------------ what layers take

    def _take(self, found: GraphWeights, weight: MappedWeight, array: np.ndarray) -> None:
        found.fills.append((weight.variable, weight.convert(array.reshape(weight.shapes[0]))))

    def _take_batch_norm(self, found, layer, node, depth) -> None:
        arrays = [self._array(name) for name in node.inputs[1:5]]
        if len(arrays) != 4 or any(a is None or a.size != layer.gamma.shape[0] for a in arrays):
            raise self._differs(layer, node, depth)
        epsilon = node.attributes.get("epsilon", 1e-5)
        found.fills += batch_norm_fills(layer, *arrays, epsilon=epsilon)

    def _take_convolution(self, found, layer, inputs, node, folded, depth) -> None:
        kernel, *bias = mapped_weights(layer, self._path)
        array = self._array(node.inputs[1]) if len(node.inputs) > 1 else None
        if (
            node.op != "Conv"
            or array is None
            or not kernel.fits(array.shape)
            or not self._same_places(layer, inputs, node)
        ):
            raise self._differs(layer, node, depth)
        self._take(found, kernel, array)
        given = self._array(node.inputs[2]) if len(node.inputs) > 2 else None
        if folded is not None:
            found.fills += identity_fills(folded, given)
            found.folded.append(folded)
        elif bias:
            array = np.zeros(bias[0].variable.shape, np.float32) if given is None else given
            self._take(found, bias[0], array)
        elif given is not None and np.any(given):
            raise _DiffersError(
                f"its graph has a convolution with a bias where {layer.name} has none", depth
            )

    def _same_places(self, layer, inputs, node) -> bool:
        """Whether a convolution has the strides and the padding of a layer."""
        if isinstance(layer, layers.EinsumDense):
            return True
        before, _ = self._made[id(inputs[0])]
        rows, columns = layer.kernel_size
        padding = [(0, 0), (0, 0)]
        if isinstance(before, layers.ZeroPadding2D):
            padding = [tuple(side) for side in before.padding]
        elif layer.padding == "same" and tuple(layer.strides) == (1, 1):
            padding = [((n - 1) // 2, n // 2) for n in (rows, columns)]
        expected = [padding[0][0], padding[1][0], padding[0][1], padding[1][1]]
        strides = list(node.attributes.get("strides", [1, 1]))
        pads = list(node.attributes.get("pads", [0, 0, 0, 0]))
        dilations = list(node.attributes.get("dilations", [1, 1]))
        return strides == list(layer.strides) and pads == expected and dilations == [1, 1]

    def _take_slopes(self, found, layer, node, depth) -> None:
        [slopes] = mapped_weights(layer, self._path)
        array = self._array(node.inputs[1]) if len(node.inputs) > 1 else None
        if array is None or array.size not in (1, slopes.shapes[0][-1]):
            raise self._differs(layer, node, depth)
        channels = slopes.shapes[0][-1]
        self._take(found, slopes, np.broadcast_to(array.reshape(-1), (channels,)))

    def _array(self, name: str) -> np.ndarray | None:
        return self._weights.array(name)

    def _pixels(self, tensor: str, depth: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns how the graph scales pixels before the first layer.

        Raises _DiffersError: by something else than numbers for each channel.
        """
        scale, offset, is_scaled = np.ones(3), np.zeros(3), False
        # The last node first: y = scale * x + offset of what comes before it.
        for _ in range(4):
            tensor, node = self._node(tensor)
            if node is None:
                return (scale, offset) if is_scaled else None
            number = self._array(node.inputs[1]) if len(node.inputs) == 2 else None
            if number is None or number.size not in (1, 3) or not np.all(np.isfinite(number)):
                break
            number = np.broadcast_to(number.reshape(-1).astype(np.float64), (3,))
            if node.op == "Sub":
                offset = offset - scale * number
            elif node.op == "Add":
                offset = offset + scale * number
            elif node.op == "Mul":
                scale = scale * number
            elif node.op == "Div" and np.all(number):
                scale = scale / number
            else:
                break
            tensor, is_scaled = node.inputs[0], True
        raise _DiffersError("its graph has more layers before the backbone's first one", depth)


def _only_hands_on(node: OnnxNode) -> bool:
    # The shortcut of an IR network's block is a pooling of one place, with or without a stride.
    is_pooling_of_nothing = node.op == "MaxPool" and all(
        list(node.attributes.get(name, [1, 1])) == [1, 1] for name in ("kernel_shape", "strides")
    )
    return node.op in _TRANSPARENT_NODES or is_pooling_of_nothing


def _kind(layer: keras.Operation) -> tuple[str, ...]:
    """Returns the operations of ONNX that a layer without a kernel may be."""
    if isinstance(layer, layers.Activation):
        return (str(layer.get_config()["activation"]).capitalize(),)
    return {
        layers.PReLU: ("PRelu",),
        layers.Add: ("Add",),
        layers.Multiply: ("Mul",),
        layers.MaxPooling2D: ("MaxPool",),
        layers.GlobalAveragePooling2D: ("GlobalAveragePool", "ReduceMean"),
    }.get(type(layer), ())


def _is_linear(layer: keras.Operation) -> bool:
    return isinstance(layer, layers.Activation) and layer.get_config()["activation"] == "linear"


# ---------------------------------------------------------------- batch norms


def batch_norm_fills(
    layer: layers.BatchNormalization,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns the weights with which a layer computes what the file's batch norm does.

    The file's epsilon may be another: the difference goes into the variance, and into gamma where
    that would make a variance negative.

    Args:
        layer: whose weights they are.
        gamma, beta, mean, variance: of the file.
        epsilon: of the file.
    """
    gamma, beta, mean, variance = (
        array.reshape(-1).astype(np.float64) for array in (gamma, beta, mean, variance)
    )
    moved = np.maximum(variance + epsilon - layer.epsilon, 0.0)
    gamma = gamma * np.sqrt((moved + layer.epsilon) / (variance + epsilon))
    return [
        (layer.gamma, gamma),
        (layer.beta, beta),
        (layer.moving_mean, mean),
        (layer.moving_variance, moved),
    ]


def identity_fills(
    layer: layers.BatchNormalization, bias: np.ndarray | None
) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns the weights with which a batch norm only adds a bias."""
    size = layer.gamma.shape[0]
    return [
        (layer.gamma, np.ones(size)),
        (layer.beta, np.zeros(size) if bias is None else bias.reshape(-1)),
        (layer.moving_mean, np.zeros(size)),
        (layer.moving_variance, np.full(size, 1.0 - layer.epsilon)),
    ]


# ---------------------------------------------------------------- the neck


def _match_neck(
    path: Path,
    weights: OnnxWeights,
    behind: Sequence[OnnxNode],
    neck: Sequence[keras.Layer],
    names: Sequence[str],
    found: GraphWeights,
) -> None:
    """Adds the neck's layers, as long as the nodes behind the feature map are theirs."""
    nodes = [node for node in behind if node.op not in _TRANSPARENT_NODES]
    names = list(names)
    feature_map: tuple[int, int, int] | None = None
    bias: np.ndarray | None = None
    for layer in neck:
        if isinstance(layer, layers.Flatten):
            feature_map = layer.input.shape[1:]
        if not layer.weights:
            continue
        if not names or names.pop(0) != layer.name:
            return
        if isinstance(layer, layers.Dense):
            taken = _dense_fills(path, weights, layer, nodes, feature_map)
            if taken is None:
                return
            fills, bias, num_nodes = taken
            nodes = nodes[num_nodes:]
        elif nodes and nodes[0].op == "BatchNormalization":
            arrays = [weights.array(name) for name in nodes[0].inputs[1:5]]
            if len(arrays) != 4 or any(a is None or a.size != layer.gamma.shape[0] for a in arrays):
                return
            gamma, beta, mean, variance = arrays
            mean = mean if bias is None else mean.reshape(-1) - bias
            epsilon = nodes[0].attributes.get("epsilon", 1e-5)
            fills = batch_norm_fills(layer, gamma, beta, mean, variance, epsilon)
            nodes, bias = nodes[1:], None
        elif "embedding" in found.neck:
            fills = identity_fills(layer, bias)
            found.folded.append(layer)
            bias = None
        else:
            return
        found.neck[layer.name] = fills


def _dense_fills(path, weights, layer, nodes, feature_map):
    """Returns the weights of a dense layer, a bias that it has no place for, and nodes used."""
    if not nodes or nodes[0].op not in ("Gemm", "MatMul", "Conv") or len(nodes[0].inputs) < 2:
        return None
    node, num_nodes = nodes[0], 1
    array = weights.array(node.inputs[1])
    bias = weights.array(node.inputs[2]) if len(node.inputs) > 2 else None
    if array is None:
        return None
    if node.op == "MatMul" or (node.op == "Gemm" and not node.attributes.get("transB", 0)):
        array = array.T
    if node.op == "Gemm" and any(node.attributes.get(n, 1.0) != 1.0 for n in ("alpha", "beta")):
        return None
    if node.op == "MatMul" and len(nodes) > 1 and nodes[1].op == "Add":
        bias = next((weights.array(name) for name in nodes[1].inputs if name in weights), None)
        num_nodes = 2
    kernel, *own_bias = mapped_weights(layer, path, layer.name, feature_map)
    if not kernel.fits(array.shape):
        return None
    fills = [(kernel.variable, kernel.convert(array.reshape(kernel.shapes[0])))]
    if bias is not None and bias.size != layer.units:
        return None
    if own_bias:
        values = np.zeros(layer.units) if bias is None else bias.reshape(-1)
        return [*fills, (layer.bias, values)], None, num_nodes
    return fills, None if bias is None else bias.reshape(-1), num_nodes
