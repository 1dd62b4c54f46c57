"""How many numbers a network holds at a time while it is run on one image."""

from math import prod

import keras


def peak_activation_size(model: keras.Model, known: dict[int, int] | None = None) -> int:
    """Returns the numbers of the inputs, and of the layers' outputs that are still needed, at the
    step of the network where these are the most; of an image, before it is run.

    Layers are taken to be run one after the other, so it is what has to be held at least.

    Args:
        known: of networks that were looked at; one may be used in many places of another.
    """
    known = {} if known is None else known
    if id(model) in known:
        return known[id(model)]
    # Where Keras knows no graph of layers, there is nothing to look at.
    by_depth = getattr(model, "_nodes_by_depth", {})
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    last_use = {
        id(tensor): place for place, node in enumerate(nodes) for tensor in node.input_tensors
    }
    last_use |= {id(tensor): len(nodes) for tensor in getattr(model, "outputs", ())}
    held: dict[int, int] = {}
    total = most = 0
    for place, node in enumerate(nodes):
        for tensor in node.output_tensors:
            held[id(tensor)] = output_size(tensor)
            total += held[id(tensor)]
        most = max(most, total + _within(node, known))
        for tensor in (*node.input_tensors, *node.output_tensors):
            if last_use.get(id(tensor), place) <= place:
                total -= held.pop(id(tensor), 0)
    known[id(model)] = most
    return most


def output_size(tensor: keras.KerasTensor) -> int:
    """Returns how many numbers of a tensor belong to one image."""
    return prod(size or 1 for size in tensor.shape[1:])


def _within(node, known: dict[int, int]) -> int:
    """What a layer holds while it is run, beside its inputs and outputs."""
    layer = node.operation
    if isinstance(layer, keras.Model):
        return peak_activation_size(layer, known)
    if "Attention" in type(layer).__name__:
        # How much each place of the first input looks at each place of the last.
        places = [output_size(tensor) // (tensor.shape[-1] or 1) for tensor in node.input_tensors]
        heads = getattr(layer, "num_heads", None) or getattr(layer, "num_query_heads", 1)
        each = node.input_tensors[0].shape[-1] if "Additive" in type(layer).__name__ else heads
        return each * places[0] * places[-1]
    return 0
