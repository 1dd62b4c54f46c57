"""Estimates the memory for activations of a network before it is run."""

from math import prod

import keras

from tfface.kernels.keras_internals import graph_nodes


def peak_activation_size(model: keras.Model, known: dict[int, int] | None = None) -> int:
    """Returns the peak number of activation values for one image.

    It counts inputs and layer outputs that are still needed, if layers are run one after the other;
    so it is a lower bound of what has to be in memory.

    Args:
        model: the network.
        known: results for nested models, which may be used several times.

    Returns:
        A number of values.
    """
    known = {} if known is None else known
    if id(model) in known:
        return known[id(model)]
    nodes = graph_nodes(model)
    last_use = {
        id(tensor): step for step, node in enumerate(nodes) for tensor in node.input_tensors
    }
    last_use |= {id(tensor): len(nodes) for tensor in getattr(model, "outputs", ())}
    held: dict[int, int] = {}
    total = peak = 0
    for step, node in enumerate(nodes):
        for tensor in node.output_tensors:
            held[id(tensor)] = values_per_image(tensor)
            total += held[id(tensor)]
        peak = max(peak, total + _within(node, known))
        for tensor in (*node.input_tensors, *node.output_tensors):
            if last_use.get(id(tensor), step) <= step:
                total -= held.pop(id(tensor), 0)
    known[id(model)] = peak
    return peak


def values_per_image(tensor: keras.KerasTensor) -> int:
    """Returns the number of values of a tensor for one image."""
    return prod(size or 1 for size in tensor.shape[1:])


def _within(node, known: dict[int, int]) -> int:
    """Returns the number of values that a layer needs besides its inputs and outputs."""
    layer = node.operation
    if isinstance(layer, keras.Model):
        return peak_activation_size(layer, known)
    if "Attention" in type(layer).__name__:
        # Attention weights of each position of the first input to each position of the last.
        positions = [
            values_per_image(tensor) // (tensor.shape[-1] or 1) for tensor in node.input_tensors
        ]
        heads = getattr(layer, "num_heads", None) or getattr(layer, "num_query_heads", 1)
        each = node.input_tensors[0].shape[-1] if "Additive" in type(layer).__name__ else heads
        return each * positions[0] * positions[-1]
    return 0
