"""The files of a gallery.

    gallery.json            the two files below with size and SHA-256, and the model's name and
                            fingerprint
    index-000001.faiss      the FAISS index
    faces-000001.csv        name, image and SHA-256 of the image, a row for each embedding

Every change writes both files under the next number, then replaces gallery.json, then deletes the
old files. So if a writer is killed, gallery.json names complete files: the old or the new ones. The
next writer deletes the files of an interrupted change and no others, because a user may keep files
of such names there.

Until the first gallery.json is written, `.tfface-building` distinguishes the files of a killed
build, which the next build replaces, from those of a gallery that has lost its gallery.json.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, StrictBool, model_validator

from tfface.errors import InputError
from tfface.evaluation.embedders.options import hash_files
from tfface.evaluation.face_index import FaceIndex
from tfface.files import is_temporary, parse_json, read_regular, replacing, write_json
from tfface.folder_lock import locked
from tfface.json_file import Count, ListOf, Text, check_version, checked_as
from tfface.names import cell_text, safe_cell

MANIFEST = "gallery.json"
KINDS = ("flat", "hnsw")
_VERSION = 1
_COLUMNS = ("name", "image", "sha256")
_BUILDING = ".tfface-building"
# Far below what Python and file systems can count to, and above what anybody changes.
_MOST_CHANGES = 10**9
_Side = Annotated[Count, Field(ge=1)]
_REPAIR = (
    ", so the gallery can't be used: restore the folder from a copy, or delete it and build the "
    "gallery again"
)
# A reader that finds files missing tries again, because a writer may have replaced them.
_READS = 5


class EnrolledFace(NamedTuple):
    """The person and the image of an embedding, and the SHA-256 of the image (64 digits)."""

    name: str
    image: str
    sha256: str


class LoadOptions(BaseModel, extra="forbid", frozen=True):
    """The arguments of `tfface.load_embedder` that a gallery keeps."""

    model: Text
    flip: StrictBool = True
    color_order: Literal["rgb", "bgr"] | None = None
    input_range: str | None = None
    image_size: tuple[_Side, _Side] | None = None
    output: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class GalleryContent:
    """The content of a gallery.

    Attributes:
        model, fingerprint: of the embedder.
        index: of unit embeddings.
        faces: person and image of each embedding.
        generation: the number of times it was written.
        threshold: the smallest cosine of a known face; None if none was chosen.
        threshold_source: where the threshold comes from, as a text; None if that is not known.
        num_calibrated: the number of faces, the first ones, that were there when the threshold was
            chosen by photos of strangers; None if it wasn't, or by an earlier version.
        load_options: how the model was loaded; None if it was made in memory.
    """

    model: str
    fingerprint: str
    index: FaceIndex
    faces: list[EnrolledFace]
    generation: int = 0
    threshold: float | None = None
    threshold_source: str | None = None
    num_calibrated: int | None = None
    load_options: LoadOptions | None = None

    @property
    def num_uncalibrated_names(self) -> int:
        """The number of people who were added after the threshold was chosen."""
        if self.num_calibrated is None:
            return 0
        before = {face.name for face in self.faces[: self.num_calibrated]}
        return len({face.name for face in self.faces[self.num_calibrated :]} - before)


class _File(BaseModel):
    file: str
    bytes: Count
    sha256: str


class _Manifest(BaseModel):
    """The fields of gallery.json that are read."""

    generation: Annotated[Count, Field(ge=1, le=_MOST_CHANGES)]
    model: Text
    fingerprint: str
    embedding_size: Count
    index: Literal[KINDS]
    num_images: Count
    threshold: Annotated[float, Field(strict=True, ge=-1, le=1)] | None = None
    threshold_source: Text | None = None
    num_calibrated: Count | None = None
    load_options: LoadOptions | None = None
    files: ListOf[_File]

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        # No path, and no other files than the gallery's own.
        if [file.file for file in self.files] != _file_names(self.generation):
            raise ValueError("files of another gallery")
        return self


def check_gallery(folder: Path) -> None:
    """Checks quickly that a folder contains a gallery.

    Raises:
        InputError: it doesn't.
    """
    _read_manifest(folder)


def read_generation(folder: Path) -> int:
    """Returns how often a gallery was written, without reading it.

    Raises:
        InputError: there is no gallery, or its gallery.json is damaged.
    """
    return _read_manifest(folder).generation


def read_gallery(folder: Path) -> GalleryContent:
    """Reads a gallery.

    Args:
        folder: of the gallery.

    Returns:
        The gallery.

    Raises:
        InputError: there is no gallery, or it is damaged.
    """
    for _ in range(_READS):
        manifest = _read_manifest(folder)
        try:
            return _read_files(folder, manifest)
        except InputError:
            if _read_manifest(folder).generation == manifest.generation:
                raise
    raise InputError(f"{folder}: other processes keep changing it; try again")


def check_new(folder: Path) -> None:
    """Checks that a gallery can be built in a folder: a new or empty one, or one of a killed build.

    Raises:
        InputError: it contains a gallery or other files, or is a file.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder")
    if (folder / MANIFEST).exists():
        # A damaged one can't be added to, and its error says what to do.
        _read_files(folder, _read_manifest(folder))
        raise InputError(
            f"{folder}: contains a gallery already: add to it, or build another one elsewhere"
        )
    names = {path.name for path in folder.iterdir() if not is_temporary(path)}
    others = set(names)
    if _BUILDING in names:
        others -= {_BUILDING, *_file_names(1)}
    if _holds_generation(others):
        raise InputError(f"{folder / MANIFEST}: is missing{_REPAIR}")
    if others:
        raise InputError(f"{folder}: contains other files; give a new folder")


@contextmanager
def new_gallery(folder: Path) -> Iterator[None]:
    """Locks a folder for the first `write_gallery`.

    Raises:
        InputError: it contains a gallery or other files, or another process is writing it.
    """
    existed = folder.exists()
    with locked(folder):
        check_new(folder)
        _delete(folder, _file_names(1))
        (folder / _BUILDING).touch()
        try:
            yield
        finally:
            if not (folder / MANIFEST).exists():
                _delete(folder, _file_names(1))
            # Last, so that files of a process that is killed here can still be recognized.
            (folder / _BUILDING).unlink(missing_ok=True)
            if not existed and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def changing_gallery(folder: Path) -> Iterator[GalleryContent]:
    """Locks and yields a gallery.

    Raises:
        InputError: there is no gallery, it is damaged, or another process is writing it.
    """
    # Locking would create the folder.
    _read_manifest(folder)
    with locked(folder):
        manifest = _read_manifest(folder)
        gallery = _read_files(folder, manifest)
        # Files of a writer that was killed after it replaced gallery.json, or before.
        _delete(folder, _file_names(gallery.generation - 1))
        _delete(folder, _file_names(gallery.generation + 1))
        (folder / _BUILDING).unlink(missing_ok=True)
        yield gallery


def write_gallery(folder: Path, gallery: GalleryContent) -> None:
    """Writes the next generation of a gallery, within `new_gallery` or `changing_gallery`.

    Raises:
        InputError: a file can't be written.
    """
    generation = gallery.generation + 1
    if generation > _MOST_CHANGES:
        raise InputError(f"{folder}: was changed {_MOST_CHANGES:,} times: build it again")
    index, faces = (folder / name for name in _file_names(generation))
    gallery.index.write(index)
    _write_faces(faces, gallery.faces)
    manifest = {
        "format": _VERSION,
        "generation": generation,
        "model": gallery.model,
        "fingerprint": gallery.fingerprint,
        "embedding_size": gallery.index.embedding_size,
        "index": gallery.index.kind,
        "num_images": len(gallery.faces),
        "num_names": len({face.name for face in gallery.faces}),
        **({} if gallery.threshold is None else {"threshold": gallery.threshold}),
        **(
            {"threshold_source": gallery.threshold_source}
            if gallery.threshold_source is not None
            else {}
        ),
        **({} if gallery.num_calibrated is None else {"num_calibrated": gallery.num_calibrated}),
        **_described_options(gallery.load_options),
        "files": [_described(path) for path in (index, faces)],
    }
    write_json(folder / MANIFEST, manifest)
    _delete(folder, _file_names(gallery.generation))


def _holds_generation(names: set[str]) -> bool:
    """Whether there are both files of a generation."""
    numbers = (re.fullmatch(r"index-(\d{6,})\.faiss", name) for name in names)
    return any(number and f"faces-{number[1]}.csv" in names for number in numbers)


def _delete(folder: Path, names: list[str]) -> None:
    """Deletes files of a generation, and temporary files of killed writers."""
    for path in list(folder.iterdir()):
        if path.name in names or is_temporary(path):
            path.unlink(missing_ok=True)


def _file_names(generation: int) -> list[str]:
    """Returns the names of index and faces; generation 0 has none."""
    if generation < 1:
        return []
    return [f"index-{generation:06}.faiss", f"faces-{generation:06}.csv"]


def _described_options(options: LoadOptions | None) -> dict:
    return {} if options is None else {"load_options": options.model_dump(exclude_defaults=True)}


def _described(path: Path) -> dict:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": hash_files(path)}


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    try:
        manifest = parse_json(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        if _BUILDING not in names and _holds_generation(names):
            raise InputError(f"{path}: is missing{_REPAIR}") from None
        raise InputError(
            f"{folder}: no gallery: expected a folder that tfface gallery build wrote"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise _damaged(path)
    check_version(path, manifest, "format", _VERSION)
    try:
        return checked_as(_Manifest, manifest)
    except ValueError as error:
        raise _damaged(path) from error


def _read_files(folder: Path, manifest: _Manifest) -> GalleryContent:
    index_path, faces_path = (folder / file.file for file in manifest.files)
    for file in manifest.files:
        path = folder / file.file
        try:
            same = path.stat().st_size == file.bytes and hash_files(path) == file.sha256
        except FileNotFoundError as error:
            raise InputError(f"{path}: is missing{_REPAIR}") from error
        except OSError as error:
            raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
        # FAISS does not check its files, so it must not read a damaged one.
        if not same:
            raise _damaged(path)
    index = FaceIndex.read(index_path, manifest.index)
    faces = _read_faces(faces_path)
    if not len(index) == len(faces) == manifest.num_images:
        raise _damaged(folder / MANIFEST)
    if index.embedding_size != manifest.embedding_size:
        raise _damaged(folder / MANIFEST)
    if not index.is_of_units():
        raise _damaged(index_path)
    return GalleryContent(
        model=manifest.model,
        fingerprint=manifest.fingerprint,
        index=index,
        faces=faces,
        generation=manifest.generation,
        threshold=manifest.threshold,
        threshold_source=manifest.threshold_source,
        num_calibrated=manifest.num_calibrated,
        load_options=manifest.load_options,
    )


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: is damaged{_REPAIR}")


def _write_faces(path: Path, faces: list[EnrolledFace]) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(map(safe_cell, face) for face in faces)


def _read_faces(path: Path) -> list[EnrolledFace]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != list(_COLUMNS):
                raise _damaged(path)
            return [_face(*row) for row in rows]
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (TypeError, csv.Error) as error:
        raise _damaged(path) from error


def _face(name: str, image: str, sha256: str) -> EnrolledFace:
    # Early versions did not normalize names.
    return EnrolledFace(unicodedata.normalize("NFC", cell_text(name)), cell_text(image), sha256)
