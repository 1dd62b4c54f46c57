"""VGG of 13 layers with batch norm in torchvision's layout; keras.applications has none.

Its classifier is a neck: {pooling: adaptive_average_7x7, hidden_units: [4096, 4096]} and
no embedding layer.

Source: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556; torchvision/models/vgg.py.
"""

import keras
from keras import layers

from tfface.backbones.backbone import Backbone
from tfface.backbones.torch_layers import batch_norm, conv, kaiming_fan_out
from tfface.backbones.weights.published import PYTORCH

STAGES = (64, 128, 256, 512, 512)
CLASSIFIER = {"neck_hidden_0": "classifier.0", "neck_hidden_1": "classifier.3"}


def vgg13_bn(*, image_size: tuple[int, int]) -> Backbone:
    """Five stages of two 3x3 convolutions, each with batch norm and ReLU, and a max-pool of 2."""
    images = features = keras.Input((*image_size, 3))
    # PyTorch counts every layer of the sequence, also those without weights.
    number = 0
    for channels in STAGES:
        for _ in range(2):
            features = conv(
                features,
                channels,
                3,
                f"features_{number}",
                padding=1,
                use_bias=True,
                initializer=kaiming_fan_out,
            )
            features = batch_norm(features, f"features_{number + 1}")
            features = layers.ReLU(name=f"features_{number + 2}")(features)
            number += 3
        features = layers.MaxPooling2D(2, name=f"features_{number}")(features)
        number += 1
    return Backbone(
        keras.Model(images, features, name="backbone"),
        "imagenet",
        neck_modules=CLASSIFIER,
        imagenet_url=f"{PYTORCH}vgg13_bn-abd245e5.pth",
    )
