"""PyTorch's weights in our networks: the same outputs, and a line on what was loaded or why not."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backbones.weights.made_weights import SIZES, made_images, made_values
from tfface.backbones import BACKBONES, Backbone
from tfface.backbones.arcface_vit import EPSILON, arcface_vit_network
from tfface.backbones.arcface_vit import NECK as ARCFACE_VIT_NECK
from tfface.backbones.backbone import INPUT_NORMALIZATIONS
from tfface.backbones.inception_resnet_v1 import inception_resnet_v1
from tfface.backbones.ir import NECK as IR_NECK
from tfface.backbones.ir import ir_network
from tfface.backbones.iresnet import NECK, iresnet_network
from tfface.backbones.mobilefacenet import mobilefacenet
from tfface.backbones.neck import build_neck
from tfface.backbones.torchvision import resnet_basic, resnet_bottleneck, vgg13_bn
from tfface.backbones.vision_transformer import vit_small
from tfface.backbones.weights.loading import load_initial_weights
from tfface.backbones.weights.torch_weights import mapped_weights
from tfface.errors import InputError
from tfface.recipe import load
from tfface.recipe.schema import NeckConfig
from tfface.training.recognizer import build_starting_embedder
from tfface.training.registries import REGISTRIES

HERE = Path(__file__).resolve().parent
GOLDEN = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
FACE_NECK = {"pooling": "flatten", "batch_norm": True}
IRESNET_NECK = {**FACE_NECK, "input_batch_norm": True}


def small_iresnet(blocks=(1, 2, 1, 1), image_size=(32, 32)) -> Backbone:
    network = iresnet_network(image_size, blocks, (8, 8, 16, 16))
    return Backbone(network, "raw", neck_modules=NECK)


def small_ir(blocks=(1, 1, 1, 1), *, image_size, **options) -> Backbone:
    network = ir_network(image_size, blocks, (16, 16, 32, 32), **options)
    return Backbone(network, "raw", neck_modules=IR_NECK)


def small_arcface_vit(*, image_size) -> Backbone:
    network = arcface_vit_network(image_size, 32, 2, 4, drop_path=0.1)
    return Backbone(network, "raw", neck_modules=ARCFACE_VIT_NECK, neck_epsilon=EPSILON)


# Our side of `torch_networks.GOLDEN_NETWORKS`: builder, neck, embedding size.
CASES = {
    "iresnet": (small_iresnet, IRESNET_NECK, 16),
    "ir": (lambda **size: small_ir((1, 2, 1, 1), **size), IRESNET_NECK, 16),
    "ir_se": (lambda **size: small_ir((1, 2, 1, 1), squeeze=True, **size), IRESNET_NECK, 16),
    "ir_evolve": (
        lambda **size: small_ir(squeeze=True, layout="evolve", **size),
        IRESNET_NECK,
        16,
    ),
    "mobilefacenet": (
        lambda **size: mobilefacenet(blocks=[2, 1, 1, 1], scale=1, **size),
        FACE_NECK,
        16,
    ),
    "mobilefacenet_original": (
        lambda **size: mobilefacenet("original", [1, 1, 1, 1], **size),
        FACE_NECK,
        16,
    ),
    "mobilefacenet_grouped": (
        lambda **size: mobilefacenet(blocks=[1, 1, 1, 1], **size),
        FACE_NECK,
        16,
    ),
    "resnet_basic": (resnet_basic((1, 1, 1, 1), ""), {}, None),
    "resnet_grouped": (resnet_bottleneck((1, 1, 1, 1), "", width=4, groups=32), {}, None),
    "vgg13_bn": (vgg13_bn, {}, None),
    "inception_resnet_v1": (inception_resnet_v1, {"batch_norm": True}, 512),
    "vit": (lambda **size: vit_small(16, 2, 32, 2, **size), {}, None),
    "arcface_vit": (lambda **size: small_arcface_vit(**size), {"batch_norm": True}, 16),
}
# The largest network, and variants of networks that the default tier tests.
_SLOW = {"inception_resnet_v1", "ir_se", "mobilefacenet_original", "resnet_grouped"}
# Those that another package than torch has.
PACKAGES = {
    "resnet_basic": "torchvision",
    "resnet_grouped": "torchvision",
    "vgg13_bn": "torchvision",
    "inception_resnet_v1": "facenet_pytorch",
    "vit": "torchvision",
}


def embedder_of(backbone: Backbone, neck: dict, embedding_size: int | None) -> keras.Model:
    images = keras.Input(backbone.network.input_shape[1:])
    features = backbone.network(images)
    epsilon = backbone.neck_epsilon
    return keras.Model(images, build_neck(features, NeckConfig(**neck), embedding_size, epsilon))


def made_checkpoint(embedder: keras.Model, backbone: Backbone) -> dict[str, np.ndarray]:
    """The weights that `torch_networks.fill` gives the same network, by names with `_` for `.`."""
    modules = backbone.neck_modules
    slots = [s for x in backbone.network.layers if x.weights for s in mapped_weights(x, Path())]
    for layer in embedder.layers:
        if layer.name in modules and layer.weights:
            slots += mapped_weights(layer, Path(), modules[layer.name])
    arrays = {slot.name: made_values(slot.name, slot.shapes[0]) for slot in slots}
    for module in ("fc", "output_layer_3"):
        if f"{module}_weight" in arrays:
            size = arrays[f"{module}_weight"].shape[0]
            arrays[f"{module}_bias"] = made_values(f"{module}_bias", (size,))
    if "body_0_res_layer_5_weight" in arrays:
        # The last batch norm of these is without scale and offset.
        del arrays["output_layer_4_weight"], arrays["output_layer_4_bias"]
    return arrays


def start(tmp_path, backbone, embedder, arrays, name="net.npz") -> str:
    np.savez(tmp_path / name, **arrays)
    return load_initial_weights(tmp_path / name, backbone, embedder)


@pytest.fixture(autouse=True)
def _clear():
    yield
    keras.backend.clear_session()


def test_every_golden_network_is_here():
    assert set(CASES) == set(GOLDEN) == set(SIZES)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else []) for name in CASES],
)
def test_outputs_are_those_of_pytorch(name, tmp_path):
    """Names, shapes, conversions, padding and epsilons: any mistake gives other numbers."""
    build, neck, embedding_size = CASES[name]
    backbone = build(image_size=SIZES[name])
    embedder = embedder_of(backbone, neck, embedding_size)
    arrays = made_checkpoint(embedder, backbone)
    line = start(tmp_path, backbone, embedder, arrays)
    neck_too = " and the neck" if embedding_size else ""
    assert line == f"weights: {len(arrays)} arrays of net.npz into the backbone{neck_too}"
    outputs = keras.ops.convert_to_numpy(embedder(made_images(*SIZES[name])))
    golden = np.array(GOLDEN[name])
    scale = max(1, np.abs(golden).max())
    np.testing.assert_allclose(outputs[:, : golden.shape[1]] / scale, golden / scale, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_pytorch_itself_gives_these_outputs_and_so_does_its_file(name, tmp_path):
    """As above, where PyTorch is installed: the network is its own, and it writes the file."""
    needed = ["torch", *([PACKAGES[name]] if name in PACKAGES else [])]
    torch, *_ = (
        pytest.importorskip(
            package, reason=f"{package} has the network to compare with: install it"
        )
        for package in needed
    )
    from tests.backbones.weights.torch_networks import GOLDEN_NETWORKS, run

    network, images = GOLDEN_NETWORKS[name](), made_images(*SIZES[name])
    expected = run(network, images)
    np.testing.assert_allclose(expected[:, :16], GOLDEN[name], atol=2e-5)

    torch.save({"epoch": 1, "state_dict": network.state_dict()}, tmp_path / "net.pth")
    build, neck, embedding_size = CASES[name]
    backbone = build(image_size=SIZES[name])
    embedder = embedder_of(backbone, neck, embedding_size)
    line = load_initial_weights(tmp_path / "net.pth", backbone, embedder)
    assert "not used" not in line
    assert "random weights" not in line
    outputs = keras.ops.convert_to_numpy(embedder(images))
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(outputs / scale, expected / scale, atol=1e-4)


@pytest.fixture
def iresnet() -> tuple[Backbone, keras.Model, dict[str, np.ndarray]]:
    backbone = small_iresnet((1, 1, 1, 1))
    embedder = embedder_of(backbone, IRESNET_NECK, 16)
    return backbone, embedder, made_checkpoint(embedder, backbone)


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.encoder."])
def test_prefixes_and_further_arrays(iresnet, tmp_path, prefix):
    backbone, embedder, arrays = iresnet
    changed = {prefix + name: array for name, array in arrays.items()}
    changed |= {"head.weight": np.ones(3), "head.bias": np.ones(3)}
    changed |= {"margin.s": np.ones(1), "margin.m": np.ones(1)}
    changed[f"{prefix}bn1.num_batches_tracked"] = np.int64(3)
    assert start(tmp_path, backbone, embedder, changed) == (
        f"weights: {len(arrays)} arrays of net.npz into the backbone and the neck; not used: "
        "head.weight, head.bias, margin.s and 1 more"
    )


def test_a_neck_of_another_size_keeps_its_initial_weights(tmp_path):
    backbone = small_iresnet((1, 1, 1, 1))
    arrays = made_checkpoint(embedder_of(backbone, IRESNET_NECK, 16), backbone)
    arrays = {name.replace("fc_", "fc."): array for name, array in arrays.items()}
    other = embedder_of(backbone, IRESNET_NECK, 24)
    before = other.get_layer("embedding").get_weights()[0]
    line = start(tmp_path, backbone, other, arrays)
    assert "into the backbone and neck_input_batch_norm; embedding, neck_batch_norm start " in line
    assert (
        "start from random weights; not used: fc.weight, features_weight, features_bias and 3 more"
        in line
    )
    np.testing.assert_array_equal(other.get_layer("embedding").get_weights()[0], before)


def test_a_neck_of_other_layers_keeps_its_initial_weights(iresnet, tmp_path):
    """Without its first batch norm, the dense layer would get what it was not trained on."""
    backbone, _, arrays = iresnet
    other = embedder_of(backbone, FACE_NECK, 16)
    line = start(tmp_path, backbone, other, arrays)
    assert (
        "into the backbone; embedding, neck_batch_norm start from random weights; not used: bn2"
        in line
    )


def test_a_layer_without_bias_in_pytorch_only(tmp_path):
    backbone = mobilefacenet(blocks=[1, 1, 1, 1], scale=1, image_size=(32, 32))
    arrays = made_checkpoint(embedder_of(backbone, FACE_NECK, 16), backbone)
    with_bias = embedder_of(backbone, {"pooling": "flatten"}, 16)
    assert "and the neck; not used: features_layers_3" in start(
        tmp_path, backbone, with_bias, arrays
    )
    assert not with_bias.get_layer("embedding").get_weights()[1].any()


def test_checkpoints_of_other_networks(iresnet, tmp_path):
    backbone, embedder, arrays = iresnet
    before = embedder.get_weights()

    def refused(changed: dict) -> str:
        with pytest.raises(InputError) as error:
            start(tmp_path, backbone, embedder, changed)
        assert "\n" not in str(error.value)
        return str(error.value)

    missing = {name: array for name, array in arrays.items() if name != "layer2_0_conv1_weight"}
    assert "has no array for layer2_0_conv1_weight [8, 8, 3, 3]; it has" in refused(missing)
    wrong = {**arrays, "layer2_0_conv1_weight": np.ones((8, 9, 3, 3))}
    assert "layer2_0_conv1_weight is [8, 9, 3, 3], and must be [8, 8, 3, 3]" in refused(wrong)
    deeper = {**arrays, "layer3.1.bn1.weight": np.ones(16)}
    deeper = {name.replace("layer3_0", "layer3.0"): array for name, array in deeper.items()}
    assert "is of another network: it has layer3.1.bn1.weight [16], which" in refused(deeper)
    assert "it has 1 others (a)" in refused({"a": np.ones(3)})
    for one, other in zip(before, embedder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_names_that_torchvision_had_when_it_published(tmp_path):
    """Its vision transformers' files say mlp.linear_1 and linear_2, its modules mlp.0 and mlp.3."""
    backbone = vit_small(16, 2, 32, 2, image_size=(32, 32))
    embedder = embedder_of(backbone, {}, None)
    arrays = made_checkpoint(embedder, backbone)
    former = {
        name.replace("mlp_0_", "mlp.linear_1.").replace("mlp_3_", "mlp.linear_2."): array
        for name, array in arrays.items()
    }
    assert sum("linear_" in name for name in former) == 8
    assert f"weights: {len(arrays)} arrays of" in start(tmp_path, backbone, embedder, former)


def test_names_of_a_file_do_not_reach_the_terminal_as_they_are(iresnet, tmp_path):
    backbone, embedder, _ = iresnet
    evil = {"all\n\x1b[2Jis well": np.zeros(1)}
    with pytest.raises(InputError, match=r"all\?\?\[2Jis well") as error:
        start(tmp_path, backbone, embedder, evil, name="net.npz")
    assert str(error.value).isprintable()


def test_onnx_tensors_that_do_not_add_up(iresnet, tmp_path):
    onnx = pytest.importorskip("onnx")
    backbone, embedder, arrays = iresnet
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    tensors[0].raw_data = tensors[0].raw_data[:8]
    graph = onnx.helper.make_graph([], "net", [], [], tensors)
    (tmp_path / "net.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(InputError, match=r"net\.onnx"):
        load_initial_weights(tmp_path / "net.onnx", backbone, embedder)


def test_networks_that_pytorch_has_no_like_of(tmp_path):
    images = keras.Input((8, 8, 3))
    layer = keras.layers.SeparableConv2D(4, 3, name="separable")
    backbone = Backbone(keras.Model(images, layer(images), name="backbone"), "raw")
    with pytest.raises(InputError, match="its layer separable is a SeparableConv2D"):
        start(tmp_path, backbone, embedder_of(backbone, {}, None), {"a": np.ones(3)})


def test_missing_file(tmp_path):
    backbone = small_iresnet((1, 1, 1, 1))
    with pytest.raises(InputError, match=r"net\.pth: no such file"):
        load_initial_weights(tmp_path / "net.pth", backbone, embedder_of(backbone, {}, None))


def test_mobilefacenet_trained_with_pytorch(test_data, tmp_path, capsys):
    """As ONNX and as arrays, it gives what ONNX Runtime gives."""
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    file = test_data / "data" / "mobilefacenet_casia_112x96.onnx"
    model = onnx.load(file)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    np.savez(tmp_path / "net.npz", **arrays)
    images = np.random.default_rng(0).integers(0, 256, (3, 112, 96, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(file)
    inputs = {session.get_inputs()[0].name: ((images - 127.5) / 128).transpose(0, 3, 1, 2)}
    [expected] = session.run(None, inputs)
    recipe = tmp_path / "recipe.yaml"
    for weights in (file, tmp_path / "net.npz"):
        recipe.write_text(
            "data: {train: {source: synthetic}, image_size: [112, 96]}\n"
            "model:\n"
            f"  backbone: {{name: mobilefacenet, layout: original, weights: {weights}}}\n"
            "  neck: {pooling: flatten, batch_norm: true}\n"
            "  embedding_size: 128\n"
            "  head: arcface\n"
            "training: {stages: [{name: train, epochs: 1, optimizer: sgd}]}\n",
            encoding="utf-8",
        )
        embedder = build_starting_embedder(load(recipe, REGISTRIES), tmp_path)
        assert capsys.readouterr().out == (
            f"weights: 283 arrays of {weights.name} into the backbone and the neck\n"
        )
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(embedder(images)), expected, atol=1e-4
        )


def test_pixels_are_those_of_the_layout():
    for layout, pixels in (("insightface", "minus_one_to_one"), ("original", "facenet")):
        backbone = BACKBONES["mobilefacenet"](layout, [1, 1, 1, 1], image_size=(32, 32))
        assert backbone.input_normalization == pixels
        assert pixels in INPUT_NORMALIZATIONS
