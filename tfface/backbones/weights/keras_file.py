"""Loading `.keras` files, which may come from anybody: no code of theirs is run.

A `.keras` file is a zip of config.json, which says which classes Keras is to make with which
options, and model.weights.h5. Keras' safe mode refuses code that lies in the file. This reader
refuses besides: classes that fetch code, tables or models from elsewhere; entries and arrays that
aren't what they claim; and networks that want more memory than their file or their images vouch
for.
"""

import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO

import h5py
import keras

from tfface.backbones.activation_size import output_size, peak_activation_size
from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE, check_stored, parse_json, suffix_in_lower_case
from tfface.weight_limit import weights_limited

# Far more than the layers of any network, and far fewer than would take long.
_MOST_OBJECTS = 200_000


def check_published_h5(path: Path) -> None:
    """Checks a file of the kind that keras.applications downloads, before Keras reads it.

    Raises:
        InputError: there is no such file, or it is damaged or of another kind.
    """
    where = f"model.backbone.weights: {path}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    try:
        check_weights_h5(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise ValueError("it has no list of layers, as the files of keras.applications do")
    except DAMAGED_ARCHIVE as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: can't be read as published weights: {reason}") from error


def check_weights_h5(file: Path | BinaryIO, num_bytes: int) -> int:
    """Walks through the file and reads no array.

    Args:
        file: its path, or it, opened.
        num_bytes: its size; all arrays together must not be larger.

    Returns:
        How many numbers its arrays hold.

    Raises:
        ValueError: there's something in it that Keras doesn't write (the message says what); and
            what h5py raises of a damaged file (one of `files.DAMAGED_ARCHIVE`).
    """
    with h5py.File(file, "r") as opened:
        num_values, left = 0, num_bytes
        seen = {_address(opened)}
        groups: list[h5py.Group] = [opened]
        while groups:
            group = groups.pop()
            for name in group:
                item = _linked(group, name)
                # Once, or it could stand for thousands of arrays, or for a ring without end.
                if _address(item) in seen:
                    raise ValueError(f"holds '{shown(item.name)}' a second time, under this name")
                seen.add(_address(item))
                if len(seen) > _MOST_OBJECTS:
                    raise ValueError(f"holds more than {_MOST_OBJECTS:,} arrays and groups")
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                num_values += _check_array(item)
                left -= item.nbytes
                if left < 0:
                    raise ValueError("its arrays claim more than the file's size")
        return num_values


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(item.id).addr


def _linked(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    kind = group.get(name, getlink=True)
    place = shown(f"{group.name}/{name}")
    if not isinstance(kind, h5py.HardLink):
        raise ValueError(f"'{place}' is a link to elsewhere, which Keras never writes")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ValueError(f"'{place}' is a {type(item).__name__}, neither an array nor a group")
    return item


def _check_array(array: h5py.Dataset) -> int:
    """Returns how many numbers it holds."""
    place = shown(array.name)
    # Of which arrays of other files are made.
    if array.is_virtual or array.external:
        raise ValueError(f"'{place}' lies in another file, which Keras never writes")
    if array.shape is None or array.dtype.kind not in "fiubV" or array.dtype.fields is not None:
        raise ValueError(f"'{place}' is no array of numbers")
    if array.chunks is not None:
        raise ValueError(f"'{place}' is in pieces or compressed, which Keras never writes")
    claimed, stored = prod(array.shape) * array.dtype.itemsize, array.id.get_storage_size()
    if claimed > stored:
        raise ValueError(f"'{place}' claims {claimed:,} bytes, and {stored:,} are there")
    return prod(array.shape)


_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
# That of the largest network here, ResNeXt101, has 0.6 MB.
_MOST_CONFIG_BYTES = 1 << 24
# Of mappings and lists in each other; a model in a model is five deeper.
_MOST_DEEP = 200

# Hold code or run it, or read other files; a network that embeds images needs none of them.
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
# Where Keras keeps what networks are made of. Any other module would be imported by the file.
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

# As wide as recipes allow.
_LARGEST_IMAGE = 2048
# What a layer may give, in numbers for each of the image's; 21 is the most here (VGG16, IResNet).
_MOST_GROWTH = 256
_ALWAYS_GIVEN = 1 << 20
# Whatever the image's size: 0.5 GiB of one layer, as of VGG16 for images of 1448 pixels each way,
# and 1.25 GiB at a time, so that an image and its mirrored copy can be embedded.
_MOST_GIVEN = 1 << 27
_MOST_AT_A_TIME = 5 << 26


def load_keras_file(path: Path) -> keras.Model:
    """Loads a `.keras` file without running code of it.

    Raises:
        InputError: it isn't a `.keras` file, is damaged, holds or needs code or other files, or
            claims more than it holds.
    """
    try:
        num_values = _check_file(path)
        with weights_limited(num_values, path), suffix_in_lower_case(path) as known:
            model = keras.saving.load_model(known, compile=False, safe_mode=True)
        _check_sizes(path, model)
        return model
    except InputError:
        raise
    # Keras has no error of its own: a damaged archive, an unknown layer and a wrong option all
    # come as what the parts below it raise.
    except Exception as error:
        first_line = shown(next(iter(str(error).strip().splitlines()), ""))
        raise InputError(
            f"{path}: can't be loaded as a Keras model ({type(error).__name__}: {first_line})"
        ) from error


def _check_file(path: Path) -> int:
    """Returns how many numbers the file's weights have.

    Raises:
        InputError: what it holds is refused. Raises one of files.DAMAGED_ARCHIVE: it's damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = check_stored(archive, path.stat().st_size)
        for name in entries:
            if name not in (_CONFIG, _WEIGHTS, _METADATA):
                raise InputError(
                    f"{path}: refused: it holds the file '{shown(name)}', which no network of "
                    "images needs"
                )
        for name in (_CONFIG, _WEIGHTS):
            if name not in entries:
                raise ValueError(f"it holds no {name}")
        if entries[_CONFIG].file_size > _MOST_CONFIG_BYTES:
            raise ValueError(f"a {_CONFIG} of {entries[_CONFIG].file_size:,} bytes")
        _check_config(path, parse_json(archive.read(_CONFIG)))
        # To the end, where its checksum is looked at; of a wrong one Keras would take what it gets.
        with archive.open(_WEIGHTS) as file:
            while file.read(1 << 20):
                pass
        with archive.open(_WEIGHTS) as file:
            return check_weights_h5(file, entries[_WEIGHTS].file_size)


def _check_config(path: Path, config: object) -> None:
    """Looks at every class that Keras would make."""
    for described in _mappings(config):
        name = described.get("class_name")
        if name is None:
            continue
        if not isinstance(name, str):
            raise ValueError("a class_name that is no text")
        if name in _CODE:
            raise InputError(
                f"{path}: refused: it holds code or needs what isn't in it: its layer of the kind "
                f"{name} is {_CODE[name]}; code of a model file is never run: build the model from "
                "plain layers"
            )
        module = described.get("module")
        if not _is_known(name, module) and not _is_registered(described):
            raise InputError(
                f"{path}: refused: it asks for '{shown(f'{module}.{name}')}', which is no layer "
                "of Keras; code of a model file is never run: build the model from plain layers"
            )


def _mappings(config: object) -> Iterator[dict]:
    """Yields all mappings. Raises ValueError: they are in each other without end."""
    # Not by recursion, whose depth the file would decide.
    left = [(config, 1)]
    while left:
        value, depth = left.pop()
        if depth > _MOST_DEEP:
            raise ValueError(f"its {_CONFIG} is nested more than {_MOST_DEEP} deep")
        if isinstance(value, dict):
            yield value
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, depth + 1) for inner in value]


def _is_known(name: str, module: object) -> bool:
    if module is None:
        # Values such as tensors' shapes, and what Keras looks up in its own tables.
        return True
    if module == "keras":
        return name in _OF_KERAS
    return isinstance(module, str) and (module in _MODULES or module.startswith(_SOURCE_MODULES))


def _is_registered(described: dict) -> bool:
    """Whether the program that runs has made the class known itself: then it isn't the file's."""
    name = described.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _check_sizes(path: Path, model: keras.Model) -> None:
    """Looks at what the network would take and give, before it is run.

    Raises:
        InputError: images, or what a layer makes of one, are absurdly large.
    """
    layers = model._flatten_layers()
    largest = 0
    for tensor in getattr(model, "inputs", None) or ():
        sizes = [size or 1 for size in tensor.shape[1:]]
        if max(sizes, default=1) > _LARGEST_IMAGE:
            raise InputError(
                f"{path}: refused: it takes {list(tensor.shape)}: images may be "
                f"{_LARGEST_IMAGE} pixels high and wide"
            )
        largest += prod(sizes)
    most = min(max(_ALWAYS_GIVEN, largest * _MOST_GROWTH), _MOST_GIVEN)
    for layer in (*layers, *getattr(model, "operations", ())):
        for node in layer._inbound_nodes:
            for tensor in node.output_tensors:
                size = output_size(tensor)
                if size > most:
                    raise InputError(
                        f"{path}: refused: its layer {layer.name} makes {size:,} numbers of each "
                        f"image; at most {most:,} are plausible"
                    )
    at_a_time = peak_activation_size(model)
    if at_a_time > _MOST_AT_A_TIME:
        raise InputError(
            f"{path}: refused: its layers hold {at_a_time:,} numbers of each image at a time; at "
            f"most {_MOST_AT_A_TIME:,} are plausible"
        )
