"""How a model is to be used as an embedder, beyond what its file says."""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tfface.errors import InputError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_INTERVAL = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_FORMULA = re.compile(rf"(?:\(x([-+](?:\d+\.?\d*|\.\d+))\)|x)(?:([*/])({_NUMBER}))?")


@dataclass(frozen=True)
class PixelInput:
    """Colour order and range: the model is given pixel * scale + shift, pixels being 0..255.

    The defaults are those of most published face networks, (x - 127.5) / 128 in RGB.
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 128
    shift: float = -127.5 / 128

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Returns what the model is given.

        Args:
            images: uint8 [n, height, width, 3], RGB.
        Returns: float32 of the same shape.
        """
        ordered = images if self.order == "rgb" else images[..., ::-1]
        return ordered.astype(np.float32) * np.float32(self.scale) + np.float32(self.shift)

    @property
    def range(self) -> str:
        """What `parse_range` reads as the same scale and shift."""
        if (self.scale, self.shift) == (1 / 128, -127.5 / 128):
            return "(x-127.5)/128"
        return f"{self.shift:g}..{255 * self.scale + self.shift:g}"


def parse_range(text: str) -> tuple[float, float]:
    """Returns the scale and the shift that `text` means.

    Args:
        text: what 0 and 255 become, as in -1..1, or a formula of the pixel x: (x-127.5)/128, x/255.
    Raises InputError: it is neither.
    """
    compact = text.replace(" ", "")
    if interval := _INTERVAL.fullmatch(compact):
        low, high = float(interval[1]), float(interval[2])
        if low < high:
            return (high - low) / 255, low
    if formula := _FORMULA.fullmatch(compact):
        shift = float(formula[1] or 0)
        factor = float(formula[3] or 1)
        if factor > 0:
            scale = factor if formula[2] == "*" else 1 / factor
            return scale, shift * scale
    raise InputError(
        f"--input-range {text}: expected what 0 and 255 become, as in -1..1, 0..1 or 0..255, or a "
        "formula as in (x-127.5)/128"
    )


@dataclass(frozen=True)
class EmbedderOptions:
    """Options of `load_embedder`.

    Attributes:
        batch_size: images embedded in one pass.
        flip: sum the embeddings of an image and of its mirrored copy.
        pixels: what a model that was not made here takes for pixels; None for the usual.
        image_size: (height, width), for a model that was not made here and takes any.
        output: of an `.onnx` or `.tflite` file, the name of the output that is the embedding; None
            where it is clear which.
    """

    batch_size: int = 64
    flip: bool = True
    pixels: PixelInput | None = None
    image_size: tuple[int, int] | None = None
    output: str | None = None

    def check_own(self, model: str) -> None:
        """Refuses pixels, size and output for a model that says itself what it takes and gives.

        Raises InputError: one of them is given.
        """
        if self.pixels is not None or self.image_size is not None:
            raise InputError(
                f"{model}: the model holds its own colour order, range and size: leave out "
                "--color-order, --input-range and --image-size"
            )
        self.check_single_output(model)

    def check_single_output(self, model: str) -> None:
        """Raises InputError: an output is named of a model of a kind that has a single one."""
        if self.output is not None:
            raise InputError(
                f"{model}: --model-output chooses among the outputs of an .onnx or .tflite file, "
                "and this is none: leave it out"
            )


def fingerprint(*parts: object) -> str:
    """Returns a short text that differs where the parts' texts do: 32 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def hash_files(path: Path) -> str:
    """Returns the SHA-256 of a file, or of a folder's files and their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # Through links too: what they lead to is loaded as well.
    files = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if Path(folder, name).is_file()
    )
    return fingerprint([(str(file.relative_to(path)), hash_files(file)) for file in files])


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Returns the SHA-256 of the arrays' values, in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
