"""What a verification set of templates becomes, whatever files it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.pairs.aligned_faces import AlignedFaces
from tfface.data.pairs.file_images import FileImages


@dataclass(frozen=True)
class TemplateSet:
    """Pairs of templates, with the answer to each: one person, or two?

    An entry says that an image belongs to a template, and what medium it comes from there: a photo,
    or a video of which several images may be frames.

    Attributes:
        name: what tables and files call it.
        files: each distinct image.
        landmarks: float32 [num_images, 5, 2], (x, y) in the image's pixels in the order of
            `alignment.template.LANDMARK_NAMES`; None where images are aligned already.
        scores: float32 [num_images], how sure a detector was of each face, 0 or more; None where
            that isn't known.
        entry_image, entry_template: int32 [num_entries], positions of image and template.
        entry_medium: int32 [num_entries], numbers of media, which say nothing beyond a template.
        template_numbers: int32 [num_templates], what the files call each, rising.
        first, second: int32 [num_pairs], positions of each pair's templates.
        is_genuine: bool [num_pairs].
    """

    name: str
    files: Sequence[Path]
    landmarks: np.ndarray | None
    scores: np.ndarray | None
    entry_image: np.ndarray
    entry_template: np.ndarray
    entry_medium: np.ndarray
    template_numbers: np.ndarray
    first: np.ndarray
    second: np.ndarray
    is_genuine: np.ndarray

    @property
    def image_names(self) -> list[str]:
        """What error messages call each image."""
        return [str(file) for file in self.files]

    def images(self) -> Sequence[bytes]:
        """Returns the images as they are, each read when it is asked for."""
        return FileImages(self.files)

    def faces(self, height: int, width: int) -> Sequence[bytes]:
        """Returns the aligned faces, each encoded, made when it is asked for.

        Args:
            height, width: of a face that is cut out by landmarks. Without these, images are as
                they are.
        """
        if self.landmarks is None:
            return self.images()
        return AlignedFaces(self.files, self.landmarks, height, width)
