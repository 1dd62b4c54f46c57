"""A trained head in a file: with it and the embedder, a run can classify.

The file is an `.npz` archive without pickles: `description`, JSON text with the head's name in
HEADS, its options and sizes, and its trainable weights as `weights/000`, `weights/001`, ... The
state that a head keeps for training is in the run's checkpoints.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfface.backbones.weights.keras_file import weights_limited
from tfface.files import parse_json, replacing
from tfface.heads import HEADS
from tfface.heads.head import Head
from tfface.npz_file import reading_npz
from tfface.recipe.renamed import rename_options
from tfface.registry import build_from_config, options_schema

# What a run folder calls it.
HEAD_FILE = "head.npz"

_WEIGHTS = "weights/"


def save_head(
    path: Path,
    head: Head,
    *,
    name: str,
    options: Mapping[str, Any],
    num_identities: int,
    embedding_size: int,
    weights: Sequence[np.ndarray] | None = None,
) -> None:
    """Writes a head atomically.

    Args:
        path: the file to write.
        head: built.
        name, options: the head's name and options in the recipe.
        num_identities, embedding_size: the sizes it was built for.
        weights: values of its trainable weights, if they differ from those it holds, as on devices
            that share them.
    Raises InputError: the file can't be written.

    Example:
        >>> import pathlib, tempfile
        >>> from tfface.heads import ArcFace
        >>> from tfface.heads.head_file import load_head, save_head
        >>> head = ArcFace(scale=30.0, num_identities=3)
        >>> head.build((None, 8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "head.npz")
        ...     sizes = {"num_identities": 3, "embedding_size": 8}
        ...     save_head(path, head, name="arcface", options={"scale": 30.0}, **sizes)
        ...     load_head(path).head.scale
        30.0
    """
    description = {
        "name": name,
        "options": dict(options),
        "num_identities": num_identities,
        "embedding_size": embedding_size,
    }
    if weights is None:
        weights = [ops.convert_to_numpy(weight) for weight in head.trainable_weights]
    arrays: dict[str, Any] = {f"{_WEIGHTS}{i:03d}": array for i, array in enumerate(weights)}
    with replacing(path) as temporary:
        np.savez(temporary, description=np.array(json.dumps(description, default=str)), **arrays)


class TrainedHead(NamedTuple):
    """A head with its weights.

    Attributes:
        head: built, with its weights.
        num_identities: number of its classes.
        embedding_size: size of the embeddings it takes.
    """

    head: Head
    num_identities: int
    embedding_size: int


def load_head(path: Path) -> TrainedHead:
    """Builds the head of a file that `save_head` wrote; no code of the file is run.

    Raises InputError: the file can't be read, is damaged, or names an unknown head.
    """
    with reading_npz(path, "can't be read as the head of a run") as file:
        keys = sorted(key for key in file if key.startswith(_WEIGHTS))
        weights = [file[key] for key in keys]
        with weights_limited(sum(array.size for array in weights), path):
            return _build(parse_json(str(file["description"])), weights)


def _build(description: Mapping[str, Any], weights: list[np.ndarray]) -> TrainedHead:
    name, num_identities, embedding_size = (
        description[key] for key in ("name", "num_identities", "embedding_size")
    )
    for size in (num_identities, embedding_size):
        if type(size) is not int or not 0 < size < 2**31:
            raise ValueError(f"{str(size)[:20]} is no number of identities or of an embedding")
    if name not in HEADS:
        raise ValueError(f"the kind of head '{name}' is not known; {', '.join(HEADS)} are")
    options = options_schema(HEADS[name]).model_validate(
        rename_options("head", description["options"])
    )
    known = {"num_identities": num_identities, "steps_per_epoch": None}
    head = build_from_config(HEADS[name], dict(options), Path(), **known)
    head.build((None, embedding_size))
    # Keras refuses an array of another shape.
    for weight, array in zip(head.trainable_weights, weights, strict=True):
        weight.assign(array)
    return TrainedHead(head, num_identities, embedding_size)
