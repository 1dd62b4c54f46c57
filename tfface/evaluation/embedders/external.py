"""What embedders of model files have in common that were not made here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.options import EmbedderOptions, PixelInput, fingerprint, hash_files

# Pixels that recipes allow an image, each way; and more images than anybody embeds at a time.
_LARGEST = 2048


@dataclass(frozen=True)
class ImageInput:
    """The one input of a model: images of a size, so far as it says.

    Attributes:
        batch: how many it takes at a time; None for any number.
        height, width: None where it takes any.
        channels_first: [batch, 3, height, width] in place of [batch, height, width, 3].
        is_uint8: it takes whole numbers, the pixels as they are, and not float32.
    """

    batch: int | None
    height: int | None
    width: int | None
    channels_first: bool
    is_uint8: bool = False


def read_image_input(
    path: Path, shape: Sequence[int | None], *, is_uint8: bool = False
) -> ImageInput:
    """Returns what an input's shape means (None: any size).

    Raises:
        InputError: it is not that of RGB images.
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
    """One of a model's outputs. `shape`: None stands for sizes that are free, or for all of it."""

    name: str
    shape: Sequence[int | None] | None

    @property
    def may_be_embedding(self) -> bool:
        """Whether its shape is [batch, size] with a size above 1, so far as it is known."""
        if self.shape is None:
            return True
        return len(self.shape) == 2 and self.shape[1] != 1

    def __str__(self) -> str:
        if self.shape is None:
            return self.name
        return f"{self.name} [{', '.join('?' if n is None else str(n) for n in self.shape)}]"


def choose_output(path: Path, outputs: Sequence[Output], asked: str | None) -> int:
    """Returns which of a model's outputs is the embedding: its place.

    It is the one that is asked for; else the only one whose shape can be that of embeddings, or the
    only one of these whose name speaks of an embedding or of features.

    Raises:
        InputError: there's no such output, or it is not clear which is meant.
    """
    if asked is not None:
        for place, output in enumerate(outputs):
            if output.name == asked:
                return place
        raise InputError(
            f"{path}: --model-output {asked}: the model has no such output, it has: "
            f"{', '.join(map(str, outputs))}"
        )
    if len(outputs) == 1:
        return 0
    fitting = [place for place, output in enumerate(outputs) if output.may_be_embedding]
    speaking = [
        place
        for place in fitting
        if any(word in outputs[place].name.lower() for word in ("embed", "feature"))
    ]
    for found in (fitting, speaking):
        if len(found) == 1:
            return found[0]
    raise InputError(
        f"{path}: the model has {len(outputs)} outputs, and it is not clear which is meant: say it "
        f"with --model-output: {', '.join(map(str, outputs))}"
    )


class ExternalEmbedder:
    """Embeds images with a function of a model file.

    Args:
        run: images in the layout and type that `image_input` says -> embeddings [batch, size].
        path: of the model; the stem of a file, or the name of a folder, is the name.
        image_input: as `read_image_input` returns it.
        options: how to use the model. What it takes for pixels is the usual where they don't say.
        output: the name of the output that `run` gives; None where the model has no other.
        weight_files: files that the model is loaded from beside `path`.

    Attributes: as `Embedder` has them, and
        pixels: what the model is given.
        is_uint8: it takes whole numbers, so there's no other range than 0..255.

    Raises:
        InputError: the size is not known, or not the model's; or a range of pixels is given that
            whole numbers can't hold.
    """

    keeps_aspect = True

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        path: Path,
        image_input: ImageInput,
        options: EmbedderOptions,
        output: str | None = None,
        weight_files: Sequence[Path] = (),
    ):
        # "models/today/." has no name of its own until it's resolved.
        self.name = path.resolve().name if path.is_dir() else path.stem
        self.image_size = _image_size(path, image_input, options.image_size)
        self.batch_size = options.batch_size
        self.pixels = _pixels(path, image_input, options.pixels)
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
        # What most models don't have must not change what theirs was.
        if self._output is not None or self._weight_files:
            weights = [(file.name, hash_files(file)) for file in self._weight_files]
            content = (content, self._output, weights)
        return fingerprint(content, self.pixels, self.image_size, self._options.flip)

    def with_pixels(self, pixels: PixelInput, *, flip: bool) -> "ExternalEmbedder":
        """Returns the same model, given other pixels."""
        options = replace(self._options, pixels=pixels, flip=flip)
        return ExternalEmbedder(
            self._run, self._path, self._input, options, self._output, self._weight_files
        )

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns embeddings, flip-summed unless told otherwise: float32 [n, embedding_size].

        Args:
            images: uint8 [n, height, width, 3], RGB.
        """
        return np.concatenate(
            [
                self._embed_batch(images[start : start + self.batch_size])
                for start in range(0, len(images), self.batch_size)
            ]
        )

    def _embed_batch(self, images: np.ndarray) -> np.ndarray:
        both = np.concatenate([images, images[:, :, ::-1]]) if self._options.flip else images
        given = self.pixels.apply(both).astype(np.uint8 if self.is_uint8 else np.float32)
        if self._input.channels_first:
            given = np.ascontiguousarray(given.transpose(0, 3, 1, 2))
        step = self._input.batch or len(given)
        embeddings = [
            self._embed_exactly(given[start : start + step], step)
            for start in range(0, len(given), step)
        ]
        found = np.concatenate(embeddings).astype(np.float32)
        return found[: len(images)] + found[len(images) :] if self._options.flip else found

    def _embed_exactly(self, given: np.ndarray, step: int) -> np.ndarray:
        """Embeds at most `step` images in a pass of exactly that many."""
        filled = np.concatenate(
            [given, np.zeros((step - len(given), *given.shape[1:]), given.dtype)]
        )
        try:
            found = self._run(filled)
        # Each format's library has errors of its own, and none says which file it is about.
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


def _pixels(path: Path, image_input: ImageInput, given: PixelInput | None) -> PixelInput:
    if not image_input.is_uint8:
        return given or PixelInput()
    if given is not None and (given.scale, given.shift) != (1, 0):
        raise InputError(
            f"{path}: the model takes pixels as whole numbers: no other --input-range than 0..255 "
            "(say it together with --color-order)"
        )
    return given or PixelInput(scale=1, shift=0)


def _image_size(
    path: Path, image_input: ImageInput, given: tuple[int, int] | None
) -> tuple[int, int]:
    own = (image_input.height, image_input.width)
    if max(own[0] or 0, own[1] or 0, image_input.batch or 0) > _LARGEST:
        raise InputError(
            f"{path}: refused: the model takes {image_input.batch or 1} images of {own[0]}x{own[1]}"
            f": at most {_LARGEST} pixels, and images at a time, are plausible"
        )
    if None in own and given is None:
        raise InputError(f"{path}: the model takes images of any size: say which with --image-size")
    for name, ours, asked in zip(("high", "wide"), own, given or own, strict=True):
        if ours is not None and asked != ours:
            raise InputError(f"{path}: the model takes images {ours} pixels {name}, not {asked}")
    return given or own
