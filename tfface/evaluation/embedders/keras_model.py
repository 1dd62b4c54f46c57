"""A Keras model as an embedder."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfface.backbones.activation_size import peak_activation_size
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.errors import InputError
from tfface.evaluation.embedders.options import (
    EmbedderOptions,
    fingerprint,
    hash_arrays,
    hash_files,
)

# Numbers that the layers hold at a time, 2.5 GiB; VGG16 holds 6.4 million of each image.
_MOST_AT_A_TIME = 5 << 27

# What a run folder calls its embedder.
MODEL_FILE = "model.keras"


class KerasEmbedder:
    """Embeds images with a Keras model, on any Keras backend.

    The sum of the embeddings of an image and of its mirrored copy is computed in one compiled pass.
    Every pass has the same shape (the last one is filled up), so that it's compiled once.

    Args:
        model: takes float32 RGB [batch, height, width, 3] of 0..255 (whatever normalisation it
            needs is inside) and returns [batch, embedding_size].
        name: what tables and messages call it.
        batch_size: images of one pass; their mirrored copies come on top. Of a model of a file it
            is less where its layers need too much memory for so many.
        flip: sum the embeddings of the image and of its mirrored copy.
        path: the file that the model was loaded from, if it was.

    Attributes:
        image_size: (height, width) that the model takes, from its input shape.

    Raises:
        InputError: the model's input is not images of one fixed size, or its output is not one
            vector for each image.
    """

    keeps_aspect = False

    def __init__(
        self,
        model: keras.Model,
        name: str,
        batch_size: int = 64,
        flip: bool = True,
        path: Path | None = None,
    ):
        self.name = name
        self.batch_size = batch_size
        if path:
            # Of a large network, as many images as there may be memory for.
            of_one = peak_activation_size(model) * (2 if flip else 1)
            self.batch_size = max(1, min(batch_size, _MOST_AT_A_TIME // max(1, of_one)))
        self.image_size = _image_size(model, name)
        self._embedding = _Embedding(model, flip)
        self._path = path

    @property
    def fingerprint(self) -> str:
        model = self._embedding.model
        # The weights of a model that is being trained change.
        if self._path:
            content = hash_files(self._path)
        else:
            content = (model.to_json(), hash_arrays(model.get_weights()))
        return fingerprint(content, self.image_size, self._embedding.flip)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns embeddings, flip-summed unless told otherwise: float32 [n, embedding_size].

        Args:
            images: uint8 [n, height, width, 3], RGB.
        """
        embeddings = []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            missing = self.batch_size - len(batch)
            filled = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            embeddings.append(self._run(filled)[: len(batch)])
        return np.concatenate(embeddings)

    def _run(self, images: np.ndarray) -> np.ndarray:
        if self._path is None:
            return self._embedding.predict_on_batch(images)
        try:
            return self._embedding.predict_on_batch(images)
        # Whatever the backend raises of a network that doesn't fit together, or into the memory.
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "")[:200]
            raise InputError(
                f"{self._path}: the model fails on {len(images)} images "
                f"({type(error).__name__}: {reason})"
            ) from error


class _Embedding(keras.Model):
    """model(images), and with `flip` + model(mirrored images), as one model that Keras compiles."""

    def __init__(self, model: keras.Model, flip: bool):
        super().__init__(name="embedding")
        self.model = model
        self.flip = flip

    def call(self, images):
        images = ops.cast(images, "float32")
        if not self.flip:
            return ops.cast(self.model(images, training=False), "float32")
        both = ops.concatenate([images, ops.flip(images, axis=2)], axis=0)
        straight, mirrored = ops.split(self.model(both, training=False), 2, axis=0)
        # Half precision would round the sum.
        return ops.cast(straight, "float32") + ops.cast(mirrored, "float32")


def load_keras_embedder(model: str, options: EmbedderOptions) -> KerasEmbedder | None:
    """Returns the embedder of a run folder or a `.keras` file; None if `model` is neither."""
    path = Path(model)
    if path.suffix.lower() == ".keras":
        name = path.stem
    elif (path / MODEL_FILE).exists():
        # "runs/today/." has no name of its own until it's resolved.
        path, name = path / MODEL_FILE, path.resolve().name
    else:
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    options.check_native(model)
    return KerasEmbedder(load_keras_file(path), name, options.batch_size, options.flip, path)


def _image_size(model: keras.Model, name: str) -> tuple[int, int]:
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3 or None in shapes[0][1:3]:
        raise InputError(
            f"{name}: the model takes {shapes}: expected one input of RGB images of a fixed size, "
            "[(None, height, width, 3)]"
        )
    outputs = [tuple(tensor.shape) for tensor in model.outputs]
    if len(outputs) != 1 or len(outputs[0]) != 2:
        raise InputError(
            f"{name}: the model returns {outputs}: expected one embedding for each image, "
            "[(None, embedding_size)]"
        )
    return shapes[0][1:3]
