"""Whole models have as many parameters as their counterparts in PyTorch."""

import math

import keras
import pytest

from tests.training.recipes import load_tiny
from tfface.training.recognizer import build_recognizer

CLASSIFIER = ["model.embedding_size=none", "model.neck={pooling: average}"]
FACENET = [
    "model.embedding_size=512",
    "model.neck={pooling: average, dropout: 0.6, batch_norm: true}",
]
VGG = [
    "model.embedding_size=none",
    "model.neck={pooling: adaptive_average_7x7, hidden_units: [4096, 4096], dropout: 0.5}",
]
MOBILEFACENET = ["model.embedding_size=512", "model.neck={pooling: flatten, batch_norm: true}"]
IRESNET = [
    *MOBILEFACENET,
    "model.neck.input_batch_norm=true",
    "model.neck.embedding_bias=true",
]


# Counted in torchvision, facenet-pytorch and insightface.
@pytest.mark.parametrize(
    ("backbone", "neck", "pixels", "classes", "count"),
    [
        *(
            pytest.param("inception_resnet_v1", FACENET, 160, *counts, marks=pytest.mark.slow)
            for counts in [(None, 23_482_624), (18, 23_491_858), (8631, 27_910_327)]
        ),
        ("resnet18", CLASSIFIER, 224, 1000, 11_689_512),
        pytest.param("resnet34", CLASSIFIER, 224, 1000, 21_797_672, marks=pytest.mark.slow),
        pytest.param(
            "resnet50_torchvision", CLASSIFIER, 224, 1000, 25_557_032, marks=pytest.mark.slow
        ),
        pytest.param(
            "resnet101_torchvision", CLASSIFIER, 224, 1000, 44_549_160, marks=pytest.mark.slow
        ),
        pytest.param("resnet152", CLASSIFIER, 224, 1000, 60_192_808, marks=pytest.mark.slow),
        pytest.param(
            "wide_resnet101_2", CLASSIFIER, 224, 1000, 126_886_696, marks=pytest.mark.slow
        ),
        pytest.param("resnext101_32x8d", CLASSIFIER, 224, 1000, 88_791_336, marks=pytest.mark.slow),
        pytest.param("vgg13_bn", VGG, 224, 1000, 133_053_736, marks=pytest.mark.slow),
        pytest.param("vgg13_bn", VGG, 256, 100, 129_366_436, marks=pytest.mark.slow),
        pytest.param("vit_b16", CLASSIFIER, 224, 1000, 86_567_656, marks=pytest.mark.slow),
        pytest.param("iresnet18", IRESNET, 112, None, 24_025_600, marks=pytest.mark.slow),
        pytest.param("iresnet34", IRESNET, 112, None, 34_139_328, marks=pytest.mark.slow),
        pytest.param("iresnet50", IRESNET, 112, None, 43_590_848, marks=pytest.mark.slow),
        pytest.param("iresnet100", IRESNET, 112, None, 65_156_160, marks=pytest.mark.slow),
        ("mobilefacenet", MOBILEFACENET, 112, None, 2_059_520),
    ],
)
def test_trainable_parameters(tmp_path, backbone, neck, pixels, classes, count):
    recipe = load_tiny(
        tmp_path,
        f"model.backbone={backbone}",
        "model.head=softmax",
        *neck,
        "model.input_normalization=raw",
    )
    # Their values are not asked for, and take long to draw.
    with keras.StatelessScope(initialize_variables=False):
        recognizer = build_recognizer(recipe.model, (pixels, pixels), classes or 2, tmp_path)
        model = recognizer.embedder if classes is None else recognizer
        assert sum(math.prod(w.shape) for w in model.trainable_weights) == count
    keras.backend.clear_session()
