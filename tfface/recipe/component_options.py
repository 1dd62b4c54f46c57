"""The options of components; see `signatures`.

Made by `python tools/update_reference.py` from the components; do not edit.
"""

# ruff: noqa: E501
# fmt: off

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

# Kind -> component -> option -> (annotation,) or (annotation, default).
OPTIONS: dict[str, dict[str, dict[str, tuple]]] = {
    "sources": {
        "folder": {
            "path": (Path,),
        },
        "photos": {
            "path": (Path,),
        },
        "tfrecord": {
            "path": (Path,),
            "image_root": (Path | None, None),
        },
        "recordio": {
            "path": (Path,),
            "label": (Annotated[int, Field(ge=0)], 0),
            "on_empty_identity": (Literal['error', 'skip'], 'error'),
        },
        "webdataset": {
            "path": (Path,),
            "label": (str | None, None),
            "image": (str | None, None),
        },
        "parquet": {
            "path": (Path,),
            "image": (str | None, None),
            "label": (str | None, None),
        },
        "tface": {
            "path": (Path,),
            "root": (Path | None, None),
        },
        "csv": {
            "path": (Path,),
            "image_root": (Path | None, None),
            "path_column": (str, 'path'),
            "identity_column": (str, 'identity'),
        },
        "list": {
            "path": (Path,),
            "image_root": (Path | None, None),
        },
        "kface": {
            "path": (Path,),
            "resolution": (Literal['high', 'middle', 'low'] | None, None),
            "crop": (Literal['none', 'box'], 'none'),
            "on_missing_box": (Literal['error', 'skip'], 'error'),
        },
        "tfds": {
            "dataset": (str,),
            "split": (str, 'train'),
            "image": (str | None, None),
            "label": (str | None, None),
            "data_dir": (Path | None, None),
        },
        "synthetic": {
            "num_identities": (Annotated[int, Field(ge=1, lt=1000000)], 200),
            "images_per_identity": (Annotated[int, Field(ge=1)], 20),
            "size": (Annotated[int, Field(ge=32, le=1024)], 112),
            "seed": (Annotated[int, Field(ge=0)], 0),
        },
        "split": {
            "path": (Path | None, None),
            "of": (dict[str, Any] | None, None),
            "subset": (Literal['train', 'validation', 'test'], 'train'),
            "fractions": (Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=3)] | None, None),
            "shots": (Annotated[int, Field(ge=1)] | None, None),
            "seed": (Annotated[int, Field(ge=0, lt=9223372036854775808)], 0),
            "num_identities": (Annotated[int, Field(ge=1)] | None, None),
            "min_images": (Annotated[int, Field(ge=1)] | None, None),
            "max_images": (Annotated[int, Field(ge=1)] | None, None),
        },
        "union": {
            "of": (Annotated[list[dict[str, Any]], Field(min_length=2)],),
        },
    },
    "augmentations": {
        "random_flip": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.5),
        },
        "random_crop": {
            "from_size": (Annotated[int, Field(ge=1, le=2048)],),
        },
        "random_affine": {
            "rotation": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "zoom": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "shift": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "fill": (Literal['edge', 'reflect', 'black'], 'edge'),
        },
        "color_jitter": {
            "brightness": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "contrast": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "saturation": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
            "hue": (Annotated[float, Field(ge=0)] | Annotated[list[float], Field(min_length=2, max_length=2)], 0.0),
        },
        "random_grayscale": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.1),
        },
        "gaussian_noise": {
            "stddev": (Annotated[float, Field(ge=0, le=255)],),
        },
        "gaussian_blur": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.5),
            "sigma": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.1, 2.0)),
        },
        "low_resolution": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.2),
            "scale": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.2, 1.0)),
        },
        "random_erasing": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.5),
            "area": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.02, 0.4)),
            "aspect": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.3, 3.3)),
            "fill": (Literal['noise', 'black', 'mean'], 'noise'),
        },
        "random_crop_erase": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.2),
            "area": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.2, 1.0)),
            "aspect": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.75, 1.3333)),
        },
        "grid_mask": {
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.5),
            "ratio": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.0, 0.5)),
            "unit": (Annotated[list[float], Field(min_length=2, max_length=2)], (0.3, 0.5)),
            "rotation": (Annotated[float, Field(ge=0, le=180)], 54.0),
            "fill": (Literal['black', 'noise'], 'black'),
        },
        "rand_augment": {
            "num_operations": (Annotated[int, Field(ge=1, le=8)], 2),
            "magnitude": (Annotated[float, Field(ge=0, le=1)], 0.3),
            "probability": (Annotated[float, Field(ge=0, le=1)], 1.0),
        },
        "one_class_cutmix": {
            "alpha": (Annotated[float, Field(ge=0.01, le=100)], 1.0),
            "probability": (Annotated[float, Field(ge=0, le=1)], 0.5),
        },
        "mixup": {
            "alpha": (Annotated[float, Field(ge=0.01, le=100)], 0.2),
            "probability": (Annotated[float, Field(ge=0, le=1)], 1.0),
        },
        "cutmix": {
            "alpha": (Annotated[float, Field(ge=0.01, le=100)], 1.0),
            "probability": (Annotated[float, Field(ge=0, le=1)], 1.0),
        },
        "keras_layer": {
            "layer": (str,),
            "**": (),
        },
    },
    "backbones": {
        "plain_cnn": {
            "channels": (Annotated[list[Annotated[int, Field(ge=1, le=65536)]], Field(min_length=1, max_length=32)], (32, 64, 128, 192)),
        },
        "simple_cnn": {
            "channels": (Annotated[list[Annotated[int, Field(ge=1, le=65536)]], Field(min_length=1, max_length=32)], (8, 16, 32, 64, 128)),
        },
        "inception_resnet_v1": {
        },
        "vgg13_bn": {
        },
        "vgg16": {
        },
        "vgg19": {
        },
        "mobilenet": {
            "alpha": (Annotated[float, Field(gt=0, le=2)], 1.0),
        },
        "mobilenet_v2": {
            "alpha": (Annotated[float, Field(gt=0, le=2)], 1.0),
        },
        "mobilenet_v3_small": {
            "alpha": (Annotated[float, Field(gt=0, le=2)], 1.0),
        },
        "mobilenet_v3_large": {
            "alpha": (Annotated[float, Field(gt=0, le=2)], 1.0),
        },
        "resnet50": {
        },
        "resnet101": {
        },
        "resnet50_v2": {
        },
        "resnet101_v2": {
        },
        "resnet152_v2": {
        },
        "efficientnet_b0": {
        },
        "efficientnet_b1": {
        },
        "efficientnet_b2": {
        },
        "efficientnet_b3": {
        },
        "efficientnet_v2_b0": {
        },
        "efficientnet_v2_b1": {
        },
        "efficientnet_v2_b2": {
        },
        "efficientnet_v2_b3": {
        },
        "convnext_tiny": {
        },
        "densenet121": {
        },
        "resnet18": {
        },
        "resnet34": {
        },
        "resnet50_torchvision": {
        },
        "resnet101_torchvision": {
        },
        "resnet152": {
        },
        "wide_resnet101_2": {
        },
        "resnext101_32x8d": {
        },
        "vit_b16": {
            "dropout": (Annotated[float, Field(ge=0, lt=1)], 0.0),
        },
        "vit_small": {
            "patch_size": (Annotated[int, Field(ge=1, le=1000)], 8),
            "depth": (Annotated[int, Field(ge=1, le=1000)], 12),
            "width": (Annotated[int, Field(ge=1, le=65536)], 384),
            "heads": (Annotated[int, Field(ge=1, le=1000)], 6),
            "dropout": (Annotated[float, Field(ge=0, lt=1)], 0.0),
        },
        "iresnet18": {
        },
        "iresnet34": {
        },
        "iresnet50": {
        },
        "iresnet100": {
        },
        "mobilefacenet": {
            "layout": (Literal['insightface', 'original'], 'insightface'),
            "blocks": (Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=4, max_length=4)], (1, 4, 6, 2)),
            "scale": (Annotated[int, Field(ge=1, le=64)] | None, None),
        },
        "vit_t": {
            "drop_path": (Annotated[float, Field(ge=0, lt=1)], 0.1),
        },
        "vit_s": {
            "drop_path": (Annotated[float, Field(ge=0, lt=1)], 0.1),
        },
        "vit_b": {
            "drop_path": (Annotated[float, Field(ge=0, lt=1)], 0.1),
        },
        "ir_18": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "ir_34": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "ir_50": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "ir_101": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "ir_se_50": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "ir_se_101": {
            "layout": (Literal['adaface', 'tface', 'evolve'], 'adaface'),
        },
        "keras_file": {
            "path": (Path,),
            "until": (str | None, None),
        },
    },
    "heads": {
        "softmax": {
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "**": (),
        },
        "sigmoid": {
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "**": (),
        },
        "arcface": {
            "margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.5),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
            "gradient": (Literal['exact', 'straight_through'], 'exact'),
        },
        "cosface": {
            "margin": (Annotated[float, Field(ge=0, lt=1)], 0.35),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
        },
        "sphereface": {
            "margin": (Annotated[float, Field(ge=1, le=8)], 1.5),
            "scale": (Annotated[float, Field(gt=0)], 30.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
        },
        "combined": {
            "m1": (Annotated[float, Field(gt=0, le=8)], 1.0),
            "m2": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.3),
            "m3": (Annotated[float, Field(ge=0, lt=1)], 0.2),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
        },
        "curricularface": {
            "margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.5),
            "momentum": (Annotated[float, Field(ge=0, lt=1)], 0.99),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
        },
        "adaface": {
            "margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.4),
            "h": (Annotated[float, Field(gt=0)], 0.333),
            "momentum": (Annotated[float, Field(ge=0, lt=1)], 0.99),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
        },
        "magface": {
            "lower_margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.45),
            "upper_margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.8),
            "lower_norm": (Annotated[float, Field(gt=0)], 10.0),
            "upper_norm": (Annotated[float, Field(gt=0)], 110.0),
            "lambda_g": (Annotated[float, Field(ge=0)], 35.0),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
            "easy_margin": (bool, True),
        },
        "subcenter_arcface": {
            "margin": (Annotated[float, Field(ge=0, lt=1.5707963267948966)], 0.5),
            "scale": (Annotated[float, Field(gt=0)], 64.0),
            "centers_per_class": (Annotated[int, Field(ge=1, le=1000)], 3),
            "label_smoothing": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "margin_warmup_epochs": (Annotated[float, Field(ge=0)], 5.0),
            "sample_rate": (Annotated[float, Field(gt=0, le=1)], 1.0),
            "gradient": (Literal['exact', 'straight_through'], 'exact'),
        },
        "triplet": {
            "margin": (Annotated[float, Field(ge=0, lt=4)], 0.2),
            "**": (),
        },
    },
    "optimizers": {
        "sgd": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.01),
            "momentum": (Annotated[float, Field(ge=0, lt=1)], 0.9),
            "nesterov": (bool, False),
            "weight_decay": (Annotated[float, Field(ge=0, lt=1)], 0.0),
        },
        "adam": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.001),
            "beta_1": (Annotated[float, Field(ge=0, lt=1)], 0.9),
            "beta_2": (Annotated[float, Field(ge=0, lt=1)], 0.999),
            "epsilon": (Annotated[float, Field(gt=0, le=1000000.0)], 1e-07),
        },
        "adamw": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.001),
            "weight_decay": (Annotated[float, Field(ge=0, lt=1)], 0.01),
            "beta_1": (Annotated[float, Field(ge=0, lt=1)], 0.9),
            "beta_2": (Annotated[float, Field(ge=0, lt=1)], 0.999),
            "epsilon": (Annotated[float, Field(gt=0, le=1000000.0)], 1e-07),
        },
        "rmsprop": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.001),
            "rho": (Annotated[float, Field(ge=0, lt=1)], 0.9),
            "momentum": (Annotated[float, Field(ge=0, lt=1)], 0.0),
            "epsilon": (Annotated[float, Field(gt=0, le=1000000.0)], 1e-07),
        },
        "adagrad": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.01),
            "epsilon": (Annotated[float, Field(gt=0, le=1000000.0)], 1e-07),
        },
        "lamb": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.001),
            "weight_decay": (Annotated[float, Field(ge=0, lt=1)], 0.01),
        },
        "lion": {
            "learning_rate": (Annotated[float, Field(gt=0, le=1000000.0)], 0.0001),
            "weight_decay": (Annotated[float, Field(ge=0, lt=1)], 0.01),
        },
    },
    "schedules": {
        "constant": {
        },
        "step": {
            "every_epochs": (Annotated[int, Field(ge=1)],),
            "gamma": (Annotated[float, Field(gt=0, le=1)], 0.1),
        },
        "multi_step": {
            "epochs": (Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)],),
            "gamma": (Annotated[float, Field(gt=0, le=1)], 0.1),
        },
        "exponential": {
            "gamma": (Annotated[float, Field(gt=0, le=1)],),
        },
        "polynomial": {
            "power": (Annotated[float, Field(gt=0)], 1.0),
            "min_lr_ratio": (Annotated[float, Field(ge=0, lt=1)], 0.0),
        },
        "cosine": {
            "min_lr_ratio": (Annotated[float, Field(ge=0, lt=1)], 0.0),
        },
    },
}
