"""One door to every model that can be evaluated: `embed(images) -> embeddings`."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.keras_model import KerasEmbedder, load_keras_embedder
from tfface.evaluation.embedders.onnx_model import load_onnx_embedder
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput
from tfface.evaluation.embedders.raw_pixels import PixelEmbedder, load_pixel_embedder
from tfface.evaluation.embedders.saved_model import load_saved_model_embedder
from tfface.evaluation.embedders.tflite_model import load_tflite_embedder
from tfface.images.decoding import decode_batches
from tfface.progress import progress

__all__ = ["EMBEDDERS", "Embedder", "KerasEmbedder", "PixelEmbedder", "load_embedder"]


class Embedder(Protocol):
    """What turns images into embeddings, whatever the model's format.

    Attributes:
        name: what tables and messages call it.
        image_size: (height, width) of the images it takes.
        keeps_aspect: images of another shape are not squeezed, but cut or filled at the sides, as
            `data.images.decode` says. So it is for models that were not made here: they are
            trained on faces of one template, and an aligned face of another shape is the same
            picture with wider or narrower margins. A model of ours gets what its training got.
        batch_size: how many images are best given at a time; `embed` takes any number.
        fingerprint: a text that differs where embeddings do: of the model's file or weights, and
            of how it is used (pixels, size, mirrored copies).
    """

    name: str
    image_size: tuple[int, int]
    keeps_aspect: bool
    batch_size: int

    @property
    def fingerprint(self) -> str: ...

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns embedding + embedding of the mirrored image, float32 [n, embedding_size].

        Without `flip`, the embedding of the image alone.

        They are not normalised: the figures do that, and tell the length as well.

        Args:
            images: uint8 [n, height, width, 3], RGB.
        """
        ...


# To add a format: one file with such a function, and one line here. A loader is given the MODEL
# argument and the options, and returns None where the argument is not of its format.
EMBEDDERS: dict[str, Callable[[str, EmbedderOptions], Embedder | None]] = {
    "the word `pixels` (the baseline to beat)": load_pixel_embedder,
    "a run folder or a .keras file": load_keras_embedder,
    "a SavedModel folder": load_saved_model_embedder,
    "an .onnx file": load_onnx_embedder,
    "a .tflite file": load_tflite_embedder,
}


def load_embedder(
    model: str | Path,
    *,
    batch_size: int = 64,
    flip: bool = True,
    pixels: PixelInput | None = None,
    image_size: tuple[int, int] | None = None,
    output: str | None = None,
) -> Embedder:
    """Returns the embedder that a tool's MODEL argument means.

    Args:
        model: a path or a reserved word; the formats are those of `EMBEDDERS`.
        batch_size: images embedded in one pass.
        flip: sum the embeddings of an image and of its mirrored copy.
        pixels, image_size: of a SavedModel, `.onnx` or `.tflite` file, which doesn't say what it
            takes for pixels, nor always the size.
        output: of an `.onnx` or `.tflite` file with several, the name of the embedding's.

    Raises InputError: no such file, none of the formats, a file that can't be loaded, or options
        that it has no use for.
    """
    options = EmbedderOptions(batch_size, flip, pixels, image_size, output)
    for load in EMBEDDERS.values():
        if (embedder := load(str(model), options)) is not None:
            return embedder
    known = "; ".join(EMBEDDERS)
    if not Path(model).exists():
        raise InputError(f"{model}: no such model; a model is {known}")
    raise InputError(f"{model}: not a model that can be evaluated; a model is {known}")


def embed_batches(
    embedder: Embedder, encoded: Sequence[bytes], names: Sequence[str], *, what: str
) -> Iterator[np.ndarray]:
    """Decodes and embeds images in order, with a progress bar.

    Images of another size than the embedder's are resized to it; `embedder.keeps_aspect` says how.

    Args:
        encoded: may be a lazy sequence; it is read a batch at a time.
        names: what to call each image in an error.
        what: the images' name on the progress bar.
    Yields: flip-summed embeddings, not normalised: float32 [batch, embedding_size].
    Raises InputError: an image can't be decoded.
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
    """As `embed_batches`, all at once: float32 [n, embedding_size]."""
    return np.concatenate(list(embed_batches(embedder, encoded, names, what=what)))


def images_per_second(embedder: Embedder) -> float:
    """Times the embedder on one batch, after one that compiles it."""
    images = np.zeros((embedder.batch_size, *embedder.image_size, 3), np.uint8)
    embedder.embed(images)
    started = time.perf_counter()
    embedder.embed(images)
    return embedder.batch_size / max(time.perf_counter() - started, 1e-9)
