"""Builds networks from what Keras 2 has written of their layers, by a list of known layers.

Nothing is built by a name that a file gives: a layer is made of the class in the table here, from
numbers and words. What Keras 3 computes in another way than Keras 2 did is made of what Keras 2
computed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from tfface.errors import shown

_MOST_LAYERS = 3000
_MOST_CHARACTERS = 200

_LAYERS: dict[str, type[keras.Layer]] = {
    layer.__name__: layer
    for layer in (
        layers.Activation,
        layers.Add,
        layers.Average,
        layers.AveragePooling2D,
        layers.BatchNormalization,
        layers.Concatenate,
        layers.Conv2D,
        layers.Cropping2D,
        layers.Dense,
        layers.DepthwiseConv2D,
        layers.Dropout,
        layers.ELU,
        layers.Flatten,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.LayerNormalization,
        layers.LeakyReLU,
        layers.MaxPooling2D,
        layers.Maximum,
        layers.Minimum,
        layers.Multiply,
        layers.Normalization,
        layers.PReLU,
        layers.Permute,
        layers.ReLU,
        layers.Rescaling,
        layers.Reshape,
        layers.SeparableConv2D,
        layers.Softmax,
        layers.SpatialDropout2D,
        layers.Subtract,
        layers.UpSampling2D,
        layers.ZeroPadding2D,
    )
}
# What says how training begins, or what Keras 2 alone knows. All is computed in float32.
_IGNORED_ENDS = ("_initializer", "_regularizer", "_constraint")
_IGNORED = {
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "data_format",
    "noise_shape",
    "seed",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "fused",
    "virtual_batch_size",
    "synchronized",
}
_MODELS = ("Functional", "Model", "Sequential")
_ONE_GROUP = ("DepthwiseConv2D", "SeparableConv2D")
# Those that both compute alike.
_ACTIVATIONS = {
    "elu",
    "exponential",
    "gelu",
    "linear",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
}


def _hard_sigmoid(features, name: str):
    # Keras 3 has another slope.
    features = layers.Rescaling(0.2, 0.5, name=f"{name}_rescaled")(features)
    return layers.ReLU(1.0, name=f"{name}_hard_sigmoid")(features)


def _sum(x, y, name: str):
    if isinstance(y, int | float):
        return layers.Rescaling(1.0, y, name=name)(x)
    return layers.Add(name=name)([x, y])


def _difference(x, y, name: str):
    if isinstance(y, int | float):
        return layers.Rescaling(1.0, -y, name=name)(x)
    return layers.Subtract(name=name)([x, y])


def _product(x, y, name: str):
    if isinstance(y, int | float):
        return layers.Rescaling(y, name=name)(x)
    return layers.Multiply(name=name)([x, y])


def _quotient(x, y, name: str):
    if not isinstance(y, int | float):
        raise UnknownLayerError(
            f"its layer {shown(name)} divides by something that is not a number"
        )
    return layers.Rescaling(1 / y, name=name)(x)


def _mean(input_tensor, axis, name: str, keepdims=False):
    if axis != [1, 2]:
        raise UnknownLayerError(f"its layer {shown(name)} is a mean over axes {shown(str(axis))}")
    return layers.GlobalAveragePooling2D(keepdims=bool(keepdims), name=name)(input_tensor)


# Operations of TensorFlow that Keras 2 made layers of, and the name of their first argument.
_OPERATIONS: dict[str, tuple[str, Callable]] = {
    "__operators__.add": ("x", _sum),
    "math.add": ("x", _sum),
    "math.subtract": ("x", _difference),
    "math.multiply": ("x", _product),
    "math.truediv": ("x", _quotient),
    "math.divide": ("x", _quotient),
    "math.reduce_mean": ("input_tensor", _mean),
    "nn.relu": ("features", lambda features, name: layers.ReLU(name=name)(features)),
    "nn.relu6": ("features", lambda features, name: layers.ReLU(6.0, name=name)(features)),
    "math.sigmoid": ("x", lambda x, name: layers.Activation("sigmoid", name=name)(x)),
    "nn.sigmoid": ("x", lambda x, name: layers.Activation("sigmoid", name=name)(x)),
    "nn.silu": ("features", lambda features, name: layers.Activation("silu", name=name)(features)),
}


class UnknownLayerError(ValueError):
    """A layer that no network of plain layers has."""


class LegacyGraph:
    """The layers of a functional or sequential model of Keras 2, built as they are asked for.

    Args:
        config: `config` of its description: `layers` and, if functional, `input_layers` and
            `output_layers`.

    Attributes:
        layers: name -> description of a layer.
        made: name in the file -> the layer, of those built so far.

    Raises:
        ValueError: the description is not one that Keras 2 writes.

    Example:
        >>> dense = {"name": "fc", "units": 4, "batch_input_shape": [None, 8]}
        >>> graph = LegacyGraph({"layers": [{"class_name": "Dense", "config": dense}]})
        >>> graph.output(graph.outputs[0]).shape
        (None, 4)
    """

    def __init__(self, config: Mapping[str, Any]):
        described = config["layers"]
        if not isinstance(described, list) or not 0 < len(described) <= _MOST_LAYERS:
            raise ValueError(f"it must have at most {_MOST_LAYERS} layers, and at least one")
        self.layers: dict[str, dict] = {}
        previous: list | None = None
        is_functional = "input_layers" in config
        for each in described:
            name = each["name"] if is_functional else each["config"]["name"]
            if not isinstance(name, str) or len(name) > _MOST_CHARACTERS or name in self.layers:
                raise ValueError(f"a layer with the name {shown(str(name)[:_MOST_CHARACTERS])!r}")
            if not is_functional:
                calls = [] if previous is None else [[previous]]
                if previous is None and each["class_name"] != "InputLayer":
                    shape = {"batch_input_shape": each["config"]["batch_input_shape"]}
                    self.layers[""] = _described("InputLayer", {"name": "", **shape}, [])
                    calls = [[["", 0, 0, {}]]]
                each = _described(each["class_name"], each["config"], calls)
            self.layers[name] = each
            # Call 0 of a model is that by which it was made.
            previous = [name, int(each["class_name"] in _MODELS), 0, {}]
        self.outputs = config["output_layers"] if is_functional else [previous]
        if self.outputs and not isinstance(self.outputs[0], list):
            self.outputs = [self.outputs]
        self.made: dict[str, keras.Layer] = {}
        self.inputs: list = []
        self._tensors: dict[tuple[str, int], Any] = {}

    def kind(self, name: str) -> str:
        """Returns the class of a layer."""
        return str(self._layer(name)["class_name"])

    def is_head(self, name: str) -> bool:
        """Whether a last layer is no part of an embedder: a stranger's, or one that classifies."""
        layer = self._layer(name)
        if ">" in self.kind(name) or self.kind(name) == "Softmax":
            return True
        return layer["config"].get("activation") == "softmax"

    def sources(self, name: str, call: int = 0) -> list[list]:
        """Returns what a call of a layer takes: [name of a layer, its call, which output, ...]."""
        calls = self._layer(name)["inbound_nodes"]
        if self.kind(name) in _MODELS:
            # Without that by which the model was made.
            call -= 1
        taken = calls[_index(call, len(calls))]
        return [taken] if taken and isinstance(taken[0], str) else taken

    def output(self, wanted: list) -> Any:
        """Returns the output of a layer's call, [name, call, 0], with all layers before it.

        Raises UnknownLayerError, or ValueError: a layer is not known, or can't be built.
        """
        # Not by recursion, whose depth would depend on the file.
        left, entered = [_place(wanted)], set()
        while left:
            place = left[-1]
            if place in self._tensors:
                left.pop()
                continue
            name, call = place
            needed = []
            if self.kind(name) != "InputLayer":
                needed = [_place(source) for source in self._all_sources(name, call)]
            missing = [source for source in needed if source not in self._tensors]
            if missing and place in entered:
                raise ValueError(f"its layer {shown(name)!r} takes its own output")
            entered.add(place)
            if missing:
                left += missing
            else:
                self._tensors[place] = self._call(name, call)
                left.pop()
        return self._tensors[_place(wanted)]

    def model(self, output: Any, name: str) -> keras.Model:
        """Returns a model that ends in an output."""
        inputs = self.inputs if len(self.inputs) > 1 else self.inputs[0]
        return keras.Model(inputs, output, name=name)

    def _layer(self, name: str) -> dict:
        if name not in self.layers:
            raise ValueError(f"it has no layer {shown(str(name)[:_MOST_CHARACTERS])!r}")
        return self.layers[name]

    def _all_sources(self, name: str, call: int) -> list[list]:
        """As `sources`, with the tensors among the options of an operation."""
        found = list(self.sources(name, call))
        for source in self.sources(name, call):
            found += [value for value in _options(source).values() if self._is_tensor(value)]
        return found

    def _is_tensor(self, value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) == 3
            and isinstance(value[0], str)
            and value[0] in self.layers
        )

    def _call(self, name: str, call: int) -> Any:
        layer, kind = self._layer(name), self.kind(name)
        config = layer["config"]
        known = name.replace("/", "_")
        if kind == "InputLayer":
            shape = config["batch_input_shape"]
            if not isinstance(shape, list) or len(shape) < 2:
                raise ValueError("an input without a shape")
            made = keras.Input(tuple(shape[1:]), name=known or None)
            self.inputs.append(made)
            return made
        sources = self.sources(name, call)
        taken = [self._tensors[_place(source)] for source in sources]
        if kind == "TFOpLambda":
            return self._operate(name, config["function"], taken, sources)
        if any(self._is_tensor(v) for source in sources for v in _options(source).values()):
            raise UnknownLayerError(f"its layer {shown(name)} takes more than one kind of input")
        if name not in self.made:
            self.made[name] = self._make(name, known)
        made = self.made[name](taken[0] if len(taken) == 1 else taken)
        if config.get("activation") == "hard_sigmoid":
            return _hard_sigmoid(made, known)
        return made

    def _operate(self, name: str, function: object, taken: list, sources: list[list]) -> Any:
        if not isinstance(function, str) or function not in _OPERATIONS or len(taken) != 1:
            raise UnknownLayerError(
                f"its layer {shown(name)} is TensorFlow's {shown(str(function))}, not a known one"
            )
        first, operation = _OPERATIONS[function]
        options = {
            key: self._tensors[_place(value)] if self._is_tensor(value) else value
            for key, value in _options(sources[0]).items()
        }
        return operation(**(options | {first: taken[0], "name": name.replace("/", "_")}))

    def _make(self, name: str, known: str) -> keras.Layer:
        kind = self.kind(name)
        if kind in _MODELS:
            return inner_model(self._layer(name)["config"], known)
        if kind not in _LAYERS:
            raise UnknownLayerError(
                f"its layer {shown(name)} is a {shown(kind)}, and only plain layers of Keras are "
                "known"
            )
        return _LAYERS[kind](name=known, **_checked(name, kind, self._layer(name)["config"]))


def inner_model(config: Mapping[str, Any], name: str) -> keras.Model:
    """Builds a model within a model. Raises as `LegacyGraph` does."""
    graph = LegacyGraph(config)
    outputs = [graph.output(wanted) for wanted in graph.outputs]
    if len(outputs) != 1 or len(graph.inputs) != 1:
        raise UnknownLayerError(
            f"its layer {shown(name)} is a model of {len(graph.inputs)} inputs and {len(outputs)} "
            "outputs"
        )
    return graph.model(outputs[0], name)


def _described(kind: str, config: Mapping[str, Any], calls: list) -> dict:
    return {"class_name": kind, "config": config, "inbound_nodes": calls}


def _index(number: object, length: int) -> int:
    if not isinstance(number, int) or not 0 <= number < length:
        raise ValueError(f"it calls a layer {length} times, and takes call {shown(str(number))}")
    return number


def _place(source: list) -> tuple[str, int]:
    """Returns the layer and the call that a tensor comes from."""
    name, call, which = source[:3]
    if not isinstance(name, str) or not isinstance(call, int) or which != 0:
        raise UnknownLayerError(
            f"output {shown(str(which))} of its layer {shown(str(name))} is used"
        )
    return name, call


def _options(source: list) -> dict:
    options = source[3] if len(source) > 3 else {}
    return options if isinstance(options, dict) else {}


def _checked(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that a layer is made with."""
    if config.get("data_format") not in (None, "channels_last"):
        raise UnknownLayerError(f"its layer {shown(name)} takes channels first")
    if config.get("renorm"):
        raise UnknownLayerError(f"its layer {shown(name)} is a batch renormalization")
    options = {
        key: value
        for key, value in config.items()
        if key not in _IGNORED and not key.endswith(_IGNORED_ENDS)
    }
    if kind in _ONE_GROUP and options.pop("groups", 1) != 1:
        raise UnknownLayerError(f"its layer {shown(name)} has groups")
    activation = options.get("activation")
    if activation == "hard_sigmoid":
        options["activation"] = "linear"
    elif activation is not None and not _is_known(activation):
        raise UnknownLayerError(
            f"its layer {shown(name)} has the activation {shown(str(activation))}"
        )
    if kind == "BatchNormalization" and isinstance(options.get("axis"), list):
        (options["axis"],) = options["axis"]
    if kind == "LeakyReLU" and "alpha" in options:
        options["negative_slope"] = options.pop("alpha")
    for key, value in options.items():
        if not _is_plain(value):
            raise UnknownLayerError(f"its layer {shown(name)} has {shown(key)} {shown(str(value))}")
    return options


def _is_known(activation: object) -> bool:
    return isinstance(activation, str) and activation in _ACTIVATIONS


def _is_plain(value: object) -> bool:
    """Whether a value is a number, a word or none, or a list of such."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
