"""Stable keys of a model's and its optimizer's variables, by which checkpoints hold them.

A key is the variable's `path`, as Keras gives it, with two changes:

- Names that Keras makes from counters, such as `dense_7`, depend on what a process has built
  before. They are numbered anew in each model: `dense`, `dense_1`, ...
- A slot of the optimizer, such as a momentum, has the key of its variable and the slot's name.

    model/head/centers/class_centers
    optimizer/head/centers/class_centers/momentum
"""

import re
from collections import Counter
from collections.abc import Iterable

import keras

from tfface.kernels.keras_internals import flatten_layers

MODEL, OPTIMIZER = "model/", "optimizer/"

# What else than a layer may have a name from a counter: the owner of a random state, and a variable
# without a name.
_NUMBERED = ("seed_generator", "variable")


def model_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of a model but those of metrics, random states included, by key.

    Example:
        >>> import keras
        >>> from tfface.training.variable_keys import model_keys
        >>> keras.layers.Dense(1).name != keras.layers.Dense(1).name
        True
        >>> layers = [keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(3)]
        >>> list(model_keys(keras.Sequential(layers)))[::2]
        ['model/sequential/dense/kernel', 'model/sequential/dense_1/kernel']
    """
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [variable for variable in model.variables if id(variable) not in metrics]
    names = {_snake_case(type(layer).__name__) for layer in flatten_layers(model)}
    paths = _renumbered([variable.path for variable in variables], {*names, *_NUMBERED})
    keys = _distinct(f"{MODEL}{path}" for path in paths)
    return dict(zip(keys, variables, strict=True))


def optimizer_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of a compiled model's optimizer by key."""
    # Keras names a slot after the path of its variable; several paths may give one name.
    owners: dict[str, list[str]] = {}
    for key, variable in model_keys(model).items():
        name = variable.path.replace("/", "_")
        owners.setdefault(name, []).append(key.removeprefix(MODEL))
    variables = model.optimizer.variables
    seen: Counter[str] = Counter()
    keys = []
    for variable in variables:
        owner, slot = _split_slot(variable.name, owners)
        if owner:
            # Of variables with one name, slots are in the order of the variables.
            of_owner = owners[owner][seen[variable.name] % len(owners[owner])]
            seen[variable.name] += 1
            keys.append(f"{OPTIMIZER}{of_owner}/{slot}")
        else:
            keys.append(f"{OPTIMIZER}{slot}")
    return dict(zip(_distinct(keys), variables, strict=True))


def _split_slot(name: str, owners: dict[str, list[str]]) -> tuple[str, str]:
    """Returns the longest of the owners' names that a slot's name begins with, and the rest."""
    for match in reversed([*re.finditer("_", name)]):
        if name[: match.start()] in owners:
            return name[: match.start()], name[match.end() :]
    return "", name


def _renumbered(paths: Iterable[str], numbered: set[str]) -> list[str]:
    """Replaces counters in paths by counts from 0 within the same parent.

    Args:
        paths: in the order in which the model has its variables.
        numbered: names that may be followed by a counter.
    """
    # Part of a path, up to a "/" -> its new name.
    renamed: dict[str, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    results = []
    for path in paths:
        parent, parts = "", []
        for part in path.split("/"):
            place = f"{parent}{part}/"
            base = re.sub(r"_\d+$", "", part)
            if place not in renamed:
                renamed[place] = part
                if base in numbered:
                    count = counts[parent, base]
                    counts[parent, base] += 1
                    renamed[place] = f"{base}_{count}" if count else base
            parts.append(renamed[place])
            parent = place
        results.append("/".join(parts))
    return results


def _distinct(keys: Iterable[str]) -> list[str]:
    """Adds a number to the second and later of equal keys."""
    counts: Counter[str] = Counter()
    results = []
    for key in keys:
        results.append(f"{key}#{counts[key]}" if counts[key] else key)
        counts[key] += 1
    return results


def _snake_case(name: str) -> str:
    """Returns the name that Keras gives to a layer of a class: Conv2D -> conv2d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
