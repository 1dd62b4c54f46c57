"""What a backbone is: a network and the input normalization that it expects."""

import dataclasses
from collections.abc import Mapping

import keras


@dataclasses.dataclass(frozen=True)
class InputNormalization:
    """network input = pixel * scale + offset, per channel, in `color_order`."""

    color_order: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def __call__(self, images):
        """Applies the contract with plain Keras layers, which any Keras 3 can load again.

        Args:
            images: float RGB [batch, height, width, 3] in 0..255.
        """
        if self.color_order == "bgr":
            images = keras.ops.flip(images, axis=-1)
        # float32 under any precision policy: bfloat16 holds 0..255 but not the result.
        return keras.layers.Rescaling(
            list(self.scale), list(self.offset), dtype="float32", name="pixel_contract"
        )(images)


def _standardised(mean, deviation):
    """(x / 255 - mean) / deviation."""
    return InputNormalization(
        "rgb",
        tuple(1 / 255 / d for d in deviation),
        tuple(-m / d for m, d in zip(mean, deviation, strict=True)),
    )


# Of ImageNet's images, whose pixels are 0..1 here.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

# The names are those of `model.input_normalization` in a recipe. The means are ImageNet's, as
# published with Caffe's VGG (BGR, not divided by a deviation) and with torchvision; `facenet` is
# what facenet-pytorch's weights were trained with.
INPUT_NORMALIZATIONS = {
    "minus_one_to_one": InputNormalization("rgb", (1 / 127.5,) * 3, (-1.0,) * 3),
    "facenet": InputNormalization("rgb", (1 / 128,) * 3, (-127.5 / 128,) * 3),
    "zero_to_one": InputNormalization("rgb", (1 / 255,) * 3, (0.0,) * 3),
    "imagenet": _standardised(IMAGENET_MEAN, IMAGENET_DEVIATION),
    "caffe": InputNormalization("bgr", (1.0,) * 3, (-103.939, -116.779, -123.68)),
    "raw": InputNormalization("rgb", (1.0,) * 3, (0.0,) * 3),
}


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network and its pixel contract.

    In a network that PyTorch publishes weights of, each layer that has weights is named as the
    PyTorch module is, `_` for `.`: `layer1.0.conv1` is `layer1_0_conv1`.

    Attributes:
        network: keras.Model, float images [batch, height, width, 3] -> features
            [batch, rows, columns, channels].
        input_normalization: key of `INPUT_NORMALIZATIONS`: the pixel values that `network` expects.
        neck_modules: layers of the neck, by name, whose weights a PyTorch checkpoint of this
            network holds too, and the PyTorch module of each.
        neck_epsilon: of the batch norms of the neck; weights are trained with one.
        imagenet_url: where PyTorch publishes weights of it that were trained on ImageNet.
    """

    network: keras.Model
    input_normalization: str
    neck_modules: Mapping[str, str] = dataclasses.field(default_factory=dict)
    neck_epsilon: float = 1e-5
    imagenet_url: str | None = None
