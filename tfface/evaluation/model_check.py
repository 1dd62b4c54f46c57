"""Detects models whose output is damaged, constant, or depends on more than the image."""

from collections.abc import Sequence

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.images.decoding import decode_batches

_SAMPLE = 8
# As a fraction of the output's norm. Rounding changes float32 by less than 1e-5, half precision
# and quantization by about 1e-2; batch norm in training mode and dropout by 0.1 to 1.
_ROUNDING, _MOST_CHANGE = 1e-5, 0.05


def model_warnings(embedder: Embedder, images: Sequence[bytes], names: Sequence[str]) -> list[str]:
    """Checks on a few images that a model's output depends on the image, and on nothing else.

    One image is given to the model among others and alone. So layers in training mode are found:
    batch norm that normalizes by the batch, and dropout. A cache is not asked.

    Args:
        embedder: the model.
        images: encoded images, of which a sample is taken; noise is added to a few of them.
        names: the images' names for error messages.

    Returns:
        Warnings for the user.

    Raises:
        InputError: the output is NaN or infinite for all images; an image of the sample can't be
            decoded, or the model can't be run.
    """
    model = embedder.inner if isinstance(embedder, CachedEmbedder) else embedder
    sample = _sample(model, images, names)
    together = model.embed(sample).astype(np.float64)
    is_finite = np.isfinite(together).all(axis=1)
    if not is_finite.any():
        raise InputError(
            f"{model.name}: its output is NaN or infinite for all {len(sample)} images of a sample:"
            " its weights are damaged, its training diverged, or --input-range doesn't suit it"
        )
    found = []
    finite, probe = together[is_finite], sample[is_finite][:1]
    if _change(finite[0], finite) <= _ROUNDING:
        found.append(
            f"{model.name}: its output is the same for {len(finite)} different images: its "
            "similarities say nothing. Its weights were not loaded or trained, its training "
            "collapsed, or --input-range doesn't suit it"
        )
    change = _change(finite[0], model.embed(probe)[0].astype(np.float64))
    if change > _MOST_CHANGE:
        again = model.embed(sample)[is_finite][0].astype(np.float64)
        if _change(finite[0], again) > _MOST_CHANGE:
            cause = "changes from call to call", "dropout or another random layer"
        else:
            cause = "depends on the other images of its batch", "batch norm"
        found.append(
            f"{model.name}: its output for an image {cause[0]}; it changed by {change:.0%} in a "
            f"sample, so results are not to be relied on: {cause[1]} seems to be in training mode. "
            "Export the model in inference mode"
        )
    return found


def _sample(model: Embedder, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
    """Returns different images, uint8 [sample, height, width, 3], the first one of `images`."""
    chosen = np.unique(np.linspace(0, len(images) - 1, _SAMPLE).astype(int)).tolist()
    batches = decode_batches(
        [images[index] for index in chosen],
        [names[index] for index in chosen],
        model.image_size,
        _SAMPLE,
        keep_aspect=model.keeps_aspect,
    )
    found = np.concatenate(list(batches))
    firsts = np.sort(np.unique(found.reshape(len(found), -1), axis=0, return_index=True)[1])
    shape = (_SAMPLE - len(firsts), *model.image_size, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return np.concatenate([found[firsts], noise])


def _change(output: np.ndarray, others: np.ndarray) -> float:
    """Returns the greatest distance of `others` from an output, as a fraction of its norm."""
    distance = np.linalg.norm(np.nan_to_num(others) - output, axis=-1).max()
    norm = np.linalg.norm(output)
    # Of zeros, anything else differs.
    return float(distance / norm) if norm else float(np.sign(distance))
