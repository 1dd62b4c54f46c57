"""Measure training steps on a GPU: tfface on JAX compared with the same network in PyTorch.

Example:
    python benchmarks/gpu_step.py --network iresnet50 --identities 85742 --json gpu_step.json

Needs keras, jax with its GPU libraries, pydantic and PyYAML, in an environment without TensorFlow,
which can't be loaded together with PyTorch; without torch only tfface is measured. On a machine
without a GPU it runs on the processor, as a check of the script (--batch-size 4 --identities 100
--precision float32).

Both run the same step: uint8 images of 112 x 112 pixels from host memory, a network of
insightface's iresnet kind, an embedding of 512, ArcFace (margin 0.5, scale 64) over all class
centers in float32, SGD with momentum 0.9 and weight decay 5e-4, everything else in mixed bfloat16.
tfface steps through `Recognizer.fit`, compiled by XLA; PyTorch by autocast, channels_last and
torch.compile. Rounds of steps are interleaved after a warm-up that is not counted; the loss is
fetched once a round.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import _common
import numpy as np

from tfface.cli import command
from tfface.files import write_json
from tfface.profiling.interleaved_timing import images_per_second, time_interleaved

BLOCKS = {"iresnet18": (2, 2, 2, 2), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}
SIZE = (112, 112)


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    # So that PyTorch has room, too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import keras

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.batch_size, *SIZE, 3), dtype=np.uint8)
    labels = rng.integers(0, options.identities, options.batch_size, dtype=np.int32)
    rounds: dict[str, Callable[[], float]] = {
        "tfface on JAX": make_tfface_round(options, images, labels)
    }
    try:
        import torch
    except ImportError:
        print("torch is not installed: tfface alone is measured")
    else:
        rounds[f"PyTorch {torch.__version__}"] = make_torch_round(options, images, labels)
    print(f"devices: {jax.devices()}; warming up", flush=True)
    for name, run_round in rounds.items():
        print(f"{name}: loss {run_round():.3f}", flush=True)
    timings = time_interleaved(rounds, options.rounds)
    num_images = options.batch_size * options.steps
    rows = [
        {
            "name": name,
            "network": options.network,
            "identities": options.identities,
            "batch_size": options.batch_size,
            "precision": options.precision,
            "images_per_second": images_per_second(num_images, timing.seconds),
            "times_first": timing.relative_time,
            "device": str(jax.devices()[0]),
            "versions": {"jax": jax.__version__, "keras": keras.__version__},
        }
        for name, timing in timings.items()
    ]
    for row in rows:
        rate = row["images_per_second"]["median"]
        print(f"{row['name']}: {rate:,.0f} images/s, {row['times_first']:.2f} times as long")
    if options.json:
        write_json(options.json, rows)
        print(options.json)


def make_tfface_round(options, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    import keras

    from tfface.backbones import BACKBONES
    from tfface.heads import HEADS
    from tfface.recipe.schema import ModelConfig
    from tfface.training.recognizer import build_recognizer

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(options.precision)
    model = ModelConfig.model_validate(
        {
            "backbone": {"name": options.network},
            "neck": {"pooling": "flatten", "input_batch_norm": True, "batch_norm": True},
            "embedding_size": 512,
            "head": {"name": "arcface", "margin_warmup_epochs": 0.0},
        },
        context={"backbones": BACKBONES, "heads": HEADS},
    )
    recognizer = build_recognizer(model, SIZE, options.identities, Path())
    recognizer.reports_steps = True
    recognizer.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4), jit_compile=True
    )

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return options.steps

        def __getitem__(self, index):
            return images, labels

    def run_round() -> float:
        return recognizer.fit(Batches(), shuffle=False, verbose=0).history["step_loss"][0]

    return run_round


def make_torch_round(options, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(inputs)
            self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.prelu = nn.PReLU(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Identity()
            if stride > 1:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            inner = self.prelu(self.bn2(self.conv1(self.bn1(x))))
            return self.bn3(self.conv2(inner)) + self.shortcut(x)

    layers = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)]
    inputs = 64
    for count, outputs in zip(BLOCKS[options.network], (64, 128, 256, 512), strict=True):
        layers += [
            Block(inputs if i == 0 else outputs, outputs, 1 + (i == 0)) for i in range(count)
        ]
        inputs = outputs
    network = nn.Sequential(
        *layers,
        nn.BatchNorm2d(512),
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 512, bias=False),
        nn.BatchNorm1d(512),
    )
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device).to(memory_format=torch.channels_last)
    centers = nn.Parameter(0.01 * torch.randn(options.identities, 512, device=device))
    optimizer = torch.optim.SGD(
        [*network.parameters(), centers], 0.01, momentum=0.9, weight_decay=5e-4
    )
    half = options.precision == "mixed_bfloat16"
    torch.backends.cuda.matmul.allow_tf32 = False

    def loss_of(images, labels):
        x = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            embeddings = network((x.float() - 127.5) / 127.5)
        cosines = functional.linear(
            functional.normalize(embeddings.float()), functional.normalize(centers)
        )
        targets = cosines.gather(1, labels[:, None])
        sines = (1 - targets.square()).clamp(1e-12, 1).sqrt()
        shifted = targets * np.cos(0.5) - sines * np.sin(0.5)
        shifted = torch.where(targets > -np.cos(0.5), shifted, targets - 0.5 * np.sin(0.5))
        return functional.cross_entropy(64 * cosines.scatter(1, labels[:, None], shifted), labels)

    if options.compile:
        loss_of = torch.compile(loss_of)
    on_host = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    if device == "cuda":
        on_host = tuple(one.pin_memory() for one in on_host)

    def run_round() -> float:
        for _ in range(options.steps):
            batch = (one.to(device, non_blocking=True) for one in on_host)
            loss = loss_of(*batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return run_round


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__, results=False)
    parser.add_argument("--network", choices=BLOCKS, default="iresnet50")
    parser.add_argument("--batch-size", type=command.positive, default=128, help="(default 128)")
    parser.add_argument(
        "--identities", type=command.positive, default=85742, help="(default 85742)"
    )
    parser.add_argument(
        "--precision", choices=("mixed_bfloat16", "float32"), default="mixed_bfloat16"
    )
    parser.add_argument(
        "--steps", type=command.positive, default=20, help="steps in a round (default 20)"
    )
    parser.add_argument(
        "--rounds", type=command.positive, default=5, help="rounds to measure (default 5)"
    )
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="PyTorch eager")
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the results to this file"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
