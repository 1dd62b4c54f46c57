"""Pixel contracts: how RGB images in 0..255 become what a network was trained on.

This is the only place where pixels are rescaled. The contract is part of the saved model, so
training, evaluation and export can't disagree about it.
"""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class PixelContract:
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
    return PixelContract(
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
PIXELS = {
    "minus_one_to_one": PixelContract("rgb", (1 / 127.5,) * 3, (-1.0,) * 3),
    "facenet": PixelContract("rgb", (1 / 128,) * 3, (-127.5 / 128,) * 3),
    "zero_to_one": PixelContract("rgb", (1 / 255,) * 3, (0.0,) * 3),
    "imagenet": _standardised(IMAGENET_MEAN, IMAGENET_DEVIATION),
    "caffe": PixelContract("bgr", (1.0,) * 3, (-103.939, -116.779, -123.68)),
    "raw": PixelContract("rgb", (1.0,) * 3, (0.0,) * 3),
}
