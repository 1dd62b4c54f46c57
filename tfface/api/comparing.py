"""One question about two photos: do they show the same person?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfface.alignment.photo_faces import AlignedFace, Photo, photo_name
from tfface.api.embedding import Model, as_embedder
from tfface.api.faces import faces_for, no_face_error, warn_of_unaligned
from tfface.evaluation.embedders.embedder import comparable_embeddings
from tfface.reporting.format import Table
from tfface.reporting.html import notebook_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Comparison:
    """The answer of `compare`.

    Attributes:
        cosine: of the most similar faces of both photos.
        threshold: the faces are of one person if the cosine is >= this; None if it is not known.
        threshold_source: where the threshold comes from; if none is known, what to do about it.
        first, second: the most similar face of each photo.
        all_faces: of the first photo and of the second, the most important one first.
        cosines: float64 [faces in the first photo, faces in the second], of all pairs of faces, in
            the order of `all_faces`.
        model: name of the model.
        unaligned: photos that were given as aligned faces and look unaligned: then the answer can't
            be trusted.
    """

    cosine: float
    threshold: float | None
    threshold_source: str
    first: AlignedFace
    second: AlignedFace
    all_faces: tuple[list[AlignedFace], list[AlignedFace]]
    cosines: np.ndarray
    model: str
    unaligned: Sequence[str] = ()

    @property
    def is_same(self) -> bool | None:
        """Whether the faces are of one person; None without a threshold."""
        return None if self.threshold is None else self.cosine >= self.threshold

    def to_dict(self) -> dict:
        """Returns the answer as JSON can hold it; boxes are left, top, right, bottom in pixels."""
        return {
            "is_same": self.is_same,
            "cosine": self.cosine,
            "threshold": self.threshold,
            "threshold_source": self.threshold_source,
            "model": self.model,
            "unaligned": list(self.unaligned),
            "faces": [
                {"box": face.box.tolist(), "confidence": face.confidence}
                for face in (self.first, self.second)
            ],
            "cosines": self.cosines.tolist(),
        }

    def plot(self) -> "Figure":
        """Returns a matplotlib figure: both faces side by side."""
        # Only here, because Matplotlib takes long to import.
        from tfface.reporting.plots import NotebookFigure

        figure = NotebookFigure(figsize=(5, 3), layout="constrained")
        figure.suptitle(self._answer())
        for axes, face in zip(figure.subplots(1, 2), (self.first, self.second), strict=True):
            axes.imshow(face.image)
            axes.set_axis_off()
        return figure

    def __repr__(self) -> str:
        return f"{self._answer()}\nthreshold: {self.threshold_source}"

    def _repr_html_(self) -> str:
        threshold = "none" if self.threshold is None else f"{self.threshold:.3f}"
        row = [self._verdict(), f"{self.cosine:.3f}", threshold, self.model]
        table = Table(["answer", "cosine", "threshold", "model"], [row])
        return notebook_html([table], [f"threshold: {self.threshold_source}"])

    def _answer(self) -> str:
        answer = f"{self._verdict()}: cosine {self.cosine:.3f}"
        if self.threshold is not None:
            answer += f" {'>=' if self.is_same else '<'} {self.threshold:.3f}"
        if self.unaligned:
            looks = "looks" if len(self.unaligned) == 1 else "look"
            answer += f" (can't be trusted: {' and '.join(self.unaligned)} {looks} unaligned)"
        return answer

    def _verdict(self) -> str:
        words = {True: "same person", False: "different people", None: "not decided"}
        return words[self.is_same]


def compare(
    first: Photo,
    second: Photo,
    *,
    model: Model,
    threshold: float | None = None,
    aligned: bool = False,
) -> Comparison:
    """Compares the faces of two photos.

    Faces are found and aligned as by `align`. Of photos with several faces, all pairs are compared
    and the most similar pair decides; `cosines` has all of them. The more pairs there are, the more
    often two strangers are similar by chance.

    Args:
        first, second: photos as `align` takes them.
        model: what `load_embedder` returns, or its argument.
        threshold: the smallest cosine of two faces of one person; by default that of the run's own
            evaluation (`Embedder.threshold`). Without any, `is_same` is None: a threshold holds for
            one model, and no other is assumed.
        aligned: both photos are aligned faces already.

    Returns:
        The answer.

    Raises:
        InputError: a photo can't be read or has no face, the model can't be loaded, or the
            embedding of a face is all zeros, as of a blank image.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> face = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        >>> answer = tfface.compare(face, face, model="pixels", threshold=0.5, aligned=True)
        >>> answer
        same person: cosine 1.000 >= 0.500
        threshold: given by the caller
        >>> answer.is_same
        True
    """
    embedder = as_embedder(model)
    chosen = embedder.threshold_for_photos(threshold, aligned=aligned)
    found, unaligned = [], []
    for photo, name in ((first, "the first photo"), (second, "the second photo")):
        faces = faces_for(embedder, photo, aligned=aligned, in_memory=name)
        if not faces:
            raise no_face_error(photo, name)
        found.append(faces)
        if aligned and warn_of_unaligned(embedder, photo, name):
            unaligned.append(photo_name(photo, name))
    faces = [face for of_photo in found for face in of_photo]
    embeddings = embedder.embed(faces).astype(np.float64)
    num_first = len(found[0])
    names = [photo_name(first)] * num_first + [photo_name(second)] * len(found[1])
    units = comparable_embeddings(embeddings, names)
    cosines = np.clip(units[:num_first] @ units[num_first:].T, -1, 1)
    row, column = np.unravel_index(cosines.argmax(), cosines.shape)
    return Comparison(
        cosine=float(cosines[row, column]),
        threshold=chosen.cosine,
        threshold_source=chosen.source,
        first=found[0][row],
        second=found[1][column],
        all_faces=(found[0], found[1]),
        cosines=cosines,
        model=embedder.name,
        unaligned=unaligned,
    )
