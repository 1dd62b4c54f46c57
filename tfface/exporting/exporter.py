"""Writes a model in one or more formats; a file that is not the same model is not kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfface import __version__
from tfface.alignment.template import template_points
from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.metadata import MeasuredThreshold, ModelMetadata
from tfface.evaluation.embedders.options import hash_files
from tfface.evaluation.verification import Verification, evaluate_verification
from tfface.exporting.faces import ExportFaces
from tfface.exporting.formats import FORMATS, check_installed, check_options, find_format
from tfface.exporting.graph import export_network, in_float32, normalization_inside
from tfface.exporting.model_card import CardFacts, card, to_markdown
from tfface.exporting.options import ExportOptions
from tfface.exporting.output_files import cards_of, check_output_path, move, staging
from tfface.exporting.parity import (
    Original,
    Parity,
    check_accuracy,
    check_parity,
    measure_parity,
)
from tfface.exporting.timing import image_milliseconds
from tfface.files import write_json
from tfface.quiet_tensorflow import without_notes
from tfface.reporting.results import text_table


@dataclass(frozen=True)
class ModelFile:
    """A model file and what was measured on it.

    Attributes:
        name: of the model.
        format: `keras` for the original, or a key of `FORMATS`.
        precision: `float32` or as it was quantized.
        size_mb: in units of 1e6 bytes; None for a model in memory.
        parity: comparison with the original; None for the original itself.
        image_ms: number of threads -> milliseconds for each image; empty if not measured.
        verification: on the pairs; None without pairs.
    """

    name: str
    format: str
    precision: str
    size_mb: float | None
    parity: Parity | None
    image_ms: Mapping[int, float]
    verification: Verification | None

    def row(self) -> dict[str, object]:
        """Returns the row of results/export.csv."""
        measured = self.verification
        accuracy = measured.accuracy if measured else None
        return {
            "model": self.name,
            "format": self.format,
            "precision": self.precision,
            "model_mb": self.size_mb,
            "image_ms_1_thread": self.image_ms.get(1),
            "image_ms_2_threads": self.image_ms.get(2),
            "cosine_min": self.parity and self.parity.cosine_min,
            "cosine_mean": self.parity and self.parity.cosine_mean,
            "relative_error": self.parity and self.parity.relative_error,
            "pair_set": measured and measured.name,
            "num_pairs": measured and measured.num_pairs,
            "accuracy_mean": accuracy and accuracy.mean,
            "accuracy_std": accuracy and accuracy.std,
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns what was measured, for JSON."""
        return {
            "format": self.format,
            "precision": self.precision,
            "size_mb": self.size_mb,
            "image_ms": {str(threads): ms for threads, ms in self.image_ms.items()},
            "parity": self.parity and self.parity.to_dict(),
            "verification": self.verification
            and {self.verification.name: self.verification.to_dict()},
        }


@dataclass(frozen=True, repr=False)
class ExportResult(ModelFile):
    """An exported file, as `tfface.export` returns it.

    Attributes:
        path: of the file, or of the SavedModel folder.
        card: of the model card in Markdown; the same facts are in the `.json` file beside it.
        metadata: what the file says of itself.
        original: the model before the export.
    """

    path: Path
    card: Path
    metadata: ModelMetadata
    original: ModelFile

    def to_dict(self) -> dict[str, Any]:
        """Returns what was written and measured, for JSON."""
        return {"path": str(self.path), "card": str(self.card), **super().to_dict()}

    def __repr__(self) -> str:
        return f"{self.path}\n{to_text([self.original, self])}"


def to_text(files: list[ModelFile]) -> str:
    """Returns a table of model files for a terminal, without columns that are empty."""
    rows = [file.row() for file in files]
    empty = [column for column in rows[0] if all(row[column] is None for row in rows)]
    # It stands beside the mean.
    return text_table(rows, without=[*empty, "accuracy_std"])


class Exporter:
    """Writes a model in one format after another.

    Args:
        network: the embedder; float RGB images in 0..255 -> [batch, embedding_size]. It contains
            its input normalization. It is exported in float32, whatever it was trained in.
        name: of the model.
        options: of the export.
        faces: to calibrate on and to compare by.
        pair_set: to measure accuracy on before and after; None for none.
        facts: for the model card.
        path: of the model's file; None for a model in memory.
        threshold: that is known of the model; a pair set's own takes its place. It doesn't hold for
            files of unit embeddings, whose sums with those of mirror images are others.
        recipe_sha256: of the recipe of its training.
        timing: measure milliseconds for each image.

    Raises:
        InputError: the model doesn't embed images, or Keras runs on another backend than
            TensorFlow.

    Example:
        >>> network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> faces = ExportFaces(np.zeros((0, 8, 8, 3), np.uint8), np.eye(8, dtype=np.uint8), "eye")
        >>> Exporter(network, "flat", ExportOptions(), faces).metadata.embedding_size
        192
    """

    def __init__(
        self,
        network: keras.Model,
        name: str,
        options: ExportOptions,
        faces: ExportFaces,
        *,
        pair_set: PairSet | None = None,
        facts: CardFacts | None = None,
        path: Path | None = None,
        threshold: MeasuredThreshold | None = None,
        recipe_sha256: str | None = None,
        timing: bool = True,
    ):
        if keras.backend.backend() != "tensorflow":
            raise InputError(
                f"export needs Keras on TensorFlow, and it runs on {keras.backend.backend()}: set "
                "KERAS_BACKEND=tensorflow; a model that was trained on another backend is the same "
                "there"
            )
        self._network = network = in_float32(network)
        self._name = name
        self._options = options
        self._faces = faces
        self._pair_set = pair_set
        self._facts = facts or CardFacts()
        self._path = path
        self._threshold = threshold
        self._recipe_sha256 = recipe_sha256
        self._timing = timing
        self._original = Original(network, name, options)

    @cached_property
    def original(self) -> ModelFile:
        """The model before the export."""
        verified = None
        if self._pair_set is not None:
            embedder = Original(self._network, self._name, self._options, flip=True)
            verified = evaluate_verification(embedder, self._pair_set)
        times: Mapping[int, float] = {}
        if self._timing and self._path is not None:
            times = image_milliseconds(self._path, flip=self._options.flip, batch_size=None)
        size = None if self._path is None else _megabytes([self._path])
        return ModelFile(self._name, "keras", "float32", size, None, times, verified)

    @cached_property
    def metadata(self) -> ModelMetadata:
        """What the files say of themselves."""
        height, width = self._original.image_size
        points = template_points(height, width).round(4).tolist()
        return ModelMetadata(
            tfface=__version__,
            model=self._name,
            image_size=(height, width),
            layout=self._options.layout,
            input_range=self._options.input_range,
            normalization_inside=normalization_inside(self._network),
            embedding_size=self._network.output_shape[1],
            normalized=self._options.normalized,
            flip=self._options.flip,
            batch_size=self._options.batch_size,
            precision=self._options.precision,
            float_layers=self._options.float_layers,
            template=[(x, y) for x, y in points],
            threshold=self._measured_threshold() or self._known_threshold(),
            recipe_sha256=self._recipe_sha256,
        )

    def write(
        self, output: Path, format: str | None = None, *, overwrite: bool = False
    ) -> ExportResult:
        """Writes the model, compares the file with the original, and writes the card beside it.

        Args:
            output: path of the file, or of the folder of a SavedModel.
            format: a key of `FORMATS`; by default that of the suffix.
            overwrite: replace files that no export wrote.

        Returns:
            The file and what was measured.

        Raises:
            InputError: the format does not have an option, the model can't be converted, the
                runtime refuses the file, or the file is not the same model. Nothing is left then.
        """
        name = check_export(output, format, self._options, overwrite=overwrite)
        one = FORMATS[name]
        with staging(output) as staged:
            self._convert(name, staged)
            result = self._measured(name, staged, output)
            content = card(
                output.name,
                name,
                self.metadata,
                self._facts,
                {
                    "sha256": hash_files(staged),
                    "size_mb": result.size_mb,
                    "parity": result.parity and result.parity.to_dict(),
                    "image_ms": result.to_dict()["image_ms"],
                    "verification": self._before_and_after(result),
                },
            )
            beside = cards_of(staged)
            write_json(beside[1], content)
            beside[0].write_text(to_markdown(content), encoding="utf-8")
            for path in [*one.paths(staged), *beside]:
                move(path, output.parent / path.name)
        return result

    def _convert(self, name: str, path: Path) -> None:
        calibration = self._as_input(self._faces.calibration)
        metadata = self.metadata.model_dump_json()
        try:
            # Converters tell their own users what they do.
            with without_notes():
                FORMATS[name].write(
                    export_network(self._network, self._options),
                    path,
                    self._options,
                    metadata,
                    calibration if len(calibration) else None,
                )
        except (InputError, ModuleNotFoundError, MemoryError):
            raise
        # Converters raise errors of many types for networks that they don't know.
        except Exception as error:
            lines = [line for line in str(error).strip().splitlines() if line.strip()]
            reason = lines[0][:200] if lines else "no reason given"
            raise InputError(
                f"{self._name}: can't be converted to {FORMATS[name].title} "
                f"({type(error).__name__}: {reason})"
            ) from error

    def _as_input(self, images: np.ndarray) -> np.ndarray:
        """Returns images as the files take them."""
        given = images if self._options.input_range is None else self._options.pixels.apply(images)
        return given.transpose(0, 3, 1, 2) if self._options.layout == "nchw" else given

    def _measured(self, name: str, staged: Path, output: Path) -> ExportResult:
        embedder = _load(staged, output, flip=self._options.flip)
        images = self._faces.compared
        with _naming(staged, output):
            exported = embedder.embed(images)
            precision = self._options.precision
            parity = measure_parity(self._embedded, exported, self._faces.name, precision)
            check_parity(parity, precision, self._options.float_layers)
            verified = None
            if self._pair_set is not None:
                verified = evaluate_verification(_load(staged, output, flip=True), self._pair_set)
                before = self.original.verification
                if before and before.accuracy and verified.accuracy:
                    check_accuracy(
                        before.accuracy.mean,
                        verified.accuracy.mean,
                        verified.name,
                        self._options.precision,
                        self._options.float_layers,
                    )
            times: Mapping[int, float] = {}
            if self._timing:
                times = image_milliseconds(
                    staged, flip=self._options.flip, batch_size=self._options.batch_size
                )
        return ExportResult(
            name=self._name,
            format=name,
            precision=self._options.precision,
            size_mb=_megabytes(FORMATS[name].paths(staged)),
            parity=parity,
            image_ms=times,
            verification=verified,
            path=output,
            card=cards_of(output)[0],
            metadata=self.metadata,
            original=self.original,
        )

    @cached_property
    def _embedded(self) -> np.ndarray:
        return self._original.embed(self._faces.compared)

    def _known_threshold(self) -> MeasuredThreshold | None:
        """The threshold that came with the model: of sums of embeddings as the model gives them."""
        return None if self._options.normalized else self._threshold

    def _measured_threshold(self) -> MeasuredThreshold | None:
        verified = self.original.verification if self._pair_set is not None else None
        if verified is None or verified.threshold is None or verified.accuracy is None:
            return None
        return MeasuredThreshold(
            cosine=verified.threshold.cosine,
            pair_set=verified.name,
            num_pairs=verified.num_pairs,
            accuracy=verified.accuracy.mean,
        )

    def _before_and_after(self, result: ExportResult) -> dict[str, Any]:
        before, after = self.original.verification, result.verification
        if before is None or after is None:
            return {}
        return {after.name: {"before": before.to_dict(), "after": after.to_dict()}}


def check_export(
    output: Path, format: str | None, options: ExportOptions, *, overwrite: bool = False
) -> str:
    """Finds out before long work whether a format has the options, and can be written.

    Args:
        output, format, overwrite: as for `Exporter.write`.
        options: of the export.

    Returns:
        The name of the format.

    Raises:
        InputError: it doesn't have them, or can't.
        ModuleNotFoundError: a package that writes the format is not installed.
    """
    name = find_format(output, format)
    check_options(name, options)
    check_output_path(output, name, overwrite=overwrite)
    check_installed(name)
    return name


def _load(staged: Path, output: Path, *, flip: bool) -> Any:
    with _naming(staged, output):
        return load_embedder(staged, batch_size=32, flip=flip)


@contextmanager
def _naming(staged: Path, output: Path) -> Iterator[None]:
    """Lets messages name the file where it would have gone."""
    try:
        yield
    except InputError as error:
        text = str(error).replace(str(staged), str(output))
        if str(output) not in text:
            text = f"{output}: {text}"
        raise InputError(text) from error


def _megabytes(paths: list[Path]) -> float:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
