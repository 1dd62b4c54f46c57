"""A baseline without a model: raw pixels as embeddings."""

import numpy as np

from tfface.evaluation.embedders.options import EmbedderOptions


class RawPixelEmbedder:
    """Embeds an image as its 32x32 gray pixels minus their mean.

    The cosine of two such embeddings is the correlation of the two images.

    Args:
        flip: sum the embeddings of the image and of its mirror image.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> RawPixelEmbedder().embed(images).shape
        (2, 1024)
    """

    name = "pixels"
    image_size = (32, 32)
    keeps_aspect = False
    batch_size = 256
    settle = None

    def __init__(self, flip: bool = True):
        self._flip = flip

    @property
    def fingerprint(self) -> str:
        return f"pixels-32x32-{'flip' if self._flip else 'no-flip'}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images.

        Args:
            images: uint8 [n, 32, 32, 3], RGB.

        Returns:
            float32 [n, 1024].
        """
        # Sums and not means of the channels: integers, so that a blank image gives exactly 0.
        gray = images.sum(axis=3, dtype=np.float32)
        gray -= gray.mean(axis=(1, 2), keepdims=True)
        return (gray + gray[:, :, ::-1] if self._flip else gray).reshape(len(images), -1)


def load_raw_pixel_embedder(model: str, options: EmbedderOptions) -> RawPixelEmbedder | None:
    """Returns the baseline if `model` is the reserved word `pixels`, else None."""
    if model != RawPixelEmbedder.name:
        return None
    options.check_native(model)
    return RawPixelEmbedder(options.flip)
