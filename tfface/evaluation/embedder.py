"""One door to every model that can be evaluated: `embed(images) -> embeddings`."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.keras_embedder import KerasEmbedder, load_keras_embedder
from tfface.evaluation.pixel_embedder import PixelEmbedder, load_pixel_embedder

__all__ = ["EMBEDDERS", "Embedder", "KerasEmbedder", "PixelEmbedder", "load_embedder"]


class Embedder(Protocol):
    """What turns images into embeddings, whatever the model's format.

    Attributes:
        name: what tables and messages call it.
        image_size: (height, width) of the images it takes.
        batch_size: how many images are best given at a time; `embed` takes any number.
    """

    name: str
    image_size: tuple[int, int]
    batch_size: int

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns embedding + embedding of the mirrored image, float32 [n, embedding_size].

        They are not normalised: the figures do that, and tell the length as well.

        Args:
            images: uint8 [n, height, width, 3], RGB.
        """
        ...


# To add a format: one file with such a function, and one line here. A loader is given the MODEL
# argument and the batch size, and returns None where the argument is not of its format.
EMBEDDERS: dict[str, Callable[[str, int], Embedder | None]] = {
    "the word `pixels` (the baseline to beat)": load_pixel_embedder,
    "a run folder or a .keras file": load_keras_embedder,
}


def load_embedder(model: str | Path, *, batch_size: int = 64) -> Embedder:
    """Returns the embedder that a tool's MODEL argument means.

    Args:
        model: a path or a reserved word; the formats are those of `EMBEDDERS`.
        batch_size: images embedded in one pass.

    Raises InputError: no such file, none of the formats, or a file that can't be loaded.
    """
    for load in EMBEDDERS.values():
        if (embedder := load(str(model), batch_size)) is not None:
            return embedder
    known = "; ".join(EMBEDDERS)
    if not Path(model).exists():
        raise InputError(f"{model}: no such model; a model is {known}")
    raise InputError(f"{model}: not a model that can be evaluated; a model is {known}")
