"""Embedders: one interface, `embed(images) -> embeddings`, for models of every format."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tfface.arguments import EMBED_BATCH_SIZE
from tfface.errors import InputError
from tfface.evaluation.embedders.keras_model import KerasEmbedder, load_keras_embedder
from tfface.evaluation.embedders.legacy_h5_model import load_legacy_h5_embedder
from tfface.evaluation.embedders.model_kind import check_is_model
from tfface.evaluation.embedders.onnx_model import load_onnx_embedder
from tfface.evaluation.embedders.openvino_model import load_openvino_embedder
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput
from tfface.evaluation.embedders.precision import Precision, in_precision
from tfface.evaluation.embedders.raw_pixels import RawPixelEmbedder, load_raw_pixel_embedder
from tfface.evaluation.embedders.saved_model import load_saved_model_embedder
from tfface.evaluation.embedders.tflite_model import load_tflite_embedder
from tfface.files import check_regular
from tfface.images.decoding import decode_batches
from tfface.paths import did_you_mean_path
from tfface.progress import progress
from tfface.quiet_tensorflow import without_notes

__all__ = [
    "EMBEDDERS",
    "Embedder",
    "KerasEmbedder",
    "RawPixelEmbedder",
    "comparable_embeddings",
    "embed_batches",
    "embed_images",
    "identity_centers",
    "images_per_second",
    "load_embedder",
    "unit_embeddings",
]


class Embedder(Protocol):
    """The interface of all embedders.

    Attributes:
        name: for tables and messages.
        image_size: (height, width) of the input images.
        keeps_aspect: whether images of another aspect ratio are cropped or padded at the sides, as
            `images.decoding` describes, instead of stretched. True for external models: they are
            trained on faces of one template, and an aligned face of another shape is the same face
            with wider or narrower margins. A model trained by tfface gets the same images as in
            training.
        batch_size: the preferred number of images for each call; `embed` accepts any number.
        fingerprint: a text that differs whenever the embeddings differ. It covers the model's file
            or weights and its options (pixel format, image size, flip).
        settle: None if the fingerprint stays. Where the first batch decides about it, as that of
            `BFloat16Embedder`, a function until then: it decides for embeddings of the fingerprint
            that it is called with, if the embedder can make such.
    """

    name: str
    image_size: tuple[int, int]
    keeps_aspect: bool
    batch_size: int

    @property
    def fingerprint(self) -> str: ...

    @property
    def settle(self) -> Callable[[str], None] | None: ...

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images, by default with flip test-time augmentation.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, embedding_size], the sum of the embeddings of each image and of its mirror
            image; without `flip`, the embedding of the image alone. They are not normalized,
            because metrics also report their norms.
        """
        ...


# To add a format: write a file with a loader and add it here. A loader gets the MODEL argument and
# the options, and returns None if the argument is not in its format.
EMBEDDERS: dict[str, Callable[[str, EmbedderOptions], Embedder | None]] = {
    "the word `pixels` (a baseline without a model)": load_raw_pixel_embedder,
    "a run folder or a .keras file": load_keras_embedder,
    "an .h5 file of Keras 2": load_legacy_h5_embedder,
    "a SavedModel folder": load_saved_model_embedder,
    "an .onnx file": load_onnx_embedder,
    "a .tflite file": load_tflite_embedder,
    "an OpenVINO .xml file": load_openvino_embedder,
}


def load_embedder(
    model: str | Path,
    *,
    batch_size: int = EMBED_BATCH_SIZE,
    flip: bool = True,
    pixels: PixelInput | None = None,
    image_size: tuple[int, int] | None = None,
    output: str | None = None,
    num_threads: int | None = None,
    precision: Precision = "float32",
) -> Embedder:
    """Loads a model of any supported format as an embedder.

    Args:
        model: a run folder, a `.keras`, `.h5`, `.onnx` or `.tflite` file, a SavedModel folder, an
            OpenVINO `.xml` file, or the word `pixels` for a baseline that compares raw pixels.
        batch_size: images for each forward pass.
        flip: flip test-time augmentation: sum the embeddings of an image and of its mirror image.
        pixels: the pixel format of a SavedModel, `.h5`, `.onnx`, `.tflite` or `.xml` model, which
            only files of `tfface export` record; by default (x - 127.5) / 128 in RGB.
        image_size: (height, width) for a model that accepts any size.
        output: the name of the embedding among several outputs of an `.onnx` or `.tflite` model.
        num_threads: of ONNX Runtime, LiteRT and OpenVINO; None for as many as there are processors.
        precision: `bfloat16` computes in it where it is close to float32, `auto` where it is also
            faster, as `BFloat16Embedder` says; of Keras models, on a CPU.

    Returns:
        The embedder.

    Raises:
        InputError: the file does not exist, can't be loaded, is in no supported format, or an
            option does not apply to it.

    Example:
        >>> embedder = load_embedder("pixels", flip=False)
        >>> images = np.zeros((2, *embedder.image_size, 3), np.uint8)
        >>> embedder.embed(images).shape
        (2, 1024)
    """
    options = EmbedderOptions(batch_size, flip, pixels, image_size, output, num_threads)
    check_regular(Path(model))
    for load in EMBEDDERS.values():
        # LiteRT and TensorFlow greet each model with notes of theirs.
        with without_notes():
            embedder = load(str(model), options)
        if embedder is not None:
            return in_precision(embedder, precision, str(model))
    known = "; ".join(EMBEDDERS)
    if not Path(model).exists():
        near = did_you_mean_path(model)
        raise InputError(f"{model}: no such model{near or f'; a model is {known}'}")
    check_is_model(Path(model))
    raise InputError(f"{model}: not a model that can be evaluated; a model is {known}")


def embed_batches(
    embedder: Embedder, encoded: Sequence[bytes], names: Sequence[str], *, what: str
) -> Iterator[np.ndarray]:
    """Decodes and embeds images in order, with a progress bar.

    Images of another size are resized to the embedder's; `embedder.keeps_aspect` decides how.

    Args:
        embedder: the model.
        encoded: encoded images; it may be a lazy sequence and is read batch by batch.
        names: the images' names for error messages.
        what: the images' name on the progress bar.

    Yields:
        Embeddings, not normalized: float32 [batch, embedding_size].

    Raises:
        InputError: an image can't be decoded.
    """
    batches = decode_batches(
        encoded,
        names,
        embedder.image_size,
        embedder.batch_size,
        keep_aspect=embedder.keeps_aspect,
    )
    with progress(total=len(encoded), description=f"embedding {what}", unit="images") as bar:
        for images in batches:
            yield embedder.embed(images)
            bar.update(len(images))


def embed_images(
    embedder: Embedder, encoded: Sequence[bytes], names: Sequence[str], *, what: str
) -> np.ndarray:
    """As `embed_batches`, but returns all embeddings at once: float32 [n, embedding_size].

    Args:
        embedder: the model.
        encoded: encoded images; it may be a lazy sequence.
        names: the images' names for error messages.
        what: what is embedded, for the progress bar.
    """
    return np.concatenate(list(embed_batches(embedder, encoded, names, what=what)))


def images_per_second(embedder: Embedder) -> float:
    """Times the embedder on one batch, after a first batch that compiles it.

    Args:
        embedder: the model.
    """
    images = np.zeros((embedder.batch_size, *embedder.image_size, 3), np.uint8)
    embedder.embed(images)
    started = time.perf_counter()
    embedder.embed(images)
    return embedder.batch_size / max(time.perf_counter() - started, 1e-9)


def unit_embeddings(embeddings: np.ndarray, names: Sequence[str], start: int = 0) -> np.ndarray:
    """Normalizes embeddings to norm 1; an all-zero embedding, as of a blank image, stays zero.

    Args:
        embeddings: float [batch, embedding_size].
        names: the images' names for error messages.
        start: index of the batch's first image in `names`.

    Returns:
        An array of the same shape.

    Raises:
        InputError: an embedding contains NaN or infinity.

    Example:
        >>> unit_embeddings(np.array([[3.0, 4.0], [0.0, 0.0]]), ["a.jpg", "b.jpg"])
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        row = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise InputError(f"the embedding of {names[start + row]} contains NaN or infinity")
    return embeddings / np.where(norms > 0, norms, 1)


def comparable_embeddings(
    embeddings: np.ndarray, names: Sequence[str], *, what: str | None = None
) -> np.ndarray:
    """As `unit_embeddings`, of images that are compared: a blank one is an error.

    Args:
        embeddings: float [n, embedding_size].
        names: the images' names for error messages.
        what: the name of the set; None for single photos.

    Raises:
        InputError: an embedding contains NaN or infinity, or is all zeros.

    Example:
        >>> comparable_embeddings(np.array([[3.0, 4.0], [0.0, 0.0]]), ["a.jpg", "b.jpg"])
        Traceback (most recent call last):
        tfface.errors.InputError: the embedding of b.jpg is all zeros, so it can't be compared
    """
    units = unit_embeddings(embeddings, names)
    zeros = np.flatnonzero(~units.any(axis=1))
    if len(zeros):
        share = f" ({len(zeros)} of {len(units)} of '{what}')" if what is not None else ""
        name = names[int(zeros[0])]
        raise InputError(f"the embedding of {name} is all zeros{share}, so it can't be compared")
    return units


def identity_centers(
    batches: Iterable[np.ndarray],
    labels: np.ndarray,
    num_identities: int,
    names: Sequence[str],
    sample: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the normalized mean of each identity's unit embeddings, and some embeddings.

    Args:
        batches: embeddings of the images in order, float [batch, embedding_size] each.
        labels: int [images], as many as in all batches, at least one.
        num_identities: all labels are below it.
        names: the images' names for error messages.
        sample: int [sample], sorted indices of the images whose own embeddings are returned.

    Returns:
        Two arrays, float32 [num_identities, embedding_size] and [sample, embedding_size]. Rows have
        norm 1, or 0 for an identity without images and where all embeddings are zero.

    Raises:
        InputError: an embedding contains NaN or infinity.
    """
    sums, kept = None, []
    start = 0
    for batch in batches:
        if sums is None:
            sums = np.zeros((num_identities, batch.shape[1]), np.float32)
        stop = start + len(batch)
        units = unit_embeddings(batch, names, start)
        np.add.at(sums, labels[start:stop], units)
        first, last = np.searchsorted(sample, (start, stop))
        kept.append(units[sample[first:last] - start])
        start = stop
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    sums /= np.where(norms > 0, norms, 1)
    return sums, np.concatenate(kept)
