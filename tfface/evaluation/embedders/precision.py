"""Keras models that embed in bfloat16, where it is close to float32 and, if asked for, faster."""

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from tfface import onednn
from tfface.errors import InputError, note
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.embedders.options import fingerprint
from tfface.kernels.bfloat16 import frozen_in_bfloat16
from tfface.kernels.device import is_tf_cpu
from tfface.processor import bfloat16_instructions

if TYPE_CHECKING:
    from tfface.evaluation.embedders.embedder import Embedder

Precision = Literal["float32", "bfloat16", "auto"]

# Of each image of the first batch, between its embeddings in bfloat16 and in float32.
_LEAST_COSINE = 0.9999
# `auto` wants bfloat16 to be so many times as fast; the fastest of so many batches counts.
_LEAST_GAIN, _ROUNDS = 1.05, 2


def in_precision(embedder: "Embedder", precision: Precision, model: str) -> "Embedder":
    """Returns an embedder that computes as asked for.

    Args:
        embedder: of any format, as it is loaded.
        precision: `float32` leaves it as it is, and `auto`, too, where bfloat16 can't be faster.
        model: the MODEL argument, for messages.

    Raises:
        InputError: `bfloat16`, and the format or the device has none.
    """
    if precision == "float32":
        return embedder
    if not isinstance(embedder, KerasEmbedder) or not runs_bfloat16():
        if precision == "auto":
            return embedder
        raise InputError(
            f"{model}: --precision bfloat16 is for run folders, .keras files and recipes, on "
            "TensorFlow with oneDNN and without a GPU: omit it"
        )
    if precision == "auto" and not bfloat16_instructions():
        note("precision: float32; this processor has no instructions for bfloat16")
        return embedder
    return BFloat16Embedder(embedder, only_if_faster=precision == "auto")


def runs_bfloat16() -> bool:
    """Whether embedders can compute in bfloat16 here."""
    return is_tf_cpu() and onednn.is_on()


def in_bfloat16(exact: str) -> str:
    """Returns the fingerprint of the same embedder in bfloat16.

    Args:
        exact: its fingerprint in float32.
    """
    return fingerprint(exact, "bfloat16")


class _Half(KerasEmbedder):
    """Computes in bfloat16, with the weights that the model has at the first batch."""

    @cached_property
    def _compiled(self):
        return frozen_in_bfloat16(self._embedding, (self.batch_size, *self.image_size, 3))

    def _predict(self, images: np.ndarray) -> np.ndarray:
        return self._compiled(images)


class BFloat16Embedder:
    """Embeds in bfloat16, if that is close to float32 for the first batch; else in float32.

    The first batch decides for all: each of its images must have a cosine above 0.9999 between its
    two embeddings. A line says what was found.

    Args:
        exact: embeds in float32. Its weights must not change from then on.
        only_if_faster: take float32 where it takes less than 1.05 times as long, too.

    Attributes:
        exact: as given.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> embedder = BFloat16Embedder(KerasEmbedder(model, "flat"), only_if_faster=False)
        >>> embedder.embed(np.ones((2, 8, 8, 3), np.uint8)).shape
        precision: bfloat16; cosines to float32 of the first 2 images: at least 1.0...
        (2, 192)
    """

    keeps_aspect = KerasEmbedder.keeps_aspect

    def __init__(self, exact: KerasEmbedder, *, only_if_faster: bool):
        self.exact = exact
        self.name = exact.name
        self.image_size = exact.image_size
        self.batch_size = exact.batch_size
        self._half = exact.of_kind(_Half)
        self._only_if_faster = only_if_faster
        # Until the first batch, and then for good.
        self._chosen = exact if only_if_faster else self._half
        self._is_decided = False

    @property
    def fingerprint(self) -> str:
        """Of the embeddings that `embed` has returned last; the first batch may change it."""
        return self._fingerprints[self._chosen is self._half]

    @cached_property
    def _fingerprints(self) -> tuple[str, str]:
        own = self.exact.fingerprint
        return own, in_bfloat16(own)

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """Of the embeddings that `embed` has returned last; the first batch may change it."""
        return "bfloat16" if self._chosen is self._half else "float32"

    @property
    def settle(self) -> Callable[[str], None] | None:
        """See `Embedder`."""
        return None if self._is_decided else self._settle

    def _settle(self, wanted: str) -> None:
        if wanted not in self._fingerprints:
            return
        is_half = wanted == self._fingerprints[1]
        self._chosen = self._half if is_half else self.exact
        self._is_decided = True
        name = "bfloat16" if is_half else "float32"
        note(f"precision: {name}, as of the embeddings that are there")

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, embedding_size].

        Raises:
            InputError: the model of a file can't be run.
        """
        if not self._is_decided:
            self._decide(images[: self.batch_size])
            self._is_decided = True
        return self._chosen.embed(images)

    def _decide(self, images: np.ndarray) -> None:
        cosine = float(_cosines(self.exact.embed(images), self._half.embed(images)).min())
        if not cosine > _LEAST_COSINE:
            self._chosen = self.exact
            note(
                f"precision: float32; in bfloat16 an embedding of the first {len(images)} images "
                f"has a cosine of {cosine:.5f} to that in float32, and {_LEAST_COSINE} is the least"
            )
            return
        close = f"cosines to float32 of the first {len(images)} images: at least {cosine:.5f}"
        if not self._only_if_faster:
            note(f"precision: bfloat16; {close}")
            return
        exact, half = self._seconds(images)
        is_faster = exact >= _LEAST_GAIN * half
        self._chosen = self._half if is_faster else self.exact
        note(
            f"precision: {'bfloat16' if is_faster else 'float32'}; a batch took {exact:.3f} s in "
            f"float32 and {half:.3f} s in bfloat16; {close}"
        )

    def _seconds(self, images: np.ndarray) -> list[float]:
        """Returns how long a batch takes in float32, and in bfloat16."""
        seconds: list[list[float]] = [[], []]
        for _ in range(_ROUNDS):
            for embedder, times in zip((self.exact, self._half), seconds, strict=True):
                started = time.perf_counter()
                embedder.embed(images)
                times.append(time.perf_counter() - started)
        return [min(times) for times in seconds]


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the cosine of each row; 1 where both are zeros, NaN where one is not finite."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    both_zero = ~(one.any(axis=1) | other.any(axis=1))
    products = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return np.where(both_zero, 1.0, products / np.where(norms > 0, norms, 1.0))
