"""Whether an exported file still is the same model."""

from dataclasses import asdict, dataclass

import keras
import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.exporting.options import ExportOptions

# Of each forward pass of the original.
_BATCH = 32
# How many to try first: in the fourth layer of a MobileNetV2 the terms cancel each other, and their
# rounding errors don't.
_FLOAT_LAYERS = 4
# A loss that is just the limit is one, however the difference is rounded.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Limits:
    """How far a file may be from the original.

    Attributes:
        cosine: the least cosine of any image's two embeddings.
        relative_error: norm of the difference divided by the norm of the original's embedding, at
            most; None for any.
        accuracy_loss: by how much verification accuracy may fall.
    """

    cosine: float
    relative_error: float | None
    accuracy_loss: float


# Precision -> limits. docs/guides/export.md has them, too.
LIMITS = {
    "float32": Limits(0.9999, 1e-4, 0.001),
    "float16": Limits(0.999, None, 0.002),
    "int8": Limits(0.99, None, 0.01),
    "weights-int8": Limits(0.99, None, 0.01),
}


class Original:
    """The model that is exported, computing what its files are to compute.

    It is an `Embedder` of `tfface.evaluation.embedders`.

    Args:
        network: the embedder; float RGB images in 0..255 -> [batch, embedding_size].
        name: for messages.
        options: of the export.
        flip: sum the embeddings of an image and of its mirror image, whether or not the files do.

    Example:
        >>> network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> original = Original(network, "flat", ExportOptions(normalized=True))
        >>> images = np.full((2, 8, 8, 3), 200, np.uint8)
        >>> np.linalg.norm(original.embed(images), axis=1).round(4).tolist()
        [1.0, 1.0]
    """

    keeps_aspect = False

    def __init__(
        self, network: keras.Model, name: str, options: ExportOptions, *, flip: bool = False
    ):
        self._embedder = KerasEmbedder(network, name, _BATCH, options.flip)
        self._normalized = options.normalized
        self._mirror = flip and not options.flip
        self.name = name
        self.image_size = self._embedder.image_size
        self.batch_size = self._embedder.batch_size
        self.fingerprint = f"{self._embedder.fingerprint}-{options.normalized}-{flip}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, embedding_size].
        """
        found = self._embed(images)
        return found + self._embed(images[:, :, ::-1]) if self._mirror else found

    def _embed(self, images: np.ndarray) -> np.ndarray:
        found = self._embedder.embed(images)
        return unit(found) if self._normalized else found


def unit(embeddings: np.ndarray) -> np.ndarray:
    """Returns embeddings of norm 1; zeros stay zeros."""
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True)
class Parity:
    """How near the embeddings of a file are to those of the original.

    Attributes:
        num_images: that were compared.
        images: what they are.
        cosine_min, cosine_mean: of each image's two embeddings.
        relative_error: norm of the difference divided by the norm of the original's embedding; the
            largest of all images.

    Example:
        >>> original = np.eye(2, 8)
        >>> measure_parity(original, 2 * original, "axes")
        Parity(num_images=2, images='axes', cosine_min=1.0, cosine_mean=1.0, relative_error=1.0)
    """

    num_images: int
    images: str
    cosine_min: float
    cosine_mean: float
    relative_error: float

    def to_dict(self) -> dict:
        """Returns the attributes."""
        return asdict(self)


def measure_parity(
    original: np.ndarray, exported: np.ndarray, images: str, precision: str = "float32"
) -> Parity:
    """Compares embeddings of the same images.

    Args:
        original, exported: float [n, embedding_size].
        images: what the images are.
        precision: what the file computes in, for messages.

    Returns:
        The comparison. Embeddings of zeros give cosines of -1.

    Raises:
        InputError: the shapes differ, embeddings are not finite, or the original's are zeros.
    """
    if original.shape != exported.shape:
        raise InputError(
            f"the file returns {list(exported.shape)}, and the model {list(original.shape)}"
        )
    one, other = original.astype(np.float64), exported.astype(np.float64)
    norms = np.linalg.norm(one, axis=1)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise InputError(
            "the model's own embeddings contain NaN or infinity, or are zero: there is nothing to "
            "export"
        )
    num_broken = int((~np.isfinite(other)).any(axis=1).sum())
    if num_broken:
        why = "; values of float16 end at 65,504" if precision == "float16" else ""
        raise InputError(
            f"the file returns NaN or infinity for {num_broken} of {len(other)} images ({images})"
            f"{why}. Nothing was written"
        )
    with np.errstate(all="ignore"):
        cosines = (one * other).sum(axis=1) / (norms * np.linalg.norm(other, axis=1))
        errors = np.linalg.norm(one - other, axis=1) / norms
    # Not more than 1 by rounding.
    cosines = np.where(np.isfinite(cosines), np.minimum(cosines, 1), -1)
    return Parity(
        len(one), images, float(cosines.min()), float(cosines.mean()), float(errors.max())
    )


def check_parity(parity: Parity, precision: str, float_layers: int = 0) -> None:
    """Checks that a file is near enough to the original.

    Args:
        parity: of the file.
        precision: a key of `LIMITS`.
        float_layers: of the export, for advice.

    Raises:
        InputError: it is not.
    """
    limits = LIMITS[precision]
    what = f"the file differs from the model on {parity.num_images} images ({parity.images})"
    if parity.cosine_min < limits.cosine:
        raise InputError(
            f"{what}: cosines from {parity.cosine_min:.5f}, on average {parity.cosine_mean:.5f}; "
            f"{precision} needs {limits.cosine} or more. Nothing was written"
            f"{_advice(precision, float_layers)}"
        )
    if limits.relative_error is not None and parity.relative_error > limits.relative_error:
        raise InputError(
            f"{what}: by up to {parity.relative_error:.1e} of an embedding's norm; {precision} "
            f"allows {limits.relative_error:.0e}. Nothing was written"
        )


def _advice(precision: str, float_layers: int) -> str:
    """Returns what to try next where 8 bits are too few."""
    if precision not in ("int8", "weights-int8"):
        return ""
    more = 2 * float_layers or _FLOAT_LAYERS
    return (
        f". Try --float-layers {more}, which leaves {more} layers in float32, or --quantize float16"
    )


def check_accuracy(
    before: float, after: float, pair_set: str, precision: str, float_layers: int = 0
) -> None:
    """Checks that verification accuracy has not fallen much.

    Args:
        before, after: mean accuracy of the original and of the file, 0 to 1.
        pair_set: its name.
        precision: a key of `LIMITS`.
        float_layers: of the export, for advice.

    Raises:
        InputError: it has.
    """
    limit = LIMITS[precision].accuracy_loss
    if before - after > limit + _ROUNDING:
        raise InputError(
            f"accuracy on {pair_set} falls from {before:.2%} to {after:.2%}; {precision} allows a "
            f"loss of {limit:.1%}. Nothing was written{_advice(precision, float_layers)}"
        )
