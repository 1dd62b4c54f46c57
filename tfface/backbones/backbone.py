"""What a backbone is: a network and the input normalization that it expects."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras


@dataclasses.dataclass(frozen=True)
class InputNormalization:
    """Maps pixels to network input: pixel * scale + offset for each channel of `color_order`.

    No other code rescales pixels. The normalization is part of the saved model, so that training,
    evaluation and export can't disagree about it.

    Attributes:
        color_order: "rgb" or "bgr".
        scale, offset: of the three channels.

    Example:
        >>> pixels = keras.ops.full((1, 1, 1, 3), 255.0)
        >>> keras.ops.convert_to_numpy(INPUT_NORMALIZATIONS["minus_one_to_one"](pixels)).tolist()
        [[[[1.0, 1.0, 1.0]]]]
    """

    color_order: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def __call__(self, images):
        """Applies the normalization with plain Keras layers, which any Keras 3 can load.

        Args:
            images: float RGB [batch, height, width, 3] in 0..255.

        Returns:
            float32 of the same shape.
        """
        if self.color_order == "bgr":
            images = keras.ops.flip(images, axis=-1)
        # float32 with any precision policy: bfloat16 holds 0..255 exactly, but not the result.
        return keras.layers.Rescaling(
            list(self.scale), list(self.offset), dtype="float32", name="input_normalization"
        )(images)


def _standardization(mean: Sequence[float], std: Sequence[float]) -> InputNormalization:
    """Returns (x / 255 - mean) / std."""
    return InputNormalization(
        "rgb",
        tuple(1 / 255 / s for s in std),
        tuple(-m / s for m, s in zip(mean, std, strict=True)),
    )


# Of ImageNet's images, with pixels in 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The keys are values of `model.input_normalization` in a recipe. `minus_one_to_one`, `imagenet` and
# `caffe` are the modes "tf", "torch" and "caffe" of keras.applications; `facenet` is that of
# facenet-pytorch's weights, and `minus_one_to_one_bgr` that of AdaFace's.
INPUT_NORMALIZATIONS = {
    "minus_one_to_one": InputNormalization("rgb", (1 / 127.5,) * 3, (-1.0,) * 3),
    "minus_one_to_one_bgr": InputNormalization("bgr", (1 / 127.5,) * 3, (-1.0,) * 3),
    "facenet": InputNormalization("rgb", (1 / 128,) * 3, (-127.5 / 128,) * 3),
    "zero_to_one": InputNormalization("rgb", (1 / 255,) * 3, (0.0,) * 3),
    "imagenet": _standardization(IMAGENET_MEAN, IMAGENET_STD),
    "caffe": InputNormalization("bgr", (1.0,) * 3, (-103.939, -116.779, -123.68)),
    "raw": InputNormalization("rgb", (1.0,) * 3, (0.0,) * 3),
}


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network and the input normalization that it expects.

    If PyTorch weights exist for a network, its layers with weights have the names of the PyTorch
    modules with `_` for `.`: `layer1.0.conv1` is `layer1_0_conv1`.

    Attributes:
        network: keras.Model, float images [batch, height, width, 3] -> features
            [batch, rows, columns, channels].
        input_normalization: a key of `INPUT_NORMALIZATIONS`.
        neck_modules: neck layers whose weights a PyTorch checkpoint of this network contains, and
            the PyTorch module of each.
        neck_epsilon: epsilon of the neck's batch norms, as in the training of published weights.
        imagenet_url: URL of PyTorch's ImageNet weights.

    Example:
        >>> from tfface.backbones import BACKBONES
        >>> backbone = BACKBONES["simple_cnn"](channels=[8, 16], image_size=(32, 32))
        >>> backbone.network.output_shape[-1], backbone.input_normalization
        (16, 'minus_one_to_one')
    """

    network: keras.Model
    input_normalization: str
    neck_modules: Mapping[str, str] = dataclasses.field(default_factory=dict)
    neck_epsilon: float = 1e-5
    imagenet_url: str | None = None
