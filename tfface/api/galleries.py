"""Galleries of people for users: build one from photos, and ask it who a photo shows."""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfface import arguments
from tfface.alignment.photo_faces import AlignedFace, Photo, photo_name
from tfface.api.embedding import (
    Embedder,
    Model,
    Threshold,
    as_embedder,
    load_embedder,
)
from tfface.api.enrolling import People, enroll, photos_of
from tfface.api.faces import faces_for, warn_of_unaligned
from tfface.data.sources.opening import source_paths
from tfface.errors import InputError, shown, warn
from tfface.evaluation.embedders.embedder import comparable_embeddings
from tfface.evaluation.embedders.model_kind import is_recipe_file
from tfface.evaluation.embedders.precision import runs_bfloat16
from tfface.evaluation.identification import embed_faces
from tfface.gallery import calibration, changes, storage
from tfface.gallery import gallery as galleries
from tfface.gallery.calibration import Calibration, Stranger
from tfface.gallery.changes import GalleryChange, people_added
from tfface.gallery.gallery import Candidate
from tfface.gallery.photos import EnrolledFaces
from tfface.gallery.storage import GalleryContent, LoadOptions, read_gallery, read_generation
from tfface.output_paths import check_output
from tfface.paths import expanded
from tfface.reporting.format import MISSING, Table
from tfface.reporting.html import notebook_html
from tfface.reporting.identification_tables import gallery_table

_NO_THRESHOLD = (
    "none is kept with the gallery: choose one by photos of strangers (tfface gallery calibrate, "
    "or Gallery.calibrate in Python)"
)


@dataclass(frozen=True, repr=False)
class IdentifiedFace:
    """A face of a photo, and who it may be.

    Attributes:
        face: as `align` returns it.
        candidates: the most similar people, in descending order of the cosine.
        threshold: a candidate is known if the cosine is >= this; None if it is not known.
        threshold_source: where the threshold comes from; if none is known, what to do about it.
        unaligned: the photo was given as an aligned face and looks unaligned: then the answer can't
            be trusted.
    """

    face: AlignedFace
    candidates: list[Candidate]
    threshold: float | None
    threshold_source: str
    unaligned: bool = False

    @property
    def cosine(self) -> float:
        """Of the most similar person."""
        return self.candidates[0].cosine

    @property
    def is_known(self) -> bool | None:
        """Whether the most similar person is similar enough; None without a threshold."""
        return None if self.threshold is None else self.cosine >= self.threshold

    @property
    def name(self) -> str | None:
        """The person; None for a stranger, and without a threshold."""
        return self.candidates[0].name if self.is_known else None

    def to_dict(self) -> dict:
        """Returns the answer as JSON can hold it; a box is left, top, right, bottom in pixels."""
        return {
            "name": self.name,
            "is_known": self.is_known,
            "threshold": self.threshold,
            "threshold_source": self.threshold_source,
            "unaligned": self.unaligned,
            "box": self.face.box.tolist(),
            "confidence": self.face.confidence,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }

    def __repr__(self) -> str:
        most_similar = shown(self.candidates[0].name)
        nearest = f"most similar: {most_similar}, cosine {self.cosine:.3f}"
        doubt = "; can't be trusted: the photo looks unaligned" if self.unaligned else ""
        if self.is_known is None:
            return f"not decided ({nearest}; threshold: {self.threshold_source}{doubt})"
        sign = ">=" if self.is_known else "<"
        who = most_similar if self.is_known else "unknown"
        return f"{who} ({nearest} {sign} {self.threshold:.3f}{doubt})"

    def _repr_html_(self) -> str:
        rows = [
            [self.name or MISSING, candidate.name, f"{candidate.cosine:.3f}"]
            for candidate in self.candidates
        ]
        table = Table(["person", "most similar", "cosine"], rows)
        return notebook_html([table], [f"threshold: {self.threshold_source}"])


class Gallery:
    """A folder of named embeddings: build it from photos, and ask it who a photo shows.

    Faces are found and aligned as by `align`, unless `aligned` says that they are aligned already.
    Changes are written to disk at once; one that is interrupted leaves the gallery as it was, or as
    it is after. Several processes may use one gallery.

    Use `build` for a new gallery and `load` for one on disk.

    Args:
        path: folder of the gallery.
        model: the model that built it; by default it is loaded from where it was then.

    Attributes:
        path: as given.
        model: the embedder; loaded when it is first needed.
        last_change: what the last `build`, `add` or `remove` of this object changed.
        last_calibration: the last `calibrate` of this object: the threshold before, and the
            strangers who are most similar to people of the gallery.

    Raises:
        InputError: there is no gallery, it is damaged, or another model built it.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> faces = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
        >>> people = {"Anna": faces[0], "Ben": [faces[1]]}
        >>> gallery = tfface.Gallery.build("pixels", people, aligned=True, threshold=0.5)
        >>> gallery.names
        ['Anna', 'Ben']
        >>> gallery.identify(faces[1], aligned=True)
        [Ben (most similar: Ben, cosine 1.000 >= 0.500)]
        >>> gallery.identify(faces[2], aligned=True)[0].name is None
        True
        >>> gallery.add(faces[2], name="Cleo", aligned=True).num_images
        3
        >>> gallery.remove("Anna").num_names
        2
    """

    def __init__(self, path: str | os.PathLike[str], model: Model | None = None):
        self.path = expanded(path)
        self._model: Embedder | None = None if model is None else as_embedder(model)
        self.last_change: GalleryChange | None = None
        self.last_calibration: Calibration | None = None
        self._content = read_gallery(self.path)
        # Of a gallery that nobody wants to keep.
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if self._model is not None:
            galleries.check_model(self._model.embedder, self._content, self.path)

    @classmethod
    def build(
        cls,
        model: Model,
        people: People,
        *,
        path: str | os.PathLike[str] | None = None,
        aligned: bool = False,
        threshold: float | None = None,
        index: Literal["flat", "hnsw"] = "flat",
    ) -> "Gallery":
        """Builds a gallery.

        Args:
            model: what `load_embedder` returns, or its argument.
            people: a folder with one folder for each person, with photos at any depth; any other
                source of labeled images (as in `open_source`); or a dict from name to photos. Of a
                photo with several faces, the most important one is enrolled. Photos without a face
                are skipped, with a warning.
            path: a new or empty folder; None for a gallery that is deleted with this object.
            aligned: the photos are aligned faces already.
            threshold: kept with the gallery: the smallest cosine of a known face, for example as
                `evaluate_identification` recommends it.
            index: `flat` compares with every image; `hnsw` is for hundreds of thousands of images.

        Returns:
            The gallery.

        Raises:
            InputError: no photo has a face, a source can't be opened, `path` isn't empty, or with
                `aligned`, an image can't be read.
        """
        if threshold is not None:
            threshold = arguments.cosine("threshold", threshold)
        arguments.one_of("index", index, storage.KINDS)
        if path is not None:
            storage.check_new(expanded(path))
        embedder = as_embedder(model)
        if isinstance(people, str | os.PathLike) and path is not None:
            check_output(source_paths(os.fspath(people)), expanded(path))
        photos = photos_of(people)
        temporary = None
        if path is None:
            temporary = tempfile.TemporaryDirectory(prefix="tfface-gallery-")
            path = Path(temporary.name, "gallery")

        def load_options() -> LoadOptions | None:
            kept = embedder.load_options
            return None if kept is None else LoadOptions(**kept)

        enrolled = enroll(embedder, photos, aligned=aligned)
        change = galleries.build_gallery(
            embedder.embedder,
            enrolled.faces,
            expanded(path),
            kind=index,
            threshold=threshold,
            load_options=load_options,
        )
        gallery = cls(path, embedder)
        gallery._temporary = temporary
        gallery.last_change = _with_skipped(change, enrolled)
        return gallery

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Model | None = None) -> "Gallery":
        """Opens a gallery on disk.

        Args:
            path: its folder.
            model: the model that built it, loaded with the same options; by default it is loaded
                from where it was then, once it is needed.

        Returns:
            The gallery.

        Raises:
            InputError: there is no gallery, it is damaged, or another model built it.
        """
        return cls(path, model)

    @property
    def model(self) -> Embedder:
        """The model that built the gallery.

        Raises:
            InputError: it was not given, and can't be loaded from where it was.
        """
        if self._model is None:
            self._model = self._load_model()
        return self._model

    @property
    def names(self) -> list[str]:
        """The people, sorted."""
        return sorted(self.num_images)

    @property
    def num_images(self) -> dict[str, int]:
        """The number of images of each person."""
        return dict(Counter(face.name for face in self._read().faces))

    @property
    def threshold(self) -> float | None:
        """The threshold that is kept with the gallery."""
        return self._read().threshold

    @property
    def threshold_source(self) -> str:
        """Where that threshold comes from; if there is none, what to do about it."""
        return self._own_threshold().source

    def __len__(self) -> int:
        return len(self._read().faces)

    def __repr__(self) -> str:
        content = self._read()
        return (
            f"Gallery({len(content.faces):,} images of {len(self.num_images):,} people, embedded "
            f"by {shown(content.model)})"
        )

    def _repr_html_(self) -> str:
        content = self._read()
        return notebook_html([gallery_table([face.name for face in content.faces], content.model)])

    def add(
        self,
        photos: People | Photo | Sequence[Photo],
        *,
        name: str | None = None,
        aligned: bool = False,
    ) -> GalleryChange:
        """Adds photos of new people or of known ones, and skips photos that it already contains.

        Args:
            photos: as for `build`; with `name` a photo, photos, or folders of photos.
            name: all photos show this person.
            aligned: the photos are aligned faces already.

        Returns:
            What has changed.

        Raises:
            InputError: no photo has a face, one can't be read, or the model that built the
                gallery can't be loaded.
        """
        embedder = self.model
        people: Any = photos if name is None else {arguments.text("name", name): photos}
        enrolled = enroll(embedder, photos_of(people), aligned=aligned)
        change = galleries.add_to_gallery(embedder.embedder, enrolled.faces, self.path)
        self.last_change = _with_skipped(change, enrolled)
        return self.last_change

    def remove(self, *names: str) -> GalleryChange:
        """Removes all images of people.

        Args:
            names: of the people.

        Returns:
            What has changed.

        Raises:
            InputError: it has nobody of this name.
        """
        if not names:
            raise InputError("names: give the people to remove")
        for name in names:
            arguments.text("a name", name)
        self.last_change = changes.remove_from_gallery(names, self.path)
        return self.last_change

    def calibrate(
        self,
        strangers: Photo | Sequence[Photo],
        *,
        fpir: float = 0.01,
        aligned: bool = False,
        allow_similar: bool = False,
    ) -> float:
        """Chooses the threshold by photos of strangers, and keeps it with the gallery.

        The threshold is the smallest at which at most `fpir` of the strangers would get a name.
        The more people a gallery has, the more often a stranger is similar to one of them: choose
        it again after adding people.

        Args:
            strangers: photos of people who are not in the gallery, or folders of such photos, at
                least 1 / fpir; best one photo of each. Copies of a photo count once.
            fpir: false positive identification rate, the share of strangers who may get a name.
            aligned: the photos are aligned faces already.
            allow_similar: choose it even if some strangers look like photos of a person of the
                gallery: they are as similar to the person as the person's own photos are to each
                other, and far above the other strangers. Such photos raise the threshold so much
                that known people get no name any more.

        Returns:
            The threshold.

        Raises:
            InputError: there are too few strangers, one of the photos is in the gallery or looks
                like another photo of one of its people, none has a face, no threshold turns them
                away, or the model that built the gallery can't be loaded. The gallery keeps the
                threshold that it had.

        Example:
            >>> import numpy as np
            >>> import tfface
            >>> faces = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
            >>> gallery = tfface.Gallery.build("pixels", {"Anna": faces[0]}, aligned=True)
            >>> threshold = gallery.calibrate(list(faces[1:]), fpir=0.1, aligned=True)
            >>> gallery.threshold == threshold
            True
        """
        fpir = arguments.number(
            "fpir", fpir, lambda value: 0 < value < 1, "between 0 and 1, as 0.01"
        )
        embedder = self.model
        photos = photos_of({"a stranger": strangers})
        calibration.check_num_strangers(len(photos), fpir)
        faces = enroll(embedder, photos, aligned=aligned).faces
        content = self._read()
        known = {face.sha256: face for face in content.faces}
        digests = [*faces.images.digests()]
        for name, digest in zip(faces.image_names, digests, strict=True):
            if digest.hex() in known:
                person = known[digest.hex()].name
                raise InputError(f"{name}: is no stranger: the gallery has this photo of {person}")
        # A copy says nothing new about strangers.
        first_of = {digest: number for number, digest in reversed([*enumerate(digests)])}
        num_copies = len(faces) - len(first_of)
        if num_copies:
            copies = "1 is a copy" if num_copies == 1 else f"{num_copies:,} are copies"
            warn(f"of {len(faces):,} photos of strangers {copies} of another, and left out")
            faces = faces.take(np.array(sorted(first_of.values())))
        found = galleries.find_names(content, embed_faces(embedder.embedder, faces))
        cosines = np.array([candidates[0].cosine for candidates in found])
        threshold = calibration.threshold_for_strangers(cosines, fpir)
        if threshold >= 1:
            number = int(cosines.argmax())
            raise InputError(
                f"these strangers can't be told from the people of the gallery: "
                f"{np.count_nonzero(cosines > 0.9999):,} of {len(cosines):,} have a cosine of 1 "
                f"(for example {faces.image_names[number]} with {shown(found[number][0].name)}); "
                "do the photos show these people, or does the model not tell faces apart?"
            )
        strangers_found = [
            Stranger(name, candidates[0].name, candidates[0].cosine)
            for name, candidates in zip(faces.image_names, found, strict=True)
        ]
        if not allow_similar:
            kept = "none" if content.threshold is None else f"{content.threshold:.4f}, as before"
            calibration.check_strangers(
                strangers_found, content, f"the threshold of the gallery is {kept}"
            )
        named = int(np.count_nonzero(cosines >= threshold))
        changes.set_threshold(
            self.path, threshold, f"names {named:,} of {len(cosines):,} strangers"
        )
        self.last_calibration = Calibration(
            threshold,
            content.threshold,
            len(cosines),
            named,
            calibration.most_similar(strangers_found),
        )
        return threshold

    def identify(
        self,
        photo: Photo,
        *,
        threshold: float | None = None,
        top: int = 3,
        aligned: bool = False,
    ) -> list[IdentifiedFace]:
        """Says who a photo shows.

        Args:
            photo: as `align` takes it.
            threshold: the smallest cosine of a known face. By default that of the gallery, else
                that of the run's own evaluation (`Embedder.threshold`), which is for pairs: among
                many people, strangers are similar to one of them more often. Without any, nobody is
                named: `candidates` still lists the most similar people.
            top: number of candidates for each face.
            aligned: the photo is one aligned face already.

        Returns:
            An answer for each face, the most important face first; an empty list for a photo
            without a face.

        Raises:
            InputError: the photo can't be read; `aligned` is true and its shape rules that out; the
                gallery is empty, or the model that built it can't be loaded.
        """
        top = arguments.whole_number("top", top, 1)
        embedder = self.model
        chosen = self._choose_threshold(embedder, threshold, aligned=aligned)
        faces = faces_for(embedder, photo, aligned=aligned)
        unaligned = aligned and warn_of_unaligned(embedder, photo)
        if not faces:
            return []
        units = comparable_embeddings(embedder.embed(faces), [photo_name(photo)] * len(faces))
        found = galleries.find_names(self._read(), units.astype(np.float32), count=top)
        return [
            IdentifiedFace(face, candidates, chosen.cosine, chosen.source, unaligned)
            for face, candidates in zip(faces, found, strict=True)
        ]

    def _choose_threshold(
        self, embedder: Embedder, given: float | None, *, aligned: bool
    ) -> Threshold:
        own = self._own_threshold()
        if given is None and own.cosine is not None:
            return own
        found = embedder.threshold_for_photos(given, aligned=aligned)
        return own if found.cosine is None else found

    def _own_threshold(self) -> Threshold:
        content = self._read()
        if content.threshold is None:
            return Threshold(None, _NO_THRESHOLD)
        # From a file, which anybody may have written.
        parts = ["kept with the gallery", shown(content.threshold_source or "")]
        source = ": ".join(part for part in parts if part)
        added = people_added(content.num_uncalibrated_names)
        return Threshold(content.threshold, f"{source}; {added}" if added else source)

    def _load_model(self) -> Embedder:
        """Loads the model from where it was when the gallery was built."""
        options = self._content.load_options
        if options is None:
            name = shown(self._content.model)
            raise InputError(f"{self.path}: name the model that built it: '{name}'")
        path = Path(options.model)
        # A gallery keeps where a file or folder is, as a whole path; a recipe is no model of one.
        is_there = path.is_absolute() and (path.is_file() or path.is_dir())
        if options.model != "pixels" and (not is_there or is_recipe_file(path)):
            raise InputError(f"{self.path}: its model is no longer at {shown(str(path))}: name it")
        # A SavedModel runs whatever is in it, and a gallery may come from anybody.
        if (path / "saved_model.pb").exists():
            raise InputError(
                f"{self.path}: was built by the SavedModel {path}, which is loaded only when you "
                "name it"
            )
        if options.precision == "bfloat16" and not runs_bfloat16():
            raise InputError(
                f"{self.path}: its embeddings were computed in bfloat16, which needs TensorFlow "
                "with oneDNN and without a GPU: build it again with a model in float32"
            )
        model = load_embedder(**options.model_dump())
        galleries.check_model(model.embedder, self._content, self.path)
        return model

    def _read(self) -> GalleryContent:
        """Returns the content, and reads it again if another process has changed it."""
        if read_generation(self.path) != self._content.generation:
            self._content = read_gallery(self.path)
        return self._content


def _with_skipped(change: GalleryChange, enrolled: EnrolledFaces) -> GalleryChange:
    return replace(change, skipped=enrolled.skipped, several_faces=enrolled.several)
