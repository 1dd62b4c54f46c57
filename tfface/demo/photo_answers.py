"""What the page may ask about photos, answered by `tfface.compare` and `tfface.Gallery`."""

import threading

import numpy as np

from tfface.alignment.detection import shared_detector
from tfface.api.comparing import compare
from tfface.api.embedding import Embedder
from tfface.api.faces import no_face_error
from tfface.api.galleries import Gallery

# People who are listed for each face.
_TOP = 3


class PhotoAnswers:
    """Answers questions about photos in memory, one at a time.

    A question waits for those before it: models aren't made for several threads, and a large photo
    takes gigabytes.

    Args:
        model: what compares.
        gallery: of named faces; None if nobody has a name.
        threshold: the smallest cosine at which two faces are of one person; None for the model's
            own threshold. A gallery that keeps a threshold uses that.
        aligned: photos are aligned faces already.

    Raises:
        InputError: the model can't be run.
        ModuleNotFoundError: a package is missing that finds faces.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> from tfface.alignment.photo_faces import encode_photo
        >>> face = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        >>> model = tfface.load_embedder("pixels")
        >>> answers = PhotoAnswers(model, threshold=0.5, aligned=True)
        >>> answers.description
        ['model: pixels', 'same person if cosine >= 0.500 (given by the caller)']
        >>> answers.compare(encode_photo(face), encode_photo(face))["is_same"]
        True
    """

    def __init__(
        self,
        model: Embedder,
        *,
        gallery: Gallery | None = None,
        threshold: float | None = None,
        aligned: bool = False,
    ):
        self.model = model
        self.gallery = gallery
        self.threshold = threshold
        self.aligned = aligned
        self._one_at_a_time = threading.Lock()
        # Missing packages and models that can't be run are reported before the first question.
        self.model.embed(np.zeros((1, *self.model.image_size, 3), np.uint8))
        if not self.aligned:
            shared_detector()

    @property
    def description(self) -> list[str]:
        """Lines on the model, its threshold and the gallery."""
        cosine, source, _ = self.model.threshold(self.threshold)
        lines = [f"model: {self.model.name}"]
        if cosine is None:
            what = "threshold" if self.gallery is None else "threshold of two photos"
            lines.append(f"{what}: {source}")
        else:
            lines.append(f"same person if cosine >= {cosine:.3f} ({source})")
        if self.gallery is not None:
            images, people = len(self.gallery), len(self.gallery.names)
            lines.append(f"gallery: {self.gallery.path}, {images:,} images of {people:,} people")
            own, where = self.gallery.threshold, self.gallery.threshold_source
            if own is not None:
                lines.append(f"in the gallery if cosine >= {own:.3f} ({where})")
            elif self.threshold is None:
                lines.append(f"threshold of the gallery: {where}")
        return lines

    def compare(self, first: bytes, second: bytes) -> dict:
        """Compares the faces of two photos as `tfface.compare`.

        Args:
            first, second: the photos' files.

        Returns:
            `Comparison.to_dict()`, with `text`, the answer in words, and `other_boxes`, for each
            photo those of the faces that don't decide.

        Raises:
            InputError: a photo can't be read, or has no face.
        """
        with self._one_at_a_time:
            answer = compare(
                first, second, model=self.model, threshold=self.threshold, aligned=self.aligned
            )
        chosen = (answer.first, answer.second)
        others = [
            [found.box.tolist() for found in faces if found is not face]
            for face, faces in zip(chosen, answer.all_faces, strict=True)
        ]
        return {**answer.to_dict(), "text": repr(answer), "other_boxes": others}

    def identify(self, photo: bytes) -> dict:
        """Says who a photo shows, as `Gallery.identify`.

        Args:
            photo: the photo's file.

        Returns:
            `faces`: `IdentifiedFace.to_dict()` of each face.

        Raises:
            InputError: the photo can't be read or has no face, or the gallery is damaged or empty.
            ValueError: there is no gallery.
        """
        if self.gallery is None:
            raise ValueError("without a gallery nobody has a name")
        with self._one_at_a_time:
            # A gallery's own was chosen for as many people as it has.
            threshold = self.threshold if self.gallery.threshold is None else None
            faces = self.gallery.identify(
                photo, threshold=threshold, top=_TOP, aligned=self.aligned
            )
        if not faces:
            raise no_face_error(photo)
        return {"faces": [face.to_dict() for face in faces]}

    def wait(self) -> None:
        """Waits for the answer that is being computed."""
        with self._one_at_a_time:
            return
