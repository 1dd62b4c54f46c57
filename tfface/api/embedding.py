"""Embedders for users: models of every format, which embed images and know their threshold."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import keras
import numpy as np

from tfface import arguments
from tfface import recipe as recipes
from tfface.alignment.photo_faces import AlignedFace, encode_photo, photo_name
from tfface.data.pairs import synthetic
from tfface.errors import InputError, warn
from tfface.evaluation.embedders import embedder as embedders
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.external import ExternalEmbedder
from tfface.evaluation.embedders.keras_model import MODEL_FILE, KerasEmbedder
from tfface.evaluation.embedders.metadata import MeasuredThreshold
from tfface.evaluation.embedders.model_kind import is_recipe_file
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, parse_range
from tfface.evaluation.embedders.precision import BFloat16Embedder, Precision, in_precision
from tfface.evaluation.embedders.raw_pixels import RawPixelEmbedder
from tfface.evaluation.model_check import model_warnings
from tfface.evaluation.sanity_checks import alignment_warning
from tfface.files import parse_json, read_regular
from tfface.images.decoding import resize
from tfface.paths import data_dir as resolve_data_dir
from tfface.paths import expanded
from tfface.recipe.library import find_recipe, recipe_names
from tfface.training.recognizer import Recognizer, build_starting_embedder
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder
from tfface.training.training_identities import (
    TrainingImages,
    read_training_images,
    training_images_warnings,
    was_trained_on_unaligned,
)

# Decoded images, aligned faces, or files of aligned faces.
Images: TypeAlias = (
    np.ndarray | str | os.PathLike[str] | Sequence[str | os.PathLike[str] | AlignedFace]
)

# The same in words, for messages.
_IMAGES = "an array uint8 [n, height, width, 3], paths, or faces of tfface.align"

# The largest ratio of the sides of an aligned face: 112x96 has 1.17, CelebA 1.22, photos 1.33.
_SQUARE = 1.25

# So many images, as one or two photos have faces, don't wait for a whole batch.
_FEW = 4


class Threshold(NamedTuple):
    """The smallest cosine of two faces of one person.

    Attributes:
        cosine: None if no threshold is known.
        source: where it comes from; if none is known, what to do about it.
        pair_set: the verification set it was measured on; None if that is not known.
    """

    cosine: float | None
    source: str
    pair_set: str | None = None


class Embedder:
    """A model that turns aligned faces into embeddings; `load_embedder` returns one.

    Args:
        embedder: what embeds: one of `tfface.evaluation.embedders`.
        path: of the model; None for a model in memory.
        data_dir: where the relative paths of its recipe start.
        uses_flip: the embeddings of an image and of its mirror image are summed.
        load_options: the arguments of `load_embedder` that load the same model, for a gallery to
            keep, without the precision; None where there are none.

    Attributes:
        name: for tables and messages.
        image_size: (height, width) of the input images.
        batch_size: images for each forward pass.
        embedder: as given.
        path: as given.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> model = tfface.load_embedder("pixels")
        >>> model
        Embedder('pixels', 32x32 pixels)
        >>> model.embed(np.zeros((2, 32, 32, 3), np.uint8)).shape
        (2, 1024)
    """

    def __init__(
        self,
        embedder: embedders.Embedder,
        *,
        path: Path | None = None,
        data_dir: Path | None = None,
        uses_flip: bool = True,
        load_options: dict[str, Any] | None = None,
    ):
        self.name = embedder.name
        self.image_size = embedder.image_size
        self.batch_size = embedder.batch_size
        self.embedder = embedder
        self.path = path
        self._load_options = load_options
        self.data_dir = data_dir if data_dir is not None else resolve_data_dir()
        self._uses_flip = uses_flip
        self._trained_on: TrainingImages | None = None
        self._has_warned_of_drawn = False
        self._run_dir = path.parent if path is not None and path.name == MODEL_FILE else path

    def __repr__(self) -> str:
        height, width = self.image_size
        return f"Embedder('{self.name}', {width}x{height} pixels)"

    def embed(self, images: Images, *, check: bool = True) -> np.ndarray:
        """Embeds aligned faces.

        Images of another size are resized. The embeddings are not normalized: their cosine is the
        inner product after each is divided by its norm.

        Args:
            images: uint8 [n, height, width, 3], RGB in 0..255; or the paths of image files (one
                path counts as a list of one); or the faces that `align` returns. Other photos than
                aligned faces have to be aligned first.
            check: look for faces in a sample of the files, and warn if they are not aligned.

        Returns:
            float32 [n, embedding_size].

        Raises:
            InputError: there are no images, an array is of another type or shape, or a file can't
                be read.

        Example:
            >>> import numpy as np
            >>> import tfface
            >>> faces = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
            >>> embeddings = tfface.load_embedder("pixels").embed(faces)
            >>> embeddings.shape, embeddings.dtype
            ((2, 1024), dtype('float32'))
        """
        if isinstance(images, str | os.PathLike):
            images = [images]
        if isinstance(images, np.ndarray):
            return self._embed_pixels(images)
        if not isinstance(images, list | tuple):
            raise arguments.wrong("images", _IMAGES, images)
        if not images:
            raise InputError("no images to embed")
        faces = [image.image for image in images if isinstance(image, AlignedFace)]
        if len(faces) == len(images):
            # They may be of several sizes.
            resized = [self._resized(arguments.rgb_images(face[None])) for face in faces]
            return self._embed_pixels(np.concatenate(resized))
        paths = [image for image in images if isinstance(image, str | os.PathLike)]
        if len(paths) != len(images):
            odd = next(image for image in images if not isinstance(image, str | os.PathLike))
            raise InputError(f"images must be {_IMAGES}, got a list with {type(odd).__name__}")
        encoded = [encode_photo(path) for path in paths]
        names = [photo_name(path) for path in paths]
        if check:
            self.warn_of_unaligned(encoded, names, "a list of images")
        return self._embed_encoded(encoded, names)

    @property
    def fingerprint(self) -> str:
        """A text that differs whenever the embeddings differ."""
        return self.embedder.fingerprint

    @property
    def keeps_aspect(self) -> bool:
        """Whether images of another shape are cropped or padded, not stretched."""
        return self.embedder.keeps_aspect

    @property
    def load_options(self) -> dict[str, Any] | None:
        """The arguments of `load_embedder` that load the same model, or None.

        With the precision that it computes in, about which the first batch may decide.
        """
        if self._load_options is None or not isinstance(self._inner, BFloat16Embedder):
            return self._load_options
        return {**self._load_options, "precision": self._inner.precision}

    @property
    def _inner(self) -> embedders.Embedder:
        embedder = self.embedder
        return embedder.inner if isinstance(embedder, CachedEmbedder) else embedder

    @property
    def _exported_threshold(self) -> MeasuredThreshold | None:
        inner = self._inner
        metadata = inner.metadata if isinstance(inner, ExternalEmbedder) else None
        return metadata.threshold if metadata is not None and self._uses_flip else None

    @cached_property
    def thresholds(self) -> dict[str, float]:
        """The cosine thresholds that the run's own evaluation found, by verification set.

        A file of `tfface export` contains the threshold of one set. They are empty for other models
        that are no run folder, for a run whose recipe has no `evaluation.verification`, and with
        `flip=False`, for which they were not measured.
        """
        if (exported := self._exported_threshold) is not None:
            return {exported.pair_set: exported.cosine}
        return {
            measured.pair_set: measured.cosine for measured in thresholds_of(self.run_metrics())
        }

    def threshold(self, given: float | None = None) -> Threshold:
        """Returns the threshold to use, and where it comes from.

        Args:
            given: by the caller, -1 to 1; None for that of the first verification set of the run,
                or of the exported file.

        Returns:
            The threshold; its cosine is None if nobody has measured one.

        Raises:
            InputError: the given threshold is no cosine.

        Example:
            >>> import tfface
            >>> tfface.load_embedder("pixels").threshold(0.5)
            Threshold(cosine=0.5, source='given by the caller', pair_set=None)
            >>> tfface.load_embedder("pixels").threshold().cosine is None
            True
        """
        if given is not None:
            return Threshold(arguments.cosine("threshold", given), "given by the caller")
        if (exported := self._exported_threshold) is not None:
            where = _pairs_and_accuracy(exported.num_pairs, exported.pair_set, exported.accuracy)
            source = f"the file's, measured on {where}, before the export"
            return Threshold(exported.cosine, source, exported.pair_set)
        for found in thresholds_of(self.run_metrics()):
            where = _pairs_and_accuracy(found.num_pairs, found.pair_set, found.accuracy)
            source = f"the run's evaluation on {where}"
            return Threshold(found.cosine, source, found.pair_set)
        return Threshold(
            None,
            f"none is known for {self.name}: measure one on pairs (tfface evaluate verification, "
            "or tfface.evaluate_verification in Python) and give it as --threshold (threshold= in "
            "Python)",
        )

    def threshold_for_photos(self, given: float | None, *, aligned: bool) -> Threshold:
        """As `threshold`, but warns, once, if it was measured on drawn faces.

        Args:
            given: as for `threshold`.
            aligned: the photos are aligned faces already, which may be drawn ones: no warning.

        Raises:
            InputError: as `threshold`.
        """
        found = self.threshold(given)
        is_of_drawn = found.pair_set == synthetic.NAME
        if is_of_drawn and not aligned and not self._has_warned_of_drawn:
            self._has_warned_of_drawn = True
            warn(
                f"the threshold of {self.name} was measured on drawn faces and does not hold for "
                "photos: measure one on pairs of photos (tfface evaluate verification) and give it "
                "as --threshold (threshold= in Python)"
            )
        return found

    def warn_of_unaligned(self, encoded: Sequence[bytes], names: Sequence[str], what: str) -> bool:
        """Warns if faces look unaligned, unless the model was trained on such images.

        Args:
            encoded: encoded images.
            names: the images' names.
            what: the name of the set for the message.

        Returns:
            Whether it has warned.
        """
        if isinstance(self.embedder, RawPixelEmbedder):
            return False
        warning = alignment_warning(encoded, names, what)
        if warning is None or self._was_trained_on_unaligned:
            return False
        warn(warning)
        return True

    def check_shape_of_aligned(self, height: int, width: int, name: str) -> None:
        """Refuses an image whose shape rules out an aligned face.

        Args:
            height, width: of the image.
            name: of the image.

        Raises:
            InputError: it is much wider or higher than an aligned face, and the model was not
                trained on such images.
        """
        if isinstance(self._inner, RawPixelEmbedder):
            return
        own_height, own_width = self.image_size
        if min(_ratio(width, height), _ratio(width * own_height, height * own_width)) <= _SQUARE:
            return
        if not self._was_trained_on_unaligned:
            raise InputError(
                f"{name}: can't be an aligned face, as it has {width}x{height} pixels: drop "
                "--aligned (aligned=True in Python), and its faces are found"
            )

    def warn_of_model(self, encoded: Sequence[bytes], names: Sequence[str]) -> None:
        """Warns if the model's output is constant, or depends on more than the image.

        Args:
            encoded: encoded images to try it with.
            names: the images' names.
        """
        if not isinstance(self.embedder, RawPixelEmbedder):
            for warning in model_warnings(self.embedder, encoded, names):
                warn(warning)

    def warn_of_training_images(self, encoded: Sequence[bytes], what: str) -> None:
        """Warns if the model is a run that was trained on some of the images, byte for byte.

        Args:
            encoded: encoded images of an evaluation.
            what: the name of the set for the message.
        """
        # Any other model.keras may lie in a folder without a recipe.
        if self._run_dir is None or not RunFolder(self._run_dir).recipe.is_file():
            return
        for warning in training_images_warnings(
            self._run_dir, self.data_dir, [(encoded, what)], read=self._read_training_images
        ):
            warn(warning)

    def _read_training_images(self, run_dir: Path, data_dir: Path) -> TrainingImages:
        if self._trained_on is None:
            self._trained_on = read_training_images(run_dir, data_dir)
        return self._trained_on

    @cached_property
    def _was_trained_on_unaligned(self) -> bool:
        return self._run_dir is not None and was_trained_on_unaligned(self._run_dir, self.data_dir)

    def run_metrics(self) -> dict[str, dict[str, Any]]:
        """Returns the run's results on verification sets for which it found a threshold.

        Raises:
            InputError: the run's `verification.json` is damaged.
        """
        if self._run_dir is None or not self._uses_flip:
            return {}
        run = RunFolder(self._run_dir)
        if not (run.recipe.is_file() and run.verification.is_file()):
            return {}
        try:
            sets = parse_json(read_regular(run.verification))["sets"]
            measured = {
                name: found
                for name, found in sets.items()
                if found["threshold"] and found["accuracy"]
            }
            thresholds_of(measured)
            return measured
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{run.verification}: can't be read as the metrics of a run: {error}"
            ) from error

    def _embed_pixels(self, images: np.ndarray) -> np.ndarray:
        resized = self._resized(arguments.rgb_images(images))
        return (self.embedder if len(images) > _FEW else self._for_few).embed(resized)

    def _resized(self, images: np.ndarray) -> np.ndarray:
        return resize(images, *self.image_size, keep_aspect=self.keeps_aspect)

    @cached_property
    def _for_few(self) -> embedders.Embedder:
        if isinstance(self.embedder, KerasEmbedder):
            return self.embedder.with_batch_size(min(_FEW, self.batch_size))
        return self.embedder

    def _embed_encoded(self, encoded: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        embedder = self.embedder if len(encoded) > _FEW else self._for_few
        return embedders.embed_images(embedder, encoded, names, what="images")


def load_embedder(
    model: str | os.PathLike[str],
    *,
    batch_size: int = arguments.EMBED_BATCH_SIZE,
    flip: bool = True,
    color_order: Literal["rgb", "bgr"] | None = None,
    input_range: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    output: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    precision: Precision = "float32",
) -> Embedder:
    """Loads a model of any supported format.

    Args:
        model: a run folder; a `.keras`, `.h5`, `.onnx` or `.tflite` file; a SavedModel folder; an
            OpenVINO `.xml` file; a recipe (the network it starts from, with the weights that it
            names); or the word `pixels`, a baseline that compares raw pixels.
        batch_size: images for each forward pass.
        flip: sum the embeddings of an image and of its mirror image.
        color_order, input_range: of the pixels that a SavedModel, `.onnx`, `.tflite` or `.xml`
            model takes, which only files of `export` record: `rgb` or `bgr`; the values of 0 and
            255, as in "-1..1", or a formula. By default RGB and "(x-127.5)/128".
        image_size: for such a model that accepts any size: height and width, or one number.
        output: the name of the embedding among several outputs of an `.onnx` or `.tflite` model.
        cache: a folder that keeps embeddings by model and image.
        data_dir: where the recipe's relative paths start; by default $TFFACE_DATA or `data`.
        overrides: `key=value` for a recipe, as in `train`.
        precision: `bfloat16` computes in it, if the embeddings of the first batch have cosines
            above 0.9999 to those in float32; `auto` also measures whether it is faster. Of a run
            folder, a `.keras` file or a recipe, on a CPU; `float32` leaves a model as it is.

    Returns:
        The embedder.

    Raises:
        InputError: the file does not exist, can't be loaded, is in no supported format, or an
            option does not apply to it.

    Example:
        >>> import tfface
        >>> model = tfface.load_embedder("pixels", flip=False)
        >>> model.image_size
        (32, 32)
    """
    if color_order is not None:
        arguments.one_of("color_order", color_order, ("rgb", "bgr"))
    arguments.whole_number("batch_size", batch_size, 1, 8192)
    arguments.texts("overrides", overrides)
    arguments.one_of("precision", precision, get_args(Precision))
    for name, text in (("input_range", input_range), ("output", output)):
        if text is not None:
            arguments.text(name, text)
    location = resolve_data_dir(data_dir)
    size = None if image_size is None else arguments.image_size(image_size)
    pixels = None
    if color_order is not None or input_range is not None:
        given: dict[str, Any] = {} if color_order is None else {"order": color_order}
        if input_range is not None:
            given["scale"], given["shift"] = parse_range(input_range)
        pixels = PixelInput(**given)
    path = expanded(model)
    loaded: embedders.Embedder
    if is_recipe_file(path):
        EmbedderOptions(pixels=pixels, image_size=size, output=output).check_native(str(model))
        recipe = recipes.load(path, REGISTRIES, overrides)
        network = build_starting_embedder(recipe, location)
        loaded = in_precision(
            KerasEmbedder(network, path.stem, batch_size, flip), precision, str(model)
        )
    else:
        if not path.exists() and str(model) in recipe_names():
            raise InputError(
                f"{model}: a recipe, not a model: 'tfface train {model}' makes the run folder "
                f"runs/{model}; the network that it starts from is {find_recipe(path)}"
            )
        if overrides:
            raise InputError(f"--set and overrides change a recipe, and {model} is not one")
        loaded = embedders.load_embedder(
            str(path),
            batch_size=batch_size,
            flip=flip,
            pixels=pixels,
            image_size=size,
            output=output,
            precision=precision,
        )
    if cache is not None:
        loaded = CachedEmbedder(loaded, expanded(cache), say=warn)
    # The network that a recipe starts from is no file.
    options = (
        None
        if is_recipe_file(path)
        else {
            "model": str(model) if str(model) == "pixels" else str(path.resolve()),
            "flip": flip,
            "color_order": color_order,
            "input_range": input_range,
            "image_size": size,
            "output": output,
        }
    )
    return Embedder(loaded, path=path, data_dir=location, uses_flip=flip, load_options=options)


def _ratio(one: int, other: int) -> float:
    """Returns the longer side divided by the shorter one."""
    return max(one, other) / min(one, other)


def thresholds_of(metrics: dict[str, dict[str, Any]]) -> list[MeasuredThreshold]:
    """Returns the thresholds in what `Embedder.run_metrics` returns, in the same order."""
    return [MeasuredThreshold.of_run(name, found) for name, found in metrics.items()]


def _pairs_and_accuracy(num_pairs: int, pair_set: str, accuracy: float) -> str:
    """What a threshold was measured on, for people."""
    return f"{num_pairs:,} pairs of '{pair_set}', accuracy {100 * accuracy:.1f}%"


# What functions take as a model.
Model: TypeAlias = Embedder | keras.Model | str | os.PathLike[str]


def as_embedder(model: Model) -> Embedder:
    """Returns a model as an embedder.

    Args:
        model: an embedder; a path as `load_embedder` takes it; a Keras model from images to
            embeddings, or a `Recognizer`.

    Raises:
        InputError: it is none of these, or can't be loaded.
    """
    if isinstance(model, Embedder):
        return model
    if isinstance(model, Recognizer):
        model = model.embedder
    if isinstance(model, keras.Model):
        return Embedder(KerasEmbedder(model, model.name))
    if isinstance(model, str | os.PathLike):
        return load_embedder(model)
    if hasattr(model, "embed") and hasattr(model, "image_size"):
        return Embedder(model)
    raise InputError(
        "a model must be what load_embedder returns, a Keras model or the path of one; got "
        f"{type(model).__name__}"
    )
