"""Loads untrusted `.keras` files without running code from them.

A `.keras` file is a zip archive of config.json, the classes and options that Keras instantiates,
and model.weights.h5. Keras' safe mode refuses code in the file. This reader also refuses classes
that load code, tables or models from elsewhere; entries and arrays with false sizes; and networks
that need more memory than their file or images justify.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import keras

from tfface.backbones.activation_size import peak_activation_size, values_per_image
from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE, check_stored, parse_json, suffix_in_lower_case
from tfface.kernels.keras_internals import calls, flatten_layers

# Far more than any network has, and few enough to be checked quickly.
_MAX_OBJECTS = 200_000


def check_published_h5(path: Path) -> None:
    """Checks a file as keras.applications downloads it, before Keras reads it.

    Args:
        path: the file.

    Raises:
        InputError: the file does not exist, is damaged, or of another type.
    """
    where = f"model.backbone.weights: {path}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    try:
        check_weights_h5(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                if "model_config" in file.attrs:
                    raise InputError(
                        f"{where}: it holds a whole model: use it as it is, by model.backbone: "
                        f"{{name: keras_file, path: {path}}}"
                    )
                raise ValueError("it has no list of layers, unlike files of keras.applications")
    except InputError:
        raise
    except DAMAGED_ARCHIVE as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: can't be read as published weights: {reason}") from error


def check_weights_h5(file: Path | BinaryIO, num_bytes: int) -> int:
    """Checks the structure of an HDF5 file of weights; reads no array.

    HDF5 files can refer to data in other files, declare arrays of any size without data, and
    compress a terabyte of zeros. Keras writes none of that.

    Args:
        file: its path, or the open file.
        num_bytes: its size, which all arrays together must not exceed.

    Returns:
        The number of values in its arrays.

    Raises:
        ValueError: the file contains something that Keras does not write.
        files.DAMAGED_ARCHIVE: the errors of h5py for a damaged file.
    """
    with h5py.File(file, "r") as opened:
        num_values, left = 0, num_bytes
        seen = {_address(opened)}
        groups: list[h5py.Group] = [opened]
        while groups:
            group = groups.pop()
            for name in group:
                item = _linked(group, name)
                # Only once: else it could stand for thousands of arrays, or be part of a cycle.
                if _address(item) in seen:
                    raise ValueError(f"contains '{shown(item.name)}' twice, again under this name")
                seen.add(_address(item))
                if len(seen) > _MAX_OBJECTS:
                    raise ValueError(f"contains more than {_MAX_OBJECTS:,} arrays and groups")
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                num_values += _check_array(item)
                left -= item.nbytes
                if left < 0:
                    raise ValueError("its arrays are larger than the file")
        return num_values


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(item.id).addr


def _linked(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    kind = group.get(name, getlink=True)
    path = shown(f"{group.name}/{name}")
    if not isinstance(kind, h5py.HardLink):
        raise ValueError(f"'{path}' is an external link, which Keras never writes")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ValueError(f"'{path}' is a {type(item).__name__}, neither an array nor a group")
    return item


def _check_array(array: h5py.Dataset) -> int:
    """Returns the number of values."""
    path = shown(array.name)
    # Virtual and external datasets are views of other files.
    if array.is_virtual or array.external:
        raise ValueError(f"'{path}' lies in another file, which Keras never writes")
    if array.shape is None or array.dtype.kind not in "fiubV" or array.dtype.fields is not None:
        raise ValueError(f"'{path}' is not an array of numbers")
    if array.chunks is not None:
        raise ValueError(f"'{path}' is chunked or compressed, which Keras never writes")
    claimed, stored = prod(array.shape) * array.dtype.itemsize, array.id.get_storage_size()
    if claimed > stored:
        raise ValueError(f"'{path}' declares {claimed:,} bytes, but {stored:,} are stored")
    return prod(array.shape)


_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
# The largest network here, ResNeXt101, has 0.6 MB.
_MAX_CONFIG_BYTES = 1 << 24
# Of mappings and lists; a nested model adds five levels.
_MAX_DEPTH = 200

# They contain code, run it, or read other files; embedders need none of them.
_CODE = {
    "Lambda": "code",
    "__lambda__": "code",
    "TorchModuleWrapper": "a pickle, which is code",
    "JaxLayer": "code",
    "FlaxLayer": "code",
    "TFSMLayer": "another model, which is a program",
    "StringLookup": "a list from another file",
    "IntegerLookup": "a list from another file",
    "TextVectorization": "a list from another file",
    "FeatureSpace": "parts that read other files",
}
# The modules of Keras with components of networks. Others would be imported by the file.
_MODULES = (
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.models",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.quantizers",
    "keras.regularizers",
    "builtins",
)
_OF_KERAS = ("Sequential", "Functional", "Model", "DTypePolicy", "FloatDTypePolicy")
_SOURCE_MODULES = ("keras.src.applications.", "keras.src.ops.", "keras.src.models.")

# As in recipes.
_MAX_IMAGE_SIZE = 2048
# Values of a layer's output for each value of the image; at most 21 here (VGG16, IResNet).
_MAX_GROWTH = 256
_ALWAYS_ALLOWED = 1 << 20
# For any image size: 0.5 GiB for one layer, as in VGG16 for images of 1448x1448 pixels, and 1.25
# GiB in total, so that an image and its mirror image can be embedded.
_MAX_VALUES = 1 << 27
_MAX_ACTIVATIONS = 5 << 26


def load_keras_file(path: Path) -> keras.Model:
    """Loads an untrusted `.keras` file without running code from it.

    Args:
        path: the file.

    Returns:
        The model, not compiled.

    Raises:
        InputError: it is not a `.keras` file, is damaged, contains or needs code or other files, or
            declares larger arrays than it contains.
    """
    try:
        num_values = _check_file(path)
        with weights_limited(num_values, path), suffix_in_lower_case(path) as known:
            model = keras.saving.load_model(known, compile=False, safe_mode=True)
        check_sizes(path, model)
        return model
    except InputError:
        raise
    # Keras raises errors of many types for damaged archives, unknown layers and wrong options.
    except Exception as error:
        first_line = shown(next(iter(str(error).strip().splitlines()), ""))
        raise InputError(
            f"{path}: can't be loaded as a Keras model ({type(error).__name__}: {first_line})"
        ) from error


def _check_file(path: Path) -> int:
    """Checks the content of the file; returns the number of values in its weights.

    Raises:
        InputError: its content is refused.
        files.DAMAGED_ARCHIVE: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = check_stored(archive, path.stat().st_size)
        for name in entries:
            if name not in (_CONFIG, _WEIGHTS, _METADATA):
                raise InputError(
                    f"{path}: refused: it contains the file '{shown(name)}', which no network needs"
                )
        for name in (_CONFIG, _WEIGHTS):
            if name not in entries:
                raise ValueError(f"it contains no {name}")
        if entries[_CONFIG].file_size > _MAX_CONFIG_BYTES:
            raise ValueError(f"a {_CONFIG} of {entries[_CONFIG].file_size:,} bytes")
        _check_config(path, parse_json(archive.read(_CONFIG)))
        # Reading to the end verifies the checksum, which Keras ignores.
        with archive.open(_WEIGHTS) as file:
            while file.read(1 << 20):
                pass
        with archive.open(_WEIGHTS) as file:
            return check_weights_h5(file, entries[_WEIGHTS].file_size)


def _check_config(path: Path, config: object) -> None:
    """Checks every class that Keras would instantiate."""
    for described in mappings(config):
        name = described.get("class_name")
        if name is None:
            continue
        if not isinstance(name, str):
            raise ValueError("a class_name that is not a string")
        if name in _CODE:
            raise InputError(
                f"{path}: refused: it contains code or needs other files: its layer of the type "
                f"{name} is {_CODE[name]}; code in a model file is never run: build the model from "
                "plain layers"
            )
        module = described.get("module")
        if not _is_known(name, module) and not _is_registered(described):
            raise InputError(
                f"{path}: refused: it asks for '{shown(f'{module}.{name}')}', which is not a "
                "layer of Keras; code in a model file is never run: build the model from plain "
                "layers"
            )


def mappings(config: object) -> Iterator[dict]:
    """Yields all mappings in a description of layers.

    Args:
        config: what JSON said.

    Raises:
        ValueError: they are nested too deep.
    """
    # Not by recursion, whose depth would depend on the file.
    left = [(config, 1)]
    while left:
        value, depth = left.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"its description is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, dict):
            yield value
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, depth + 1) for inner in value]


def _is_known(name: str, module: object) -> bool:
    if module is None:
        # Values such as shapes, and names that Keras looks up in its own tables.
        return True
    if module == "keras":
        return name in _OF_KERAS
    return isinstance(module, str) and (module in _MODULES or module.startswith(_SOURCE_MODULES))


def _is_registered(described: dict) -> bool:
    """Whether the running program has registered the class, so that it is not the file's."""
    name = described.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def check_sizes(path: Path, model: keras.Model) -> None:
    """Checks the sizes of images and activations before the model is run.

    Args:
        path: of its file, for messages.
        model: built, with or without its weights.

    Raises:
        InputError: they are implausibly large.
    """
    layers = flatten_layers(model)
    largest = 0
    for tensor in getattr(model, "inputs", None) or ():
        sizes = [size or 1 for size in tensor.shape[1:]]
        if max(sizes, default=1) > _MAX_IMAGE_SIZE:
            raise InputError(
                f"{path}: refused: it takes {list(tensor.shape)}: images may have at most "
                f"{_MAX_IMAGE_SIZE} pixels in height and width"
            )
        largest += prod(sizes)
    most = min(max(_ALWAYS_ALLOWED, largest * _MAX_GROWTH), _MAX_VALUES)
    for layer in (*layers, *getattr(model, "operations", ())):
        for node in calls(layer):
            for tensor in node.output_tensors:
                size = values_per_image(tensor)
                if size > most:
                    raise InputError(
                        f"{path}: refused: its layer {layer.name} outputs {size:,} values for each "
                        f"image; at most {most:,} are plausible"
                    )
    activations = peak_activation_size(model)
    if activations > _MAX_ACTIVATIONS:
        raise InputError(
            f"{path}: refused: its layers need {activations:,} values in memory for each image; at "
            f"most {_MAX_ACTIVATIONS:,} are plausible"
        )


# 64 MiB of float32: what any process can spare. A network of this size needs no file to vouch
# for it.
_SPARE_WEIGHTS = 1 << 24


@contextmanager
def weights_limited(num_values: int, where: object) -> Iterator[None]:
    """Lets layers that are built in the block have so many weights together, and no more.

    Keras makes each weight as soon as a layer is built, so a description of a few bytes could ask
    for terabytes. Weights that are in the file are on the disk already; others aren't needed.

    Args:
        num_values: numbers that the file holds; 16 million are allowed at any rate.
        where: the file, for the message.
    Raises InputError: a layer wants more; nothing has been allocated for it.
    """
    left = max(num_values, _SPARE_WEIGHTS)
    add_weight = keras.Layer.add_weight

    def add_within_limit(
        layer: keras.Layer, shape: object = None, *arguments: Any, **options: Any
    ) -> Any:
        nonlocal left
        size = prod(_sizes(shape))
        left -= size
        if left < 0:
            raise InputError(
                f"{where}: refused: its layer {layer.name} wants a weight of {size:,} numbers, and "
                f"the file holds {num_values:,} in all"
            )
        return add_weight(layer, shape, *arguments, **options)

    keras.Layer.add_weight = add_within_limit
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight


def _sizes(shape: object) -> tuple[int, ...]:
    """The axes of a weight's shape, as `add_weight` takes it; what is none counts for nothing, as
    Keras refuses it."""
    if isinstance(shape, int):
        return (shape,)
    if not isinstance(shape, list | tuple):
        return ()
    return tuple(size if isinstance(size, int) else 0 for size in shape)
