"""A Keras model as an embedder."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfface.arguments import EMBED_BATCH_SIZE
from tfface.backbones.activation_size import peak_activation_size
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.errors import InputError
from tfface.evaluation.embedders.options import (
    EmbedderOptions,
    fingerprint,
    hash_arrays,
    hash_files,
)

# Peak number of activations in a batch, 2.5 GiB; VGG16 has 6.4 million for each image.
_MAX_ACTIVATIONS = 5 << 27

# The embedder's file in a run folder.
MODEL_FILE = "model.keras"


def fitting_batch_size(network: keras.Model, wanted: int, *, flip: bool) -> int:
    """Returns how many images a network of a file embeds at a time, so that memory suffices.

    Args:
        network: the network.
        wanted: the largest number of images, 1 or more.
        flip: whether each image is embedded together with its mirror image.
    """
    each = peak_activation_size(network) * (2 if flip else 1)
    return max(1, min(wanted, _MAX_ACTIVATIONS // max(1, each)))


class KerasEmbedder:
    """Embeds images with a Keras model, on any Keras backend.

    The embeddings of an image and of its mirror image are computed and summed in one compiled
    forward pass. Every batch is padded to the same size, so the function is compiled once.

    Args:
        model: maps float32 RGB [batch, height, width, 3] in 0..255 to [batch, embedding_size]; it
            contains its input normalization.
        name: for tables and messages.
        batch_size: images for each forward pass, besides their mirror images. It is reduced for a
            model of a file whose activations would need too much memory.
        flip: sum the embeddings of the image and of its mirror image.
        path: the file that the model was loaded from, if any.

    Attributes:
        image_size: (height, width) that the model takes, from its input shape.

    Raises:
        InputError: the model's input is not images of a fixed size, or its output is not one
            vector for each image.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> embedder = KerasEmbedder(model, "flat")
        >>> embedder.embed(np.ones((2, 8, 8, 3), np.uint8)).shape
        (2, 192)
    """

    keeps_aspect = False
    settle = None

    def __init__(
        self,
        model: keras.Model,
        name: str,
        batch_size: int = EMBED_BATCH_SIZE,
        flip: bool = True,
        path: Path | None = None,
    ):
        self.name = name
        self.batch_size = batch_size
        if path:
            self.batch_size = fitting_batch_size(model, batch_size, flip=flip)
        self.image_size = _image_size(model, name)
        self._embedding = _Embedding(model, flip)
        self._path = path

    @property
    def model(self) -> keras.Model:
        """The network, without flip."""
        return self._embedding.model

    @property
    def fingerprint(self) -> str:
        model = self._embedding.model
        # A model in memory may be in training, so its weights are hashed each time.
        if self._path:
            content = hash_files(self._path)
        else:
            content = (model.to_json(), hash_arrays(model.get_weights()))
        return fingerprint(content, self.image_size, self._embedding.flip)

    def with_batch_size(self, batch_size: int) -> "KerasEmbedder":
        """Returns an embedder of the same model with another batch size.

        A single image takes as long as a whole batch, because every batch is padded to it.
        """
        model, flip = self._embedding.model, self._embedding.flip
        return KerasEmbedder(model, self.name, batch_size, flip, self._path)

    def of_kind(self, kind: type["KerasEmbedder"]) -> "KerasEmbedder":
        """Returns an embedder of a subclass, of the same model with the same options."""
        model, flip = self._embedding.model, self._embedding.flip
        return kind(model, self.name, self.batch_size, flip, self._path)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, embedding_size].

        Raises:
            InputError: the model of a file can't be run.
        """
        embeddings = []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            missing = self.batch_size - len(batch)
            padded = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            embeddings.append(self._run(padded)[: len(batch)])
        return np.concatenate(embeddings)

    def _run(self, images: np.ndarray) -> np.ndarray:
        if self._path is None:
            return self._predict(images)
        try:
            return self._predict(images)
        # Backends raise errors of many types for inconsistent networks, and for too large ones.
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "")[:200]
            raise InputError(
                f"{self._path}: the model fails on {len(images)} images "
                f"({type(error).__name__}: {reason})"
            ) from error

    def _predict(self, images: np.ndarray) -> np.ndarray:
        return self._embedding.predict_on_batch(images)


class _Embedding(keras.Model):
    """Computes model(images), with `flip` plus model(mirrored images), in one compiled model."""

    def __init__(self, model: keras.Model, flip: bool):
        super().__init__(name="embedding")
        self.model = model
        self.flip = flip

    def call(self, images):
        images = ops.cast(images, "float32")
        if not self.flip:
            return ops.cast(self.model(images, training=False), "float32")
        both = ops.concatenate([images, ops.flip(images, axis=2)], axis=0)
        original, mirrored = ops.split(self.model(both, training=False), 2, axis=0)
        # A sum in half precision would be rounded.
        return ops.cast(original, "float32") + ops.cast(mirrored, "float32")


def load_keras_embedder(model: str, options: EmbedderOptions) -> KerasEmbedder | None:
    """Returns the embedder of a run folder or a `.keras` file; None if `model` is neither."""
    path = Path(model)
    if path.suffix.lower() == ".keras":
        name = path.stem
    elif (path / MODEL_FILE).exists():
        # Resolved, because the name of "runs/today/." is empty.
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
