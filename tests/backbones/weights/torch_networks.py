"""Networks in PyTorch, to compare ours with; and the golden outputs for where there is no PyTorch.

    python -m tests.backbones.weights.torch_networks

writes golden.json, the two checkpoints and the ONNX models beside it anew. It needs torch,
torchvision, onnxscript and facenet-pytorch.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from tests.backbones.weights.made_weights import SIZES, made_images, made_values

HERE = Path(__file__).resolve().parent


def fill(network: nn.Module) -> nn.Module:
    """Fills every weight and statistic with `made_values`."""
    state = {
        key: torch.from_numpy(made_values(key.replace(".", "_"), tuple(value.shape)))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    network.load_state_dict(state, strict=False)
    return network.eval()


def run(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Returns what the network gives for images [batch, height, width, 3]."""
    with torch.no_grad():
        return network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


# ---------------------------------------------------------------- insightface's iresnet


class IResNetBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        inner = self.bn2(self.conv1(self.bn1(x)))
        inner = self.bn3(self.conv2(self.prelu(inner)))
        return inner + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    def __init__(
        self, blocks, channels=(64, 128, 256, 512), places: int = 49, embedding_size: int = 512
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.prelu = nn.PReLU(channels[0])
        before = channels[0]
        for stage, (count, width) in enumerate(zip(blocks, channels, strict=True), start=1):
            parts = [
                IResNetBlock(before if n == 0 else width, width, 2 if n == 0 else 1)
                for n in range(count)
            ]
            setattr(self, f"layer{stage}", nn.Sequential(*parts))
            before = width
        self.bn2 = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before * places, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))


# ---------------------------------------------------------------- IR and IR-SE


class Excitation(nn.Module):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x):
        inner = self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(inner)


class IRBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, evolve: bool, squeeze: bool):
        super().__init__()
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride)
            if inputs == outputs
            else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        )
        parts = [nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
        parts += [] if evolve else [nn.BatchNorm2d(outputs)]
        parts += [nn.PReLU(outputs), nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)]
        self.res_layer = nn.Sequential(*parts, nn.BatchNorm2d(outputs))
        if squeeze:
            self.res_layer.add_module("5" if evolve else "se_block", Excitation(outputs))

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class IR(nn.Module):
    def __init__(
        self, blocks, channels=(16, 16, 32, 32), places=4, size=16, evolve=False, squeeze=False
    ):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, channels[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.PReLU(channels[0]),
        )
        body, before = [], channels[0]
        for count, width in zip(blocks, channels, strict=True):
            for place in range(count):
                body.append(IRBlock(before, width, 2 if place == 0 else 1, evolve, squeeze))
                before = width
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(before * places, size),
            nn.BatchNorm1d(size, affine=evolve),
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


# ---------------------------------------------------------------- MobileFaceNet


class Part(nn.Module):
    """Convolution, batch norm and PReLU, as insightface names them."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, groups=1, linear=False):
        super().__init__()
        self.layers = nn.Sequential(
            *_part(inputs, outputs, kernel, stride, padding, groups, linear)
        )

    def forward(self, x):
        return self.layers(x)


class NamedPart(nn.Module):
    """The same, as the original's implementation in PyTorch names them."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, groups=1, linear=False):
        super().__init__()
        self.conv, self.bn, *rest = _part(inputs, outputs, kernel, stride, padding, groups, linear)
        self.prelu = nn.Identity() if linear else rest[0]

    def forward(self, x):
        return self.prelu(self.bn(self.conv(x)))


def _part(inputs, outputs, kernel, stride, padding, groups, linear):
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    norm = nn.BatchNorm2d(outputs)
    return [convolution, norm] if linear else [convolution, norm, nn.PReLU(outputs)]


class Narrowing(nn.Module):
    """A block of insightface's layout."""

    def __init__(self, inputs, outputs, width, stride=1):
        super().__init__()
        self.layers = nn.Sequential(
            Part(inputs, width, 1),
            Part(width, width, 3, stride, 1, groups=width),
            Part(width, outputs, 1, linear=True),
        )
        self.stride = stride

    def forward(self, x):
        return self.layers(x) if self.stride > 1 else x + self.layers(x)


class Several(nn.Module):
    def __init__(self, channels, width, count):
        super().__init__()
        self.layers = nn.Sequential(*(Narrowing(channels, channels, width) for _ in range(count)))

    def forward(self, x):
        return self.layers(x)


class InsightfaceMobileFaceNet(nn.Module):
    def __init__(self, blocks=(1, 4, 6, 2), scale=2, map_size=(7, 7), embedding_size=512):
        super().__init__()
        a, b = 64 * scale, 128 * scale
        self.layers = nn.ModuleList(
            [
                Part(3, a, 3, 2, 1),
                Part(a, a, 3, 1, 1, groups=64) if blocks[0] == 1 else Several(a, 128, blocks[0]),
                Narrowing(a, a, 128, 2),
                Several(a, 128, blocks[1]),
                Narrowing(a, b, 256, 2),
                Several(b, 256, blocks[2]),
                Narrowing(b, b, 512, 2),
                Several(b, 256, blocks[3]),
            ]
        )
        self.conv_sep = Part(b, 512, 1)
        self.features = nn.Module()
        self.features.layers = nn.Sequential(
            Part(512, 512, map_size, groups=512, linear=True),
            nn.Flatten(),
            nn.Linear(512, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.features.layers(self.conv_sep(x))


class OriginalBlock(nn.Module):
    def __init__(self, inputs, outputs, width, stride):
        super().__init__()
        self.conv = nn.Sequential(
            *_part(inputs, width, 1, 1, 0, 1, False),
            *_part(width, width, 3, stride, 1, width, False),
            *_part(width, outputs, 1, 1, 0, 1, True),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class OriginalMobileFaceNet(nn.Module):
    def __init__(self, blocks=(1, 4, 6, 2), map_size=(7, 7), embedding_size=128):
        super().__init__()
        self.conv1 = NamedPart(3, 64, 3, 2, 1)
        self.dw_conv1 = NamedPart(64, 64, 3, 1, 1, groups=64)
        built, inputs = [], 64
        # The paper's table: expansion, channels, number, stride.
        for factor, outputs, count, stride in (
            (2, 64, 1 + blocks[1], 2),
            (4, 128, 1, 2),
            (2, 128, blocks[2], 1),
            (4, 128, 1, 2),
            (2, 128, blocks[3], 1),
        ):
            for number in range(count):
                step = stride if number == 0 else 1
                built.append(OriginalBlock(inputs, outputs, inputs * factor, step))
                inputs = outputs
        self.blocks = nn.Sequential(*built)
        self.conv2 = NamedPart(128, 512, 1)
        self.linear7 = NamedPart(512, 512, map_size, groups=512, linear=True)
        self.linear1 = NamedPart(512, embedding_size, 1, linear=True)

    def forward(self, x):
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return self.linear1(self.linear7(x)).flatten(1)


# ---------------------------------------------------------------- golden outputs


def resnet_basic() -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    return without(fill(ResNet(BasicBlock, [1, 1, 1, 1])), "fc")


def resnet_grouped() -> nn.Module:
    from torchvision.models.resnet import Bottleneck, ResNet

    grouped = ResNet(Bottleneck, [1, 1, 1, 1], groups=32, width_per_group=4)
    return without(fill(grouped), "fc")


def vgg13_bn() -> nn.Module:
    from torchvision.models import vgg

    network = without(fill(vgg.VGG(vgg.make_layers(vgg.cfgs["B"], True))), "classifier")
    # The 7x7 places of one channel would be all that golden.json keeps.
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    return network


def inception_resnet_v1() -> nn.Module:
    from facenet_pytorch import InceptionResnetV1

    return without(fill(InceptionResnetV1(classify=True, num_classes=1)), "logits")


def vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return without(fill(VisionTransformer(32, 16, 2, 2, 32, 128)), "heads")


# ---------------------------------------------------------------- arcface_torch's ViT


class ArcfaceViTBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn.proj = nn.Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        joined = self.attn.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = joined.permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values)
        x = x + self.attn.proj(attended.transpose(1, 2).flatten(2))
        return x + self.mlp.fc2(nn.functional.relu6(self.mlp.fc1(self.norm2(x))))


class ArcfaceViT(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, patches: int, embedding_size: int):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, 9, 9)
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, width))
        # For the patches that training hides.
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.Sequential(*(ArcfaceViTBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.feature = nn.Sequential(
            nn.Linear(width * patches, width, bias=False),
            nn.BatchNorm1d(width, eps=2e-5),
            nn.Linear(width, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size, eps=2e-5),
        )

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        return self.feature(self.norm(self.blocks(x + self.pos_embed)).flatten(1))


# Small networks of each layout by the names of `made_weights.SIZES`, filled.
GOLDEN_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "iresnet": lambda: fill(IResNet((1, 2, 1, 1), (8, 8, 16, 16), places=4, embedding_size=16)),
    "ir": lambda: fill(IR((1, 2, 1, 1))),
    "ir_se": lambda: fill(IR((1, 2, 1, 1), squeeze=True)),
    "ir_evolve": lambda: fill(IR((1, 1, 1, 1), evolve=True, squeeze=True)),
    "mobilefacenet": lambda: fill(InsightfaceMobileFaceNet((2, 1, 1, 1), 1, (2, 2), 16)),
    "mobilefacenet_original": lambda: fill(OriginalMobileFaceNet((1, 1, 1, 1), (2, 3), 16)),
    "mobilefacenet_grouped": lambda: fill(InsightfaceMobileFaceNet((1, 1, 1, 1), 2, (2, 2), 16)),
    "resnet_basic": resnet_basic,
    "resnet_grouped": resnet_grouped,
    "vgg13_bn": vgg13_bn,
    "inception_resnet_v1": inception_resnet_v1,
    "vit": vit,
    "arcface_vit": lambda: fill(ArcfaceViT(32, 2, 4, patches=12, embedding_size=16)),
}


def without(network: nn.Module, end: str) -> nn.Module:
    """Returns a network without its classifier."""
    setattr(network, end, nn.Identity())
    return network


def export(name: str, path: Path, *, dynamo: bool) -> None:
    """Writes an ONNX model of a network; both exporters of PyTorch fold batch norms."""
    network, images = GOLDEN_NETWORKS[name](), torch.zeros(2, 3, *SIZES[name])
    torch.onnx.export(network, (images,), path, dynamo=dynamo, external_data=False)
    model = onnx.load(path)
    # Where the exporter was called from: paths of this machine.
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def main() -> None:
    outputs = {
        name: run(build(), made_images(*SIZES[name]))[:, :16].astype(float).round(6).tolist()
        for name, build in GOLDEN_NETWORKS.items()
    }
    text = json.dumps(outputs).replace("]], ", "]],\n").replace("], [", "],\n [")
    (HERE / "golden.json").write_text(text + "\n", encoding="utf-8")

    export("iresnet", HERE / "iresnet_old.onnx", dynamo=False)
    export("iresnet", HERE / "iresnet.onnx", dynamo=True)
    export("ir_se", HERE / "ir_se.onnx", dynamo=True)

    state = fill(nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))).state_dict()
    # A view with an offset and strides, and the types that need a conversion.
    state["view"] = torch.arange(24.0).reshape(4, 6)[1:, ::2].T
    state["bfloat16"] = torch.tensor([1.0, -0.15625, 3e38]).bfloat16()
    state["half"] = torch.tensor([1.0, -0.15625]).half()
    state["double"] = torch.tensor([1 / 3]).double()
    content = {"epoch": 3, "rate": 0.1, "size": torch.Size([2]), "state_dict": state}
    torch.save(content, HERE / "zip.pth")
    torch.save(content, HERE / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
