"""What a user may choose of an exported file."""

from dataclasses import dataclass
from typing import Literal

from tfface.arguments import whole_number
from tfface.errors import InputError
from tfface.evaluation.embedders.options import PixelInput, parse_range

Layout = Literal["nhwc", "nchw"]
Quantization = Literal["float16", "int8", "weights-int8"]
LAYOUTS: tuple[Layout, ...] = ("nhwc", "nchw")
QUANTIZATIONS: tuple[Quantization, ...] = ("float16", "int8", "weights-int8")


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        normalized: embeddings have norm 1.
        flip: embeddings are sums of those of the image and of its mirror image.
        batch_size: images that the file takes at a time; None for any number.
        layout: `nhwc` takes [n, height, width, 3], `nchw` [n, 3, height, width].
        input_range: float32 values of the pixels 0..255, as in -1..1; None for uint8 pixels.
        quantize: None for float32.
        opset: version of ONNX's operations; None for the converter's own.
        float_layers: with `int8` or `weights-int8`, leave the first so many layers in float32.

    Raises:
        InputError: a value is not allowed.

    Example:
        >>> ExportOptions(quantize="float16").precision
        'float16'
        >>> ExportOptions(input_range="-1..1").pixels.range
        '-1..1'
    """

    normalized: bool = False
    flip: bool = False
    batch_size: int | None = None
    layout: Layout = "nhwc"
    input_range: str | None = None
    quantize: Quantization | None = None
    opset: int | None = None
    float_layers: int = 0

    def __post_init__(self) -> None:
        _check_choice("layout", self.layout, LAYOUTS)
        _check_choice("quantize", self.quantize, (None, *QUANTIZATIONS))
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size {self.batch_size}: must be 1 or more, or None for any")
        if self.input_range is not None:
            parse_range(self.input_range)
        whole_number("float_layers", self.float_layers, 0)
        if self.float_layers and self.quantize not in ("int8", "weights-int8"):
            raise InputError("--float-layers: only for --quantize int8 or weights-int8")

    @property
    def precision(self) -> str:
        """What the file computes in."""
        return self.quantize or "float32"

    @property
    def pixels(self) -> PixelInput:
        """The pixel format that the file takes."""
        if self.input_range is None:
            return PixelInput(scale=1, shift=0)
        return PixelInput("rgb", *parse_range(self.input_range))


def _check_choice(name: str, given: object, allowed: tuple[object, ...]) -> None:
    if given not in allowed:
        raise InputError(f"{name} {given!r}: must be one of {', '.join(map(repr, allowed))}")
