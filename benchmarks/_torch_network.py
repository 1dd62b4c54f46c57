"""A Keras network as a PyTorch module, layer by layer with the same weights: for gpu_step.py."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from tfface.kernels.keras_internals import graph_nodes


class TorchNetwork(nn.Module):
    """Computes what a Keras network computes, from images in 0..255, channels last.

    Args:
        network: a functional Keras model of the layers that `_MADE` has, and of models of these.

    Raises:
        ValueError: it has another layer.
    """

    def __init__(self, network: keras.Model):
        super().__init__()
        self._steps: list[tuple[str | None, list[str], str]] = []
        self.parts = nn.ModuleDict()
        [self._input], [self._output] = network.inputs, network.outputs
        for node in graph_nodes(network):
            layer = node.operation
            if isinstance(layer, keras.layers.InputLayer):
                continue
            self.parts[_key(layer)] = _make(layer)
            [output] = node.output_tensors
            self._steps.append(
                (_key(layer), [_name(tensor) for tensor in node.input_tensors], _name(output))
            )
        self._input, self._output = _name(self._input), _name(self._output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {self._input: x}
        for key, inputs, output in self._steps:
            values[output] = self.parts[key](*[values[name] for name in inputs])
        return values[self._output]


def _key(layer: keras.Operation) -> str:
    return f"_{layer.name}"


def _name(tensor: keras.KerasTensor) -> str:
    return tensor.name


def _tensor(value: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(value)))


class _Function(nn.Module):
    """A layer without weights."""

    def __init__(self, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def _conv(layer: keras.layers.Conv2D) -> nn.Module:
    kernel = _tensor(layer.kernel).permute(3, 2, 0, 1).contiguous()
    conv = nn.Conv2d(
        kernel.shape[1],
        kernel.shape[0],
        layer.kernel_size,
        layer.strides,
        bias=layer.use_bias,
    )
    conv.weight.data.copy_(kernel)
    if layer.use_bias:
        conv.bias.data.copy_(_tensor(layer.bias))
    if layer.padding == "valid":
        return conv
    sizes = zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True)
    rows, columns = (_same_padding(*size) for size in sizes)
    return nn.Sequential(nn.ZeroPad2d((*columns, *rows)), conv)


def _dense(layer: keras.layers.Dense) -> nn.Module:
    kernel = _tensor(layer.kernel).T.contiguous()
    dense = nn.Linear(kernel.shape[1], kernel.shape[0], bias=layer.use_bias)
    dense.weight.data.copy_(kernel)
    if layer.use_bias:
        dense.bias.data.copy_(_tensor(layer.bias))
    return dense


def _batch_norm(layer: keras.layers.BatchNormalization) -> nn.Module:
    kind = nn.BatchNorm2d if len(layer.input.shape) == 4 else nn.BatchNorm1d
    norm = kind(layer.input.shape[-1], eps=layer.epsilon, momentum=1 - layer.momentum)
    if layer.scale:
        norm.weight.data.copy_(_tensor(layer.gamma))
    if layer.center:
        norm.bias.data.copy_(_tensor(layer.beta))
    norm.running_mean.copy_(_tensor(layer.moving_mean))
    norm.running_var.copy_(_tensor(layer.moving_variance))
    return norm


def _prelu(layer: keras.layers.PReLU) -> nn.Module:
    alpha = _tensor(layer.alpha).reshape(-1)
    prelu = nn.PReLU(len(alpha))
    prelu.weight.data.copy_(alpha)
    return prelu


def _padding(layer: keras.layers.ZeroPadding2D) -> nn.Module:
    rows, columns = layer.padding
    return nn.ZeroPad2d((*columns, *rows))


def _activation(layer: keras.layers.Activation) -> nn.Module:
    name = layer.activation.__name__
    return {"relu": nn.ReLU, "linear": nn.Identity}[name]()


def _rescaling(layer: keras.layers.Rescaling) -> nn.Module:
    scale, offset = (
        np.broadcast_to(np.float32(value), 3).reshape(1, 3, 1, 1).copy()
        for value in (layer.scale, layer.offset)
    )
    module = _Rescaling()
    module.register_buffer("scale", torch.from_numpy(scale))
    module.register_buffer("offset", torch.from_numpy(offset))
    return module


class _Rescaling(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


_MADE: dict[type, Callable[[Any], nn.Module]] = {
    keras.layers.Conv2D: _conv,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.PReLU: _prelu,
    keras.layers.ZeroPadding2D: _padding,
    keras.layers.Activation: _activation,
    keras.layers.Rescaling: _rescaling,
    keras.layers.ReLU: lambda layer: nn.ReLU(),
    keras.layers.MaxPooling2D: lambda layer: nn.MaxPool2d(layer.pool_size, layer.strides),
    keras.layers.Add: lambda layer: _Function(torch.add),
    keras.layers.GlobalAveragePooling2D: lambda layer: _Function(lambda x: x.mean((2, 3))),
    # In Keras' order of the values.
    keras.layers.Flatten: lambda layer: _Function(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
}


def _make(layer: keras.Operation) -> nn.Module:
    if isinstance(layer, keras.Model):
        return TorchNetwork(layer)
    # keras.ops.flip, which has no public class: of the colors, in the last axis.
    if type(layer).__name__ == "Flip" and layer.axis == -1:
        return _Function(lambda x: x.flip(1))
    if type(layer) not in _MADE:
        raise ValueError(f"{layer.name}: {type(layer).__name__} is not known here")
    return _MADE[type(layer)](layer)
