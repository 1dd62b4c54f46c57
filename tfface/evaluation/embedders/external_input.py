"""What a model file of others takes for pixels, which such files don't say themselves."""

import re
from dataclasses import dataclass
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
