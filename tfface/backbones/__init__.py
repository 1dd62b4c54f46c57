"""Backbones: networks from images to feature maps.

To add one, write a function and add it to `BACKBONES`. It takes its options as annotated
parameters, `image_size` by keyword, and returns a `Backbone`. It also takes `weights`, None or
"imagenet", unless its `Backbone` has an `imagenet_url`, whose weights are downloaded and loaded.

Example:
    >>> backbone = BACKBONES["mobilefacenet"](image_size=(112, 112))
    >>> backbone.network.output_shape
    (None, 1, 1, 512)
"""

from keras import applications as nets

from tfface.backbones.applications import plain, with_alpha
from tfface.backbones.arcface_vit import arcface_vit
from tfface.backbones.backbone import Backbone
from tfface.backbones.file_network import keras_file
from tfface.backbones.inception_resnet_v1 import inception_resnet_v1
from tfface.backbones.ir import ir
from tfface.backbones.iresnet import iresnet
from tfface.backbones.mobilefacenet import mobilefacenet
from tfface.backbones.simple_cnn import plain_cnn, simple_cnn
from tfface.backbones.torchvision import resnet_basic, resnet_bottleneck, vgg13_bn
from tfface.backbones.vision_transformer import vit_b16, vit_small

__all__ = ["BACKBONES", "Backbone"]

# Name -> builder. The second argument of `plain` and `with_alpha` is the input normalization of the
# published weights (`preprocess_input` of keras.applications); networks with "raw" contain theirs.
# That of the ResNets is the file of their published weights.
BACKBONES = {
    "plain_cnn": plain_cnn,
    "simple_cnn": simple_cnn,
    "inception_resnet_v1": inception_resnet_v1,
    "vgg13_bn": vgg13_bn,
    "vgg16": plain(nets.VGG16, "caffe"),
    "vgg19": plain(nets.VGG19, "caffe"),
    "mobilenet": with_alpha(nets.MobileNet, "minus_one_to_one"),
    "mobilenet_v2": with_alpha(nets.MobileNetV2, "minus_one_to_one"),
    "mobilenet_v3_small": with_alpha(nets.MobileNetV3Small, "raw"),
    "mobilenet_v3_large": with_alpha(nets.MobileNetV3Large, "raw"),
    "resnet50": plain(nets.ResNet50, "caffe"),
    "resnet101": plain(nets.ResNet101, "caffe"),
    "resnet50_v2": plain(nets.ResNet50V2, "minus_one_to_one"),
    "resnet101_v2": plain(nets.ResNet101V2, "minus_one_to_one"),
    "resnet152_v2": plain(nets.ResNet152V2, "minus_one_to_one"),
    "efficientnet_b0": plain(nets.EfficientNetB0, "raw"),
    "efficientnet_b1": plain(nets.EfficientNetB1, "raw"),
    "efficientnet_b2": plain(nets.EfficientNetB2, "raw"),
    "efficientnet_b3": plain(nets.EfficientNetB3, "raw"),
    "efficientnet_v2_b0": plain(nets.EfficientNetV2B0, "raw"),
    "efficientnet_v2_b1": plain(nets.EfficientNetV2B1, "raw"),
    "efficientnet_v2_b2": plain(nets.EfficientNetV2B2, "raw"),
    "efficientnet_v2_b3": plain(nets.EfficientNetV2B3, "raw"),
    "convnext_tiny": plain(nets.ConvNeXtTiny, "raw"),
    "densenet121": plain(nets.DenseNet121, "imagenet"),
    # The layout of torchvision, with its published weights.
    "resnet18": resnet_basic((2, 2, 2, 2), "resnet18-f37072fd"),
    "resnet34": resnet_basic((3, 4, 6, 3), "resnet34-b627a593"),
    "resnet50_torchvision": resnet_bottleneck((3, 4, 6, 3), "resnet50-0676ba61"),
    "resnet101_torchvision": resnet_bottleneck((3, 4, 23, 3), "resnet101-63fe2227"),
    "resnet152": resnet_bottleneck((3, 8, 36, 3), "resnet152-394f9c45"),
    "wide_resnet101_2": resnet_bottleneck((3, 4, 23, 3), "wide_resnet101_2-32ee1156", width=128),
    "resnext101_32x8d": resnet_bottleneck(
        (3, 4, 23, 3), "resnext101_32x8d-8ba56ff5", width=8, groups=32
    ),
    "vit_b16": vit_b16,
    "vit_small": vit_small,
    # The layout of insightface.
    "iresnet18": iresnet("iresnet18", (2, 2, 2, 2)),
    "iresnet34": iresnet("iresnet34", (3, 4, 6, 3)),
    "iresnet50": iresnet("iresnet50", (3, 4, 14, 3)),
    "iresnet100": iresnet("iresnet100", (3, 13, 30, 3)),
    "mobilefacenet": mobilefacenet,
    "vit_t": arcface_vit("vit_t", width=256, depth=12),
    "vit_s": arcface_vit("vit_s", width=512, depth=12),
    "vit_b": arcface_vit("vit_b", width=512, depth=24),
    # The layout of AdaFace, CVLface, TFace and face.evoLVe.
    "ir_18": ir("ir_18", (2, 2, 2, 2)),
    "ir_34": ir("ir_34", (3, 4, 6, 3)),
    "ir_50": ir("ir_50", (3, 4, 14, 3)),
    "ir_101": ir("ir_101", (3, 13, 30, 3)),
    "ir_se_50": ir("ir_se_50", (3, 4, 14, 3), squeeze=True),
    "ir_se_101": ir("ir_se_101", (3, 13, 30, 3), squeeze=True),
    # Any network.
    "keras_file": keras_file,
}
