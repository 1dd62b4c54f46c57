"""What every backbone promises, run over the table."""

import inspect
import math
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import applications

from tfface.backbones import BACKBONES, Backbone
from tfface.backbones.backbone import INPUT_NORMALIZATIONS
from tfface.errors import InputError

# Trainable and non-trainable weights without the classifier, at alpha 1.
GOLDEN_COUNTS = {
    "plain_cnn": (315_040, 832),
    "simple_cnn": (98_632, 496),
    "inception_resnet_v1": (22_564_096, 28_576),
    "vgg13_bn": (9_410_880, 5_888),
    "vgg16": (14_714_688, 0),
    "vgg19": (20_024_384, 0),
    "mobilenet": (3_206_976, 21_888),
    "mobilenet_v2": (2_223_872, 34_112),
    "mobilenet_v3_small": (927_008, 12_112),
    "mobilenet_v3_large": (2_971_952, 24_400),
    "resnet50": (23_534_592, 53_120),
    "resnet101": (42_552_832, 105_344),
    "resnet50_v2": (23_519_360, 45_440),
    "resnet101_v2": (42_528_896, 97_664),
    "resnet152_v2": (58_187_904, 143_744),
    "efficientnet_b0": (4_007_548, 42_023),
    "efficientnet_b1": (6_513_184, 62_055),
    "efficientnet_b2": (7_700_994, 67_575),
    "efficientnet_b3": (10_696_232, 87_303),
    "efficientnet_v2_b0": (5_858_704, 60_608),
    "efficientnet_v2_b1": (6_860_052, 71_072),
    "efficientnet_v2_b2": (8_687_086, 82_288),
    "efficientnet_v2_b3": (12_821_406, 109_216),
    "convnext_tiny": (27_820_128, 0),
    "densenet121": (6_953_856, 83_648),
    "resnet18": (11_176_512, 9_600),
    "resnet34": (21_284_672, 17_024),
    "resnet50_torchvision": (23_508_032, 53_120),
    "resnet101_torchvision": (42_500_160, 105_344),
    "resnet152": (58_143_808, 151_424),
    "wide_resnet101_2": (124_837_696, 137_856),
    "resnext101_32x8d": (86_742_336, 202_880),
    # Positions are weights: at the 224 pixels of its published weights there are 192 more.
    "vit_b16": (85_651_200, 0),
    "vit_small": (21_375_360, 0),
    # So are they here, and so is the dense layer that takes all patches.
    "vit_t": (10_123_520, 512),
    "vit_s": (40_301_056, 1_024),
    "vit_b": (78_111_232, 1_024),
    "iresnet18": (11_177_984, 12_672),
    "iresnet34": (21_291_712, 23_808),
    "iresnet50": (30_743_232, 36_096),
    "iresnet100": (52_308_544, 67_584),
    "mobilefacenet": (1_773_312, 22_784),
    "ir_18": (11_173_760, 12_544),
    "ir_34": (21_287_488, 23_680),
    "ir_50": (30_739_008, 35_968),
    "ir_101": (52_304_320, 67_456),
    "ir_se_50": (30_961_728, 35_968),
    "ir_se_101": (52_676_544, 67_456),
}
# keras.applications' own preprocess_input is the judge of a pixel contract.
PREPROCESSING = {
    "vgg16": applications.vgg16,
    "vgg19": applications.vgg19,
    "mobilenet": applications.mobilenet,
    "mobilenet_v2": applications.mobilenet_v2,
    "mobilenet_v3": applications.mobilenet_v3,
    "resnet": applications.resnet,
    "resnet_v2": applications.resnet_v2,
    "efficientnet_v2": applications.efficientnet_v2,
    "efficientnet": applications.efficientnet,
    "convnext": applications.convnext,
    "densenet": applications.densenet,
}
# Whose network is that of a file; tests/backbones/test_file_network.py has some.
OF_FILES = {"keras_file"}
MADE_HERE = [name for name in BACKBONES if name not in OF_FILES]
# Where it isn't 32 pixels.
SMALLEST = {"inception_resnet_v1": 75}


def is_large(name: str) -> bool:
    # JAX compiles the drawing of each shape anew.
    most = 500_000 if keras.backend.backend() == "jax" else 10_000_000
    return sum(GOLDEN_COUNTS[name]) > most


def without_values(name: str):
    """Large networks are built, but their weights not drawn: that takes most of the time."""
    return keras.StatelessScope(initialize_variables=False) if is_large(name) else nullcontext()


# Larger networks are in the slow tier, and so are most on JAX, which compiles for each shape.
_LARGEST_BY_DEFAULT = 15_000_000
# So are the deeper ones of a family whose first one, of the same blocks, is in the default tier,
# and two of many layers, whose outputs the pins of the default tier hold.
_DEEPER = {
    *(f"efficientnet_{version}{depth}" for version in ("b", "v2_b") for depth in (1, 2, 3)),
    "densenet121",
    "efficientnet_v2_b0",
    "ir_34",
    "mobilenet_v3_large",
}
_ON_JAX_BY_DEFAULT = ("plain_cnn", "mobilenet_v2")


def in_its_tier(name: str):
    if keras.backend.backend() == "jax":
        by_default = name in _ON_JAX_BY_DEFAULT
    else:
        is_small = sum(GOLDEN_COUNTS.get(name, (0,))) <= _LARGEST_BY_DEFAULT
        by_default = is_small and name not in _DEEPER
    return pytest.param(name, marks=[] if by_default else pytest.mark.slow)


@pytest.fixture(scope="module", params=[in_its_tier(name) for name in MADE_HERE])
def built(request) -> tuple[str, Backbone]:
    """Each backbone of the table, at the smallest size, built once for all tests."""
    name = request.param
    size = SMALLEST.get(name, 32)
    with without_values(name):
        backbone = BACKBONES[name](image_size=(size, size))
    yield name, backbone
    keras.backend.clear_session()


def test_every_backbone_has_golden_counts():
    assert set(GOLDEN_COUNTS) == set(MADE_HERE)


@pytest.mark.parametrize("name", SMALLEST)
def test_an_image_that_is_too_small(name):
    size = SMALLEST[name]
    with pytest.raises(InputError, match=f"{name} can't be built for .* {size} pixels or more"):
        BACKBONES[name](image_size=(size, size - 1))


def test_counts_and_shapes(built):
    name, backbone = built
    network = backbone.network
    assert _counts(network) == GOLDEN_COUNTS[name]
    assert network.name == "backbone"
    size = SMALLEST.get(name, 32)
    assert network.input_shape == (None, size, size, 3)
    assert len(network.output_shape) == 4
    assert backbone.input_normalization in INPUT_NORMALIZATIONS


def test_is_made_again_from_its_configuration(built):
    """Which is what loading a saved model does first."""
    name, backbone = built
    config = keras.saving.serialize_keras_object(backbone.network)
    with without_values(name):
        again = keras.saving.deserialize_keras_object(config, safe_mode=True)
    assert again.name == "backbone"
    assert [w.shape for w in again.weights] == [w.shape for w in backbone.network.weights]


def test_saves_and_loads(built, tmp_path):
    name, backbone = built
    if is_large(name):
        pytest.skip("large: its configuration is tested, its weights are like the others'")
    backbone.network.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    for one, other in zip(backbone.network.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )


def test_input_normalization_is_that_of_the_published_weights(built):
    name, backbone = built
    # DenseNet's is torchvision's.
    from_torchvision = backbone.imagenet_url is not None
    families = ["densenet"] if from_torchvision else [k for k in PREPROCESSING if _is_of(name, k)]
    if not families:
        pytest.skip("has no published weights")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(INPUT_NORMALIZATIONS[backbone.input_normalization](pixels)),
        PREPROCESSING[max(families, key=len)].preprocess_input(pixels.copy()),
        atol=1e-4,
    )


def test_pixels_of_facenet():
    given = np.array([[[[0, 127.5, 255]]]], "float32")
    made = keras.ops.convert_to_numpy(INPUT_NORMALIZATIONS["facenet"](given))
    np.testing.assert_allclose(made, (given - 127.5) / 128, atol=1e-6)


@pytest.mark.parametrize("name", BACKBONES)
def test_options_are_annotated(name):
    for parameter in inspect.signature(BACKBONES[name]).parameters.values():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert parameter.annotation is not parameter.empty
        else:
            assert parameter.name in ("image_size", "weights")


def _counts(network: keras.Model) -> tuple[int, int]:
    return tuple(
        sum(math.prod(weight.shape) for weight in weights)
        for weights in (network.trainable_weights, network.non_trainable_weights)
    )


def _is_of(name: str, family: str) -> bool:
    return name.startswith(family) or (
        family == "resnet_v2" and name.startswith("resnet") and name.endswith("_v2")
    )
