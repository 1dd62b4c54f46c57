"""Faces of photos, aligned as models take them."""

import numpy as np

from tfface import arguments
from tfface.alignment.align import Options
from tfface.alignment.detection import shared_detector
from tfface.alignment.photo_faces import (
    NO_FACE,
    AlignedFace,
    Photo,
    align_photo,
    encode_photo,
    open_photo,
    photo_name,
)
from tfface.alignment.template import template_points
from tfface.api.embedding import Embedder
from tfface.errors import InputError
from tfface.images.decoding import decode_whole, resize


def align(
    photo: Photo,
    *,
    image_size: int | tuple[int, int] = 112,
    min_confidence: float = 0.9,
    min_size: int = 32,
    detection_size: int = 1024,
) -> list[AlignedFace]:
    """Finds the faces of a photo and aligns them.

    A face is moved, turned and scaled so that eyes, nose and mouth are where the template of
    ArcFace has them, as face-recognition models want it. The detector is MTCNN; photos that lie on
    their side are turned. A picture that is an aligned face already is only resized: one whose
    landmarks would move by 4.5 pixels (of 112) or less, in the mean.

    Args:
        photo: a path, the bytes of an image file, uint8 [height, width, 3] in RGB, or an image of
            Pillow.
        image_size: of the aligned faces in pixels: one number, or (height, width).
        min_confidence: faces of a lower confidence are omitted; 0.5 to 1.
        min_size: faces whose box has a shorter side, in pixels of the photo, are omitted.
        detection_size: photos with a longer side are shrunk to it for the search. A larger value
            finds smaller faces in large photos and takes longer.

    Returns:
        The faces, the most important one first (large, and near the photo's center); an empty list
        for a photo without a face. Faces that the photo's edge cuts off are omitted.

    Raises:
        InputError: the photo can't be read, or a value is out of its range.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> tfface.align(np.full((60, 80, 3), 128, np.uint8))
        []
    """
    height, width = arguments.image_size(image_size)
    options = Options(
        height=height,
        width=width,
        min_confidence=min_confidence,
        min_size=min_size,
        detection_size=detection_size,
    )
    return align_photo(
        shared_detector(),
        open_photo(photo),
        image_size=(options.height, options.width),
        min_confidence=options.min_confidence,
        min_size=options.min_size,
        detection_size=options.detection_size,
    )


def faces_for(
    model: Embedder, photo: Photo, *, aligned: bool, in_memory: str = "the photo"
) -> list[AlignedFace]:
    """Returns the faces of a photo as a model takes them.

    Args:
        model: the embedder.
        photo: as `align` takes it.
        aligned: the photo is one aligned face already; `warn_of_unaligned` says if it doesn't look
            so.
        in_memory: what messages call a photo that has no path.

    Returns:
        The faces; none for a photo without one.

    Raises:
        InputError: the photo can't be read, or `aligned` is true and its shape rules that out.
    """
    if not aligned:
        opened = open_photo(photo, in_memory)
        return align_photo(shared_detector(), opened, image_size=model.image_size)
    encoded, name = encode_photo(photo), photo_name(photo, in_memory)
    pixels = decode_whole(encoded, name)
    height, width, _ = pixels.shape
    model.check_shape_of_aligned(height, width, name)
    [image] = resize(pixels[None], *model.image_size, keep_aspect=model.keeps_aspect)
    return [
        AlignedFace(
            image=image,
            box=np.array([0, 0, width, height], np.float64),
            landmarks=template_points(height, width),
            confidence=1.0,
        )
    ]


def warn_of_unaligned(model: Embedder, photo: Photo, in_memory: str = "the photo") -> bool:
    """Warns if a photo given as an aligned face looks unaligned; returns whether it warned.

    Args:
        model, photo, in_memory: as for `faces_for`.
    """
    name = photo_name(photo, in_memory)
    return model.warn_of_unaligned([encode_photo(photo)], [name], name)


def no_face_error(photo: Photo, in_memory: str = "the photo") -> InputError:
    """Returns the error for a photo in which no face was found."""
    return InputError(
        f"{photo_name(photo, in_memory)}: {NO_FACE}; if it is an aligned face already, say so: "
        "--aligned, or aligned=True in Python"
    )
