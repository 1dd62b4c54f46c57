"""Some images of a source as sequences that read each when it is asked for."""

from collections.abc import Sequence

import numpy as np

from tfface.data.sources.image_source import ImageSource


class SourceImages(Sequence):
    """The encoded bytes of some images, so that none is kept.

    Args:
        source: where they are.
        indices: int [n], of images of the source.
    """

    def __init__(self, source: ImageSource, indices: np.ndarray):
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> bytes:
        return self._source.read(int(self._indices[place])).encoded


class SourceFilenames(SourceImages):
    """What the source calls them."""

    def __getitem__(self, place: int) -> str:
        return self._source.filename(int(self._indices[place]))
