"""Networks in PyTorch, to compare ours with; and the golden outputs for where there is no PyTorch.

    python -m tests.backbones.torch_networks

writes golden.json and the two small checkpoints beside it anew. It needs PyTorch alone.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).resolve().parent


def made_values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns what `name` (`_` for `.`) is filled with: the same with and without PyTorch.

    In the size that keeps activations from dying out or growing without end, and without a weight
    that could be left out, or mistaken for another, without being noticed.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith(("bias", "running_mean")):
        return rng.uniform(-0.2, 0.2, shape).astype(np.float32)
    if len(shape) == 1:
        # Of a batch norm or a PReLU.
        return rng.uniform(0.2, 1.2, shape).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return (rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)


def made_images(height: int, width: int, count: int = 2) -> np.ndarray:
    """Returns float32 [count, height, width, 3] about 0, as a network takes them."""
    rng = np.random.default_rng(height * width)
    return rng.uniform(-1, 1, (count, height, width, 3)).astype(np.float32)


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
    def __init__(self, map_size=(7, 7), embedding_size=128):
        super().__init__()
        self.conv1 = NamedPart(3, 64, 3, 2, 1)
        self.dw_conv1 = NamedPart(64, 64, 3, 1, 1, groups=64)
        blocks, inputs = [], 64
        # Of the paper's table: expansion, channels, number, stride.
        for factor, outputs, count, stride in (
            (2, 64, 5, 2),
            (4, 128, 1, 2),
            (2, 128, 6, 1),
            (4, 128, 1, 2),
            (2, 128, 2, 1),
        ):
            for number in range(count):
                step = stride if number == 0 else 1
                blocks.append(OriginalBlock(inputs, outputs, inputs * factor, step))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = NamedPart(128, 512, 1)
        self.linear7 = NamedPart(512, 512, map_size, groups=512, linear=True)
        self.linear1 = NamedPart(512, embedding_size, 1, linear=True)

    def forward(self, x):
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return self.linear1(self.linear7(x)).flatten(1)
