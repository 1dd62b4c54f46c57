"""Inception-ResNet-v1, FaceNet's network, in the layout of facenet-pytorch.

The layers behind its block8 are the neck {pooling: average, dropout: 0.6, batch_norm: true} with an
embedding of size 512. keras.applications has only version 2, which is another network.

Source: Szegedy et al., AAAI 2017, arXiv:1602.07261; Schroff et al., CVPR 2015, arXiv:1503.03832;
facenet_pytorch/models/inception_resnet_v1.py.
"""

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv
from tfface.backbones.weights.published import refuse_weights
from tfface.errors import InputError

NECK = {"embedding": "last_linear", "neck_batch_norm": "last_bn"}
# Of all batch norms.
EPSILON = 0.001
# Smaller images would vanish in the convolutions without padding.
MIN_IMAGE_SIZE = 75


def inception_resnet_v1(*, image_size: tuple[int, int], weights: str | None = None) -> Backbone:
    """FaceNet's network with 1792 output channels. Input normalization: `facenet`.

    Raises:
        InputError: weights is "imagenet" (facenet-pytorch's weights were trained on faces; give
            their path), or images are smaller than 75 pixels.
    """
    refuse_weights("inception_resnet_v1", weights)
    if min(image_size) < MIN_IMAGE_SIZE:
        raise InputError(
            f"model.backbone: inception_resnet_v1 can't be built for images of {image_size[0]}x"
            f"{image_size[1]}; it needs {MIN_IMAGE_SIZE} pixels or more"
        )
    images = keras.Input((*image_size, 3))
    features = _conv(images, 32, 3, "conv2d_1a", strides=2)
    features = _conv(features, 32, 3, "conv2d_2a")
    features = _conv(features, 64, 3, "conv2d_2b", padding=1)
    features = layers.MaxPooling2D(3, 2, name="maxpool_3a")(features)
    features = _conv(features, 80, 1, "conv2d_3b")
    features = _conv(features, 192, 3, "conv2d_4a")
    features = _conv(features, 256, 3, "conv2d_4b", strides=2)
    for number in range(5):
        features = _block35(features, f"repeat_1_{number}")
    features = _mixed_6a(features, "mixed_6a")
    for number in range(10):
        features = _block17(features, f"repeat_2_{number}")
    features = _mixed_7a(features, "mixed_7a")
    for number in range(5):
        features = _block8(features, f"repeat_3_{number}", 0.20)
    features = _block8(features, "block8", 1.0, relu=False)
    network = keras.Model(images, features, name="backbone")
    return Backbone(network, "facenet", neck_modules=NECK, neck_epsilon=EPSILON)


def _conv(features, filters, kernel_size, name, strides=1, padding=0):
    features = conv(
        features, filters, kernel_size, f"{name}_conv", strides=strides, padding=padding
    )
    features = batch_norm(features, f"{name}_bn", epsilon=EPSILON)
    return layers.ReLU(name=f"{name}_relu")(features)


def _block35(features, name):
    branch0 = _conv(features, 32, 1, f"{name}_branch0")
    branch1 = _conv(features, 32, 1, f"{name}_branch1_0")
    branch1 = _conv(branch1, 32, 3, f"{name}_branch1_1", padding=1)
    branch2 = _conv(features, 32, 1, f"{name}_branch2_0")
    branch2 = _conv(branch2, 32, 3, f"{name}_branch2_1", padding=1)
    branch2 = _conv(branch2, 32, 3, f"{name}_branch2_2", padding=1)
    return _added(features, [branch0, branch1, branch2], name, 0.17)


def _block17(features, name):
    branch0 = _conv(features, 128, 1, f"{name}_branch0")
    branch1 = _conv(features, 128, 1, f"{name}_branch1_0")
    branch1 = _conv(branch1, 128, (1, 7), f"{name}_branch1_1", padding=(0, 3))
    branch1 = _conv(branch1, 128, (7, 1), f"{name}_branch1_2", padding=(3, 0))
    return _added(features, [branch0, branch1], name, 0.10)


def _block8(features, name, scale, relu=True):
    branch0 = _conv(features, 192, 1, f"{name}_branch0")
    branch1 = _conv(features, 192, 1, f"{name}_branch1_0")
    branch1 = _conv(branch1, 192, (1, 3), f"{name}_branch1_1", padding=(0, 1))
    branch1 = _conv(branch1, 192, (3, 1), f"{name}_branch1_2", padding=(1, 0))
    return _added(features, [branch0, branch1], name, scale, relu)


def _added(features, branches, name, scale, relu=True):
    """Returns features + scale * (1x1 convolution of the branches)."""
    change = layers.Concatenate(name=f"{name}_concatenate")(branches)
    change = conv(change, features.shape[-1], 1, f"{name}_conv2d", use_bias=True)
    if scale != 1:
        change = layers.Rescaling(scale, name=f"{name}_scale")(change)
    features = layers.Add(name=f"{name}_add")([change, features])
    return layers.ReLU(name=f"{name}_relu")(features) if relu else features


def _mixed_6a(features, name):
    branch0 = _conv(features, 384, 3, f"{name}_branch0", strides=2)
    branch1 = _conv(features, 192, 1, f"{name}_branch1_0")
    branch1 = _conv(branch1, 192, 3, f"{name}_branch1_1", padding=1)
    branch1 = _conv(branch1, 256, 3, f"{name}_branch1_2", strides=2)
    branch2 = layers.MaxPooling2D(3, 2, name=f"{name}_branch2")(features)
    return layers.Concatenate(name=f"{name}_concatenate")([branch0, branch1, branch2])


def _mixed_7a(features, name):
    branch0 = _conv(features, 256, 1, f"{name}_branch0_0")
    branch0 = _conv(branch0, 384, 3, f"{name}_branch0_1", strides=2)
    branch1 = _conv(features, 256, 1, f"{name}_branch1_0")
    branch1 = _conv(branch1, 256, 3, f"{name}_branch1_1", strides=2)
    branch2 = _conv(features, 256, 1, f"{name}_branch2_0")
    branch2 = _conv(branch2, 256, 3, f"{name}_branch2_1", padding=1)
    branch2 = _conv(branch2, 256, 3, f"{name}_branch2_2", strides=2)
    branch3 = layers.MaxPooling2D(3, 2, name=f"{name}_branch3")(features)
    return layers.Concatenate(name=f"{name}_concatenate")([branch0, branch1, branch2, branch3])
