"""Weights and images that are the same with and without PyTorch, for golden outputs."""

import zlib

import numpy as np

# Height and width of the images of each of golden.json's networks.
SIZES = {
    "iresnet": (32, 32),
    "ir": (32, 32),
    "ir_se": (32, 32),
    "ir_evolve": (32, 32),
    "mobilefacenet": (32, 32),
    "mobilefacenet_original": (32, 48),
    "mobilefacenet_grouped": (32, 32),
    "resnet_basic": (32, 32),
    "resnet_grouped": (32, 32),
    "vgg13_bn": (32, 32),
    "inception_resnet_v1": (80, 80),
    "vit": (32, 32),
    "arcface_vit": (32, 40),
}


def made_values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns what the weight `name` (`_` for `.`) is filled with.

    Of the size that keeps activations from dying out or growing without end, and other values for
    each weight, so that none can be left out or taken for another without being noticed. Axes of
    length 1 make no difference.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    lengths = [n for n in shape if n > 1]
    if name.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif name.endswith(("bias", "running_mean")):
        values = rng.uniform(-0.2, 0.2, shape)
    elif not name.endswith("weight"):
        # A vision transformer's class token and positions.
        values = rng.normal(size=shape)
    elif len(lengths) == 1:
        # Of a norm or a PReLU.
        values = rng.uniform(0.2, 1.2, shape)
    else:
        values = rng.normal(size=shape) / np.sqrt(np.prod(lengths[1:]))
    return values.astype(np.float32)


def made_images(height: int, width: int, count: int = 2) -> np.ndarray:
    """Returns float32 [count, height, width, 3] about 0, as a network takes them."""
    rng = np.random.default_rng(height * width)
    return rng.uniform(-1, 1, (count, height, width, 3)).astype(np.float32)
