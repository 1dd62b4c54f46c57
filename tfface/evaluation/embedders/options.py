"""Options of embedders: pixel format, image size, output; and fingerprints of models."""

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tfface.arguments import EMBED_BATCH_SIZE
from tfface.errors import InputError
from tfface.files import is_special

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_INTERVAL = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_FORMULA = re.compile(rf"(?:\(x([-+](?:\d+\.?\d*|\.\d+))\)|x)(?:([*/])({_NUMBER}))?")

# What float32 holds, and its inverse too.
_MOST = 1e30


@dataclass(frozen=True)
class PixelInput:
    """The pixel format of an external model's input: pixel * scale + shift, for pixels 0..255.

    The defaults are those of most published face networks, (x - 127.5) / 128 in RGB.

    Attributes:
        order: the order of the color channels.
        scale, shift: of the linear map.

    Example:
        >>> PixelInput("bgr", *parse_range("0..1")).apply(np.full((1, 1, 1, 3), 255, np.uint8))
        array([[[[1., 1., 1.]]]], dtype=float32)
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 128
    shift: float = -127.5 / 128

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Converts images to the model's input.

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 of the same shape.
        """
        ordered = images if self.order == "rgb" else images[..., ::-1]
        return ordered.astype(np.float32) * np.float32(self.scale) + np.float32(self.shift)

    @property
    def range(self) -> str:
        """The text that `parse_range` reads as the same scale and shift."""
        if (self.scale, self.shift) == (1 / 128, -127.5 / 128):
            return "(x-127.5)/128"
        return f"{self.shift:g}..{255 * self.scale + self.shift:g}"


def parse_range(text: str) -> tuple[float, float]:
    """Parses a range of pixel values.

    Args:
        text: the values of 0 and 255, as in -1..1, or a formula of the pixel x, as in
            (x-127.5)/128 or x/255.

    Returns:
        The scale and the shift.

    Raises:
        InputError: the text is neither.

    Example:
        >>> parse_range("x/255") == (1 / 255, 0.0)
        True
    """
    compact = text.replace(" ", "")
    found = None
    if interval := _INTERVAL.fullmatch(compact):
        low, high = float(interval[1]), float(interval[2])
        if low < high:
            found = (high - low) / 255, low
    elif formula := _FORMULA.fullmatch(compact):
        shift = float(formula[1] or 0)
        factor = float(formula[3] or 1)
        if factor > 0:
            scale = factor if formula[2] == "*" else 1 / factor
            found = scale, shift * scale
    if found is not None and 1 / _MOST < found[0] < _MOST and abs(found[1]) < _MOST:
        return found
    raise InputError(
        f"--input-range {text}: expected the values of 0 and 255, as in -1..1, 0..1 or 0..255, or "
        "a formula as in (x-127.5)/128"
    )


@dataclass(frozen=True)
class EmbedderOptions:
    """Options of `load_embedder`.

    Attributes:
        batch_size: images for each forward pass.
        flip: sum the embeddings of an image and of its mirror image.
        pixels: the pixel format of an external model; None for the default.
        image_size: (height, width) for an external model that accepts any size.
        output: the name of the embedding among the outputs of an `.onnx` or `.tflite` model; None
            if there is no doubt.
        num_threads: of ONNX Runtime, LiteRT and OpenVINO; None for as many as there are processors.

    Example:
        >>> options = EmbedderOptions(pixels=PixelInput("bgr"))
        >>> options.batch_size, options.flip, options.pixels.order
        (64, True, 'bgr')
    """

    batch_size: int = EMBED_BATCH_SIZE
    flip: bool = True
    pixels: PixelInput | None = None
    image_size: tuple[int, int] | None = None
    output: str | None = None
    num_threads: int | None = None

    def check_native(self, model: str) -> None:
        """Checks that options of external models are not set for a native one.

        Args:
            model: the MODEL argument, for the message.

        Raises:
            InputError: pixel format, image size or output is set.
        """
        if self.pixels is not None or self.image_size is not None:
            raise InputError(
                f"{model}: the model contains its color order, range and size: omit --color-order, "
                "--input-range and --image-size"
            )
        self.check_single_output(model)

    def check_single_output(self, model: str) -> None:
        """Checks that no output is chosen for a format with a single one.

        Args:
            model: the MODEL argument, for the message.

        Raises:
            InputError: an output is set.
        """
        if self.output is not None:
            raise InputError(
                f"{model}: --model-output chooses among the outputs of an .onnx or .tflite file, "
                "and this is neither: omit it"
            )


def fingerprint(*parts: object) -> str:
    """Returns a hash of the parts' `repr`, 32 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def hash_files(path: Path) -> str:
    """Returns the SHA-256 of a file, or of a folder's file names and contents.

    Args:
        path: a file or folder.

    Raises:
        OSError: it can't be read, or is a device, a pipe or a socket.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # Through links too: their targets are loaded as well.
    files = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if Path(folder, name).is_file()
    )
    return fingerprint([(str(file.relative_to(path)), hash_files(file)) for file in files])


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Returns the SHA-256 of the arrays' values, in order.

    Args:
        arrays: of any shapes.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
