"""Backbones: networks from images to feature maps.

To add one: a function (or a line of `applications.py`) and a line in BACKBONES. It takes its
options as annotated parameters and, by keyword, `image_size` and `weights` (None or "imagenet"),
and returns a `Backbone`.
"""

from keras import applications as nets

from tfface.backbones.applications import plain, with_alpha
from tfface.backbones.backbone import Backbone
from tfface.backbones.iresnet import iresnet
from tfface.backbones.mobilefacenet import mobilefacenet
from tfface.backbones.plain_cnn import plain_cnn

__all__ = ["BACKBONES", "Backbone"]

# Name -> builder. The second argument is the pixel contract the published weights were trained
# with (keras.applications' own `preprocess_input`); "raw" nets normalise inside.
BACKBONES = {
    "plain_cnn": plain_cnn,
    "vgg16": plain(nets.VGG16, "caffe"),
    "vgg19": plain(nets.VGG19, "caffe"),
    "mobilenet": with_alpha(nets.MobileNet, "minus_one_to_one"),
    "mobilenet_v2": with_alpha(nets.MobileNetV2, "minus_one_to_one"),
    "mobilenet_v3_small": with_alpha(nets.MobileNetV3Small, "raw"),
    "mobilenet_v3_large": with_alpha(nets.MobileNetV3Large, "raw"),
    "resnet50": plain(nets.ResNet50, "caffe"),
    "resnet101": plain(nets.ResNet101, "caffe"),
    "resnet152": plain(nets.ResNet152, "caffe"),
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
    "iresnet18": iresnet("iresnet18", (2, 2, 2, 2)),
    "iresnet34": iresnet("iresnet34", (3, 4, 6, 3)),
    "iresnet50": iresnet("iresnet50", (3, 4, 14, 3)),
    "iresnet100": iresnet("iresnet100", (3, 13, 30, 3)),
    "mobilefacenet": mobilefacenet,
}
