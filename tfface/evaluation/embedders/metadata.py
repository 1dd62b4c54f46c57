"""What a file that `tfface export` has written says of itself, so that no options are needed."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfface.errors import InputError, shown
from tfface.evaluation.embedders.options import PixelInput, parse_range
from tfface.json_file import checked_as

# The entry of an ONNX, LiteRT or OpenVINO file, and the stem of the JSON file in a SavedModel.
KEY = "tfface"

# No file of ours says more.
_MAX_CHARACTERS = 1 << 16


class MeasuredThreshold(BaseModel):
    """The smallest cosine of two faces of one person, and the pairs it was measured on.

    It holds for sums of the embeddings of an image and of its mirror image.

    Attributes:
        cosine: -1 to 1.
        pair_set: name of the verification set.
        num_pairs: of the set.
        accuracy: on the set, 0 to 1.

    Example:
        >>> MeasuredThreshold(cosine=0.3, pair_set="lfw", num_pairs=6000, accuracy=0.99).cosine
        0.3
    """

    model_config = ConfigDict(frozen=True)

    cosine: float = Field(ge=-1, le=1)
    pair_set: str
    num_pairs: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)

    @classmethod
    def of_run(cls, pair_set: str, metrics: dict[str, Any]) -> "MeasuredThreshold":
        """Returns what a run's evaluation has measured.

        Args:
            pair_set: name of the verification set.
            metrics: of the set, as in the run's `verification.json`.

        Raises:
            KeyError, TypeError, ValueError: they are none.
        """
        content = {
            "cosine": metrics["threshold"]["cosine"],
            "pair_set": pair_set,
            "num_pairs": metrics["num_pairs"],
            "accuracy": metrics["accuracy"]["mean"],
        }
        return checked_as(cls, content)


class ModelMetadata(BaseModel):
    """What a file contains and what it takes.

    Attributes:
        tfface: the version that wrote the file.
        model: name of the exported model.
        image_size: (height, width) in pixels.
        layout: `nhwc`, [n, height, width, 3], or `nchw`, [n, 3, height, width].
        color_order: of the channels; always RGB.
        input_range: float32 values of the pixels 0..255, as `parse_range` reads them; None for
            uint8 pixels.
        normalization_inside: (scale, offset) of three channels each, which the file itself applies
            to pixels 0..255 before the first layer; None if the model has no such layer.
        embedding_size: dimension of the embedding.
        normalized: embeddings have norm 1.
        flip: embeddings are sums of those of the image and of its mirror image.
        batch_size: images that the file takes at a time; None for any number.
        precision: `float32`, `float16`, `int8` or `weights-int8`.
        float_layers: the first so many layers are in float32 nevertheless.
        template: (x, y) in pixels of the eyes, the nose and the corners of the mouth in an aligned
            face, from left to right.
        threshold: if one was measured, on the model before the export.
        recipe_sha256: of the recipe that the model was trained by, if it is known.

    Example:
        >>> metadata = ModelMetadata(
        ...     tfface="0.1.0", model="a", image_size=(112, 112), embedding_size=512,
        ...     template=[(0, 0)] * 5,
        ... )
        >>> parse_metadata(metadata.model_dump_json(), Path("a.onnx")) == metadata
        True
    """

    model_config = ConfigDict(frozen=True)

    tfface: str
    model: str
    image_size: tuple[int, int]
    layout: Literal["nhwc", "nchw"] = "nhwc"
    color_order: Literal["rgb"] = "rgb"
    input_range: str | None = None
    normalization_inside: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    embedding_size: int
    normalized: bool = False
    flip: bool = False
    batch_size: int | None = None
    precision: Literal["float32", "float16", "int8", "weights-int8"] = "float32"
    float_layers: int = Field(0, ge=0)
    template: tuple[tuple[float, float], ...] = Field(min_length=5, max_length=5)
    threshold: MeasuredThreshold | None = None
    recipe_sha256: str | None = None

    @property
    def pixels(self) -> PixelInput:
        """The pixel format of the input."""
        if self.input_range is None:
            return PixelInput(scale=1, shift=0)
        return PixelInput("rgb", *parse_range(self.input_range))


def parse_metadata(text: str | None, path: Path) -> ModelMetadata | None:
    """Returns what a file says of itself.

    Args:
        text: the entry `KEY` of the file; None if it has none.
        path: of the file, for the message.

    Returns:
        The metadata; None for a file of another program.

    Raises:
        InputError: the entry is not what `tfface export` writes.
    """
    if text is None:
        return None
    try:
        if len(text) > _MAX_CHARACTERS:
            raise ValueError("it is too long")
        metadata = ModelMetadata.model_validate_json(text)
        # A range that can't be parsed is damage, too.
        _ = metadata.pixels
        return metadata
    except ValueError as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise InputError(
            f"{path}: its entry '{KEY}' is damaged ({shown(reason)}): export the model again"
        ) from error
