"""The baseline that every trained model must beat: the pixels themselves."""

import numpy as np

from tfface.evaluation.embedders.options import EmbedderOptions


class RawPixelEmbedder:
    """Embeds an image as its own 32x32 grey pixels less their mean.

    The cosine of two such embeddings is the correlation of the two (flip-summed) pictures.
    """

    name = "pixels"
    image_size = (32, 32)
    keeps_aspect = False
    batch_size = 256

    def __init__(self, flip: bool = True):
        self._flip = flip

    @property
    def fingerprint(self) -> str:
        return f"pixels-32x32-{'flip' if self._flip else 'no-flip'}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns embeddings, flip-summed unless told otherwise: float32 [n, 1024].

        Args:
            images: uint8 [n, 32, 32, 3], RGB.
        """
        # Sums and not means of the channels: whole numbers, so a blank image gives 0 and not noise.
        grey = images.sum(axis=3, dtype=np.float32)
        grey -= grey.mean(axis=(1, 2), keepdims=True)
        return (grey + grey[:, :, ::-1] if self._flip else grey).reshape(len(images), -1)


def load_raw_pixel_embedder(model: str, options: EmbedderOptions) -> RawPixelEmbedder | None:
    """Returns the baseline where `model` is the reserved word `pixels`, else None."""
    if model != RawPixelEmbedder.name:
        return None
    options.check_native(model)
    return RawPixelEmbedder(options.flip)
