"""What these tests use of the package, so that its modules can move: nothing else here imports it.

Tools are called as a user calls them, but within this process.
"""

import contextlib
import hashlib
import importlib
import io
from pathlib import Path

import numpy as np

# Puts the tools on the path where pytest hasn't.
import tests.conftest  # noqa: F401
from tfface import __version__
from tfface.errors import InputError

__all__ = [
    "InputError",
    "__version__",
    "backend",
    "dataset_content",
    "draw_face",
    "embed",
    "said",
    "weights",
]


def said(tool: str, *arguments: object) -> str:
    """Runs `tools/TOOL.py` with the arguments; returns what it prints.

    Raises InputError: what the tool ends with when its input is bad.
    """
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        importlib.import_module(tool).main([str(argument) for argument in arguments])
    return written.getvalue()


def backend() -> str:
    """Returns what Keras runs on: tensorflow or jax."""
    import keras

    return keras.backend.backend()


def dataset_content(folder: Path) -> dict[str, object]:
    """Returns all that a dataset folder holds, images by their SHA-256, in the order of the files.

    Attributes are given by name, as the texts of all images.
    """
    from tfface.data.sources.opening import open_source

    source = open_source(str(folder)).source
    return {
        "num_images": source.num_images,
        "identities": [[identity.name, identity.source] for identity in source.identities],
        "labels": source.labels.tolist(),
        "attributes": {name: source.attribute(name).tolist() for name in source.attribute_names},
        "images": [
            hashlib.sha256(source.read(index).encoded).hexdigest()
            for index in range(source.num_images)
        ],
    }


def embed(model: Path, images: np.ndarray) -> np.ndarray:
    """Returns what a model's embeddings of uint8 images are: float32 [n, embedding_size]."""
    from tfface.evaluation.embedders.embedder import load_embedder

    return load_embedder(str(model)).embed(images)


def weights(run: Path, *, trainable_only: bool = False) -> list[np.ndarray]:
    """Returns the weights of a finished run's embedder and of its head."""
    from tfface.backbones.weights.keras_file import load_keras_file
    from tfface.heads.head_file import load_head

    embedder = load_keras_file(run / "model.keras")
    head = load_head(run / "head.npz").head
    of_embedder = embedder.trainable_weights if trainable_only else embedder.weights
    return [np.array(weight) for weight in (*of_embedder, *head.trainable_weights)]


def draw_face(size: int) -> np.ndarray:
    """Returns a drawn face, uint8 [size, size, 3]: nobody's, and found by the face detector."""
    from tfface.synthetic import render_face

    return render_face(0, 0, size)
