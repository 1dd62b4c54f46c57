"""How a model is to be used as an embedder, beyond what its file says."""

from dataclasses import dataclass

from tfface.errors import InputError
from tfface.evaluation.embedders.external_input import PixelInput


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
