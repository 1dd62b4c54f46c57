"""Whole models that Keras 2 has saved as `.h5`: the description of their layers, and arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.backbones.weights.keras_file import (
    check_sizes,
    check_weights_h5,
    mappings,
    weights_limited,
)
from tfface.backbones.weights.legacy_layers import LegacyGraph, UnknownLayerError
from tfface.errors import InputError, note, shown
from tfface.files import parse_json
from tfface.kernels.keras_internals import flatten_layers

SUFFIXES = (".h5", ".hdf5")

# Description of the model, and the group of its arrays.
_CONFIG, _ARRAYS = "model_config", "model_weights"
_MAX_CONFIG_BYTES = 1 << 24
# Class and name of a weight in Keras 3 -> its name in Keras 2, where they differ.
_LEAVES = {(keras.layers.DepthwiseConv2D, "kernel"): "depthwise_kernel"}


def load_legacy_h5(path: Path) -> keras.Model:
    """Loads an untrusted model that Keras 2 has saved as `.h5`; no code can be in it.

    Last layers that are no part of an embedder, a classifier's or those of another package, are
    left out, and a note says so. All is computed in float32.

    Args:
        path: the file.

    Returns:
        The model, not compiled.

    Raises:
        InputError: the file is damaged or holds something else, its network has layers that are not
            plain layers of Keras, or it declares larger arrays than it contains.
    """
    try:
        num_values = check_weights_h5(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            config = _read_config(path, file)
            with weights_limited(num_values, path):
                graph = LegacyGraph(config)
                output, left_out = _embedding(path, graph)
                model = graph.model(output, "network")
            check_sizes(path, model)
            for name, layer in graph.made.items():
                _fill(path, file[_ARRAYS], name, layer)
        use_weights(model)
    except UnknownLayerError as error:
        raise InputError(f"{path}: refused: {error}") from error
    except InputError:
        raise
    # Keras raises errors of many types for wrong options of layers, and h5py for damaged files.
    except Exception as error:
        first_line = shown(next(iter(str(error).strip().splitlines()), ""))
        raise InputError(
            f"{path}: can't be loaded as a model of Keras 2 ({type(error).__name__}: {first_line})"
        ) from error
    if left_out:
        note(f"{path}: left out behind its embedding: {', '.join(left_out)}")
    return model


def _read_config(path: Path, file: h5py.File) -> dict[str, Any]:
    """Returns the description of the layers. Raises InputError: there is none of Keras 2."""
    if _CONFIG not in file.attrs:
        names = [shown(name) for name in list(file)[:3]]
        raise InputError(
            f"{path}: holds no model but weights alone ({len(file)} groups: {', '.join(names)}, "
            "...): save the model as a whole, by model.save"
        )
    version = _text(path, file, "keras_version") if "keras_version" in file.attrs else ""
    if version.startswith("3"):
        raise InputError(f"{path}: a model of Keras {shown(version)}: save it as .keras")
    described = parse_json(_text(path, file, _CONFIG))
    # Reads all, and so notices what is nested too deep.
    list(mappings(described))
    config = described["config"]
    # The first Keras 2 wrote the layers of a Sequential without a name for it.
    return {"layers": config} if isinstance(config, list) else config


def _text(path: Path, file: h5py.File, name: str) -> str:
    attribute = file.attrs.get_id(name)
    if attribute.shape != () or attribute.get_storage_size() > path.stat().st_size:
        raise ValueError(f"its {name} is not a text")
    text = file.attrs[name]
    if not isinstance(text, bytes | str) or len(text) > _MAX_CONFIG_BYTES:
        raise ValueError(f"its {name} is not a text of at most {_MAX_CONFIG_BYTES:,} characters")
    return text.decode() if isinstance(text, bytes) else text


def _embedding(path: Path, graph: LegacyGraph) -> tuple[Any, list[str]]:
    """Returns the output that is the embedding, and the layers behind it that are left out."""
    found, left_out = {}, []
    for output in graph.outputs:
        name = output[0]
        while graph.is_head(name):
            left_out.append(f"{shown(name)} ({shown(graph.kind(name))})")
            sources = graph.sources(name, output[1])
            if len(sources) != 1 or len(left_out) > len(graph.layers):
                raise UnknownLayerError(
                    f"its last layer {shown(name)} is a {shown(graph.kind(name))}"
                )
            output = sources[0]
            name = output[0]
        found[name] = output
    if len(found) != 1:
        raise InputError(
            f"{path}: refused: it has {len(found)} outputs ({', '.join(map(shown, found))}): save "
            "a model of the embedding alone"
        )
    return graph.output(*found.values()), left_out


def _fill(path: Path, arrays: h5py.Group, name: str, layer: keras.Layer) -> None:
    """Assigns the arrays of a layer, or of all layers in an inner model."""
    if not layer.weights:
        return
    group = arrays.get(name)
    if not isinstance(group, h5py.Group):
        raise InputError(f"{path}: holds no weights of its layer {shown(name)}")
    # A name with a slash has become one with a _ in the network.
    stored = {key.replace("/", "_"): array for key, array in _arrays_in(group)}
    for inner in flatten_layers(layer) if isinstance(layer, keras.Model) else [layer]:
        if isinstance(inner, keras.Model):
            continue
        for variable in inner.weights:
            leaf = _LEAVES.get((type(inner), variable.name), variable.name)
            array = _find(stored, inner.name, leaf, is_alone=inner is layer)
            if array is None or array.shape != tuple(variable.shape):
                held = "none" if array is None else f"one of {list(array.shape)}"
                raise InputError(
                    f"{path}: for its layer {shown(inner.name)} a {leaf} of "
                    f"{list(variable.shape)} is needed, and it holds {held}"
                )
            variable.assign(np.asarray(array[()], np.float32))


def _arrays_in(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields the arrays in a group at any depth, with their names in it."""
    left = [("", group)]
    while left:
        prefix, item = left.pop()
        if isinstance(item, h5py.Dataset):
            yield prefix[1:], item
        else:
            left += [(f"{prefix}/{name}", item[name]) for name in item]


def _find(
    stored: dict[str, h5py.Dataset], layer: str, leaf: str, *, is_alone: bool
) -> h5py.Dataset | None:
    """Returns the array of a weight; a layer alone in its group may have had another name."""
    exact = f"{layer}_{leaf}:0"
    if exact in stored:
        return stored[exact]
    ends = [f"_{exact}", *([f"_{leaf}:0"] if is_alone else [])]
    for end in ends:
        found = [array for key, array in stored.items() if f"_{key}".endswith(end)]
        if len(found) == 1:
            return found[0]
    return None
