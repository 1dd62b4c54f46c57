"""Filling a model's layers from those of another one, matched by their names and weights' shapes.

A layer is taken whole or not at all: a bias or the statistics of a batch norm are worth nothing
beside weights that they don't belong to.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import keras
import numpy as np

from tfface.errors import shown
from tfface.training.distribution import put

_BACKBONE = "backbone"

# Layer -> weight -> its variable here, or its value there.
Variables = Mapping[str, Mapping[str, keras.Variable]]
Arrays = Mapping[str, Mapping[str, np.ndarray]]


def parts_of(
    model: keras.Layer, *, without: Sequence[keras.Layer] = ()
) -> tuple[Variables, Variables]:
    """Returns the layers of an embedder's backbone, and those of its neck that have weights.

    A model that has no backbone in it is taken for one.

    Args:
        without: layers that are left out.
    """
    layers = _layers_in(model)
    backbone = next((layer for layer in layers if layer.name == _BACKBONE), None)
    if backbone is None:
        return _by_name(_others(layers, without)), {}
    neck = [layer for layer in layers if layer is not backbone and layer.weights]
    return _by_name(_others(_layers_in(backbone), without)), _by_name(neck)


def fitting(here: Variables, there: Arrays) -> tuple[list[str], list[str]]:
    """Returns the layers that fit, and of all others on either side why they don't.

    Layers without weights count as well: without one of them it is another network.
    """
    reasons = {layer: _misfit(layer, here, there) for layer in here}
    found = [layer for layer, reason in reasons.items() if not reason]
    misfits = [reason for reason in reasons.values() if reason]
    return found, [*misfits, *(f"{layer} isn't here" for layer in there if layer not in here)]


def fitting_from_the_beginning(here: Variables, there: Arrays) -> tuple[list[str], str]:
    """Returns the layers that fit up to the first that doesn't, and why that doesn't, or ""."""
    found: list[str] = []
    for layer, other in zip_longest(here, there):
        if layer is None:
            return found, f"{other} isn't here"
        reason = _misfit(layer, here, there)
        if not reason and layer != other:
            reason = f"{other} comes before {layer} there"
        if reason:
            behind = list(here)[len(found) + 1 :]
            if behind:
                verb = "starts" if len(behind) == 1 else "start"
                reason += f"; {', '.join(behind)} behind it {verb} anew"
            return found, reason
        found.append(layer)
    return found, ""


def fill(here: Variables, there: Arrays, layers: Iterable[str]) -> None:
    """Fills layers that fit."""
    for layer in layers:
        for weight, variable in here[layer].items():
            put(variable, there[layer][weight])


def count_weights(here: Variables, layers: Iterable[str]) -> str:
    """Returns how many weights these layers have, and of how many if there are more."""
    number = sum(len(here[layer]) for layer in layers)
    total = sum(map(len, here.values()))
    return f"{number:,}" if number == total else f"{number:,} of {total:,}"


def _misfit(layer: str, here: Variables, there: Arrays) -> str:
    """Returns why a layer that is here can't be filled, or ""."""
    if layer not in there:
        return f"{layer} isn't there"
    own, others = here[layer], there[layer]
    for weight in {**own, **others}:
        if weight not in others:
            return f"{layer}/{weight} isn't there"
        if weight not in own:
            return f"{layer}/{weight} isn't here"
        if tuple(own[weight].shape) != others[weight].shape:
            sizes = _size(others[weight].shape), _size(own[weight].shape)
            return f"{layer}/{weight} is {sizes[0]} there and {sizes[1]} here"
    return ""


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _others(layers: Sequence[keras.Layer], without: Sequence[keras.Layer]) -> list[keras.Layer]:
    return [layer for layer in layers if not any(layer is other for other in without)]


def _layers_in(model: keras.Layer) -> list[keras.Layer]:
    return model.layers if isinstance(model, keras.Model) else [model]


def _by_name(layers: Sequence[keras.Layer]) -> Variables:
    return {
        shown(name): {
            _stable_name(layer, place): variable for place, variable in enumerate(layer.weights)
        }
        for name, layer in zip(_stable_names(layers), layers, strict=True)
    }


def _stable_name(layer: keras.Layer, place: int) -> str:
    """Returns the name of a layer's weight, which may be one of a layer in it."""
    name = layer.weights[place].path.rpartition(f"{layer.name}/")[2]
    # One without a name has from Keras how many variables the process had made before.
    return f"weight_{place}" if re.fullmatch(r"variable(_\d+)?", name) else shown(name)


def _stable_names(layers: Sequence[keras.Layer]) -> list[str]:
    """Returns the layers' names, the same in every process.

    In a name that Keras gave, such as `normalization_3`, the number is that of the layers of this
    kind that a process had made before.
    """
    numbered: dict[str, list[tuple[int, str]]] = {}
    for layer in layers:
        kind, number = re.fullmatch(r"(.*?)(?:_(\d{1,9}))?", layer.name, re.DOTALL).groups("0")
        if kind.replace("_", "") == type(layer).__name__.lower():
            numbered.setdefault(kind, []).append((int(number), layer.name))
    stable = {
        name: f"{kind}_{place}" if place else kind
        for kind, found in numbered.items()
        for place, (_, name) in enumerate(sorted(found))
    }
    return [stable.get(layer.name, layer.name) for layer in layers]
