"""Embedders of external models: ONNX, LiteRT (TFLite) and SavedModel files share this code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.metadata import ModelMetadata
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, fingerprint, hash_files

# Maximum height and width, as in recipes, and maximum batch size.
_MAX_SIZE = 2048


@dataclass(frozen=True)
class ImageInput:
    """The image input of a model.

    Attributes:
        batch: fixed batch size; None for any.
        height, width: None for any.
        channels_first: the layout is [batch, 3, height, width], not [batch, height, width, 3].
        is_uint8: the input type is uint8, not float32.

    Example:
        >>> read_image_input(Path("model.onnx"), [None, 3, 112, 112])
        ImageInput(batch=None, height=112, width=112, channels_first=True, is_uint8=False)
    """

    batch: int | None
    height: int | None
    width: int | None
    channels_first: bool
    is_uint8: bool = False


def read_image_input(
    path: Path, shape: Sequence[int | None], *, is_uint8: bool = False
) -> ImageInput:
    """Interprets the shape of a model's input.

    Args:
        path: of the model, for the message.
        shape: of the input; None for a dimension of any size.
        is_uint8: whether the input type is uint8.

    Returns:
        The image input.

    Raises:
        InputError: it is not the shape of RGB images.
    """
    if len(shape) == 4 and shape[3] == 3:
        batch, height, width, _ = shape
        return ImageInput(batch, height, width, channels_first=False, is_uint8=is_uint8)
    if len(shape) == 4 and shape[1] == 3:
        batch, _, height, width = shape
        return ImageInput(batch, height, width, channels_first=True, is_uint8=is_uint8)
    raise InputError(
        f"{path}: the model takes {list(shape)}: expected RGB images, [batch, height, width, 3] or "
        "[batch, 3, height, width]"
    )


@dataclass(frozen=True)
class Output:
    """An output of a model. `shape` has None for a dimension of any size, or is None if unknown.

    Example:
        >>> output = Output("features", [None, 512])
        >>> str(output), output.may_be_embedding
        ('features [?, 512]', True)
    """

    name: str
    shape: Sequence[int | None] | None

    @property
    def may_be_embedding(self) -> bool:
        """Whether the shape may be [batch, size] with a size above 1."""
        if self.shape is None:
            return True
        return len(self.shape) == 2 and self.shape[1] != 1

    def __str__(self) -> str:
        if self.shape is None:
            return self.name
        return f"{self.name} [{', '.join('?' if n is None else str(n) for n in self.shape)}]"


def choose_output(path: Path, outputs: Sequence[Output], asked: str | None) -> int:
    """Chooses the output that is the embedding.

    Without a requested name, this is the only output with the shape of embeddings, or the only such
    output whose name contains "embed" or "feature".

    Args:
        path: of the model, for the message.
        outputs: all outputs of the model.
        asked: the requested name, if any.

    Returns:
        The index in `outputs`.

    Raises:
        InputError: there is no such output, or the choice is ambiguous.
    """
    if asked is not None:
        for index, output in enumerate(outputs):
            if output.name == asked:
                return index
        raise InputError(
            f"{path}: --model-output {asked}: the model has no such output, it has: "
            f"{', '.join(map(str, outputs))}"
        )
    if len(outputs) == 1:
        return 0
    by_shape = [index for index, output in enumerate(outputs) if output.may_be_embedding]
    by_name = [
        index
        for index in by_shape
        if any(word in outputs[index].name.lower() for word in ("embed", "feature"))
    ]
    for found in (by_shape, by_name):
        if len(found) == 1:
            return found[0]
    raise InputError(
        f"{path}: the model has {len(outputs)} outputs, and it is not clear which one is the "
        f"embedding: choose it with --model-output: {', '.join(map(str, outputs))}"
    )


class ExternalEmbedder:
    """Embeds images with the forward function of an external model.

    Args:
        run: maps images in the layout and type of `image_input` to embeddings [batch, size].
        path: of the model; its stem, or the name of a folder, becomes the embedder's name.
        image_input: as `read_image_input` returns it.
        options: options of the model.
        output: the name of the output that `run` returns; None for the only one.
        weight_files: other files that the model is loaded from.
        metadata: what a file that `tfface export` has written says of itself.

    Attributes:
        pixels: the pixel format of the model's input.
        is_uint8: the input type is uint8, so the range must be 0..255.
        metadata: as given.

    Raises:
        InputError: the image size is unknown or differs from the model's, the range of pixels does
            not fit a uint8 input, or an option contradicts the metadata.

    Example:
        >>> image_input = read_image_input(Path("mean.onnx"), [None, 8, 8, 3])
        >>> def mean_color(images):
        ...     return images.mean(axis=(1, 2))
        >>> path, options = Path("mean.onnx"), EmbedderOptions()
        >>> embedder = ExternalEmbedder(mean_color, path, image_input, options)
        >>> embedder.name, embedder.embed(np.zeros((2, 8, 8, 3), np.uint8)).shape
        ('mean', (2, 3))
    """

    settle = None

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        path: Path,
        image_input: ImageInput,
        options: EmbedderOptions,
        output: str | None = None,
        weight_files: Sequence[Path] = (),
        metadata: ModelMetadata | None = None,
    ):
        # Resolved, because the name of "models/today/." is empty.
        self.name = path.resolve().name if path.is_dir() else path.stem
        self.image_size = _image_size(path, image_input, options.image_size)
        self.batch_size = options.batch_size
        # An exported model gets the same images as the model that it was exported from.
        self.keeps_aspect = metadata is None
        self.pixels = _pixels(path, image_input, options.pixels, metadata)
        self.metadata = metadata
        self._flip = _flip(path, options.flip, metadata)
        self.is_uint8 = image_input.is_uint8
        self._run = run
        self._path = path
        self._input = image_input
        self._options = options
        self._output = output
        self._weight_files = sorted(weight_files)

    @cached_property
    def fingerprint(self) -> str:
        content: object = hash_files(self._path)
        # Fingerprints of models without these must stay what they were.
        if self._output is not None or self._weight_files:
            weights = [(file.name, hash_files(file)) for file in self._weight_files]
            content = (content, self._output, weights)
        return fingerprint(content, self.pixels, self.image_size, self._flip)

    def with_pixels(self, pixels: PixelInput, *, flip: bool) -> "ExternalEmbedder":
        """Returns an embedder of the same model with another pixel format.

        Args:
            pixels: the other format.
            flip: whether the mirror image's embedding is added.
        """
        options = replace(self._options, pixels=pixels, flip=flip)
        return ExternalEmbedder(
            self._run,
            self._path,
            self._input,
            options,
            self._output,
            self._weight_files,
            self.metadata,
        )

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeds images.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, embedding_size].

        Raises:
            InputError: the model can't be run.
        """
        return np.concatenate(
            [
                self._embed_batch(images[start : start + self.batch_size])
                for start in range(0, len(images), self.batch_size)
            ]
        )

    def _embed_batch(self, images: np.ndarray) -> np.ndarray:
        both = np.concatenate([images, images[:, :, ::-1]]) if self._flip else images
        given = self.pixels.apply(both).astype(np.uint8 if self.is_uint8 else np.float32)
        if self._input.channels_first:
            given = np.ascontiguousarray(given.transpose(0, 3, 1, 2))
        step = self._input.batch or len(given)
        embeddings = [
            self._embed_exactly(given[start : start + step], step)
            for start in range(0, len(given), step)
        ]
        found = np.concatenate(embeddings).astype(np.float32)
        return found[: len(images)] + found[len(images) :] if self._flip else found

    def _embed_exactly(self, given: np.ndarray, step: int) -> np.ndarray:
        """Embeds at most `step` images, padded to exactly that many."""
        padded = np.concatenate(
            [given, np.zeros((step - len(given), *given.shape[1:]), given.dtype)]
        )
        try:
            found = self._run(padded)
        # Libraries have errors of their own, which don't name the file.
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(
                f"{self._path}: the model fails on {step} images of {self.image_size[0]}x"
                f"{self.image_size[1]} ({type(error).__name__}: {reason})"
            ) from error
        if found.ndim != 2 or len(found) != step:
            raise InputError(
                f"{self._path}: the model returns {list(found.shape)} for {step} images: expected "
                "one embedding for each"
            )
        return found[: len(given)]


def _pixels(
    path: Path,
    image_input: ImageInput,
    given: PixelInput | None,
    metadata: ModelMetadata | None,
) -> PixelInput:
    if metadata is not None:
        if given not in (None, metadata.pixels):
            raise InputError(
                f"{path}: the file itself says that it takes {metadata.pixels.range} in RGB: omit "
                "--color-order and --input-range"
            )
        given = metadata.pixels
    if not image_input.is_uint8:
        return given or PixelInput()
    if given is not None and (given.scale, given.shift) != (1, 0):
        raise InputError(
            f"{path}: the model takes uint8 pixels: --input-range must be 0..255 (give it together "
            "with --color-order)"
        )
    return given or PixelInput(scale=1, shift=0)


def _flip(path: Path, asked: bool, metadata: ModelMetadata | None) -> bool:
    """Returns whether mirror images have to be embedded outside of the file."""
    if metadata is None or not metadata.flip:
        return asked
    if not asked:
        raise InputError(
            f"{path}: the file itself adds the embedding of the mirrored image (it was exported "
            "with --flip): omit --no-flip"
        )
    return False


def _image_size(
    path: Path, image_input: ImageInput, given: tuple[int, int] | None
) -> tuple[int, int]:
    own = (image_input.height, image_input.width)
    if max(own[0] or 0, own[1] or 0, image_input.batch or 0) > _MAX_SIZE:
        raise InputError(
            f"{path}: refused: the model takes {image_input.batch or 1} images of {own[0]}x{own[1]}"
            f"; the maximum is {_MAX_SIZE} pixels, and {_MAX_SIZE} images"
        )
    if None in own and given is None:
        raise InputError(f"{path}: the model takes images of any size: set it with --image-size")
    if given and max(given) > _MAX_SIZE:
        raise InputError(
            f"{path}: refused: images of {given[0]}x{given[1]}; the maximum is {_MAX_SIZE} pixels"
        )
    for name, ours, asked in zip(("high", "wide"), own, given or own, strict=True):
        if ours is not None and asked != ours:
            raise InputError(f"{path}: the model takes images {ours} pixels {name}, not {asked}")
    return given or own
