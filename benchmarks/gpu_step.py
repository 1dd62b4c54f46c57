"""Measure training steps on a GPU: tfface on JAX compared with the same network in PyTorch.

Example:
    python benchmarks/gpu_step.py --networks iresnet50 resnet50 --json gpu_step.json

Needs keras, jax with its GPU libraries, pydantic and PyYAML, in an environment without TensorFlow,
which can't be loaded together with PyTorch; without torch only tfface is measured. It ends within
six minutes (--minutes): cases for which no time is left are named and left out. On a machine
without a GPU it runs on the processor, as a check of the script (--networks iresnet18 --batch-sizes
4 --identities 100 --steps 1).

Both run the same step: uint8 images of 112 x 112 pixels from host memory, the network and an
embedding of 512 (insightface's neck), ArcFace (margin 0.5, scale 64) over all class centers in
float32, SGD with momentum 0.9 and weight decay 5e-4, everything else in mixed bfloat16. PyTorch's
network is made from the Keras network's layers and weights; first, both embed the same images, and
must agree. tfface's network and head step through Keras' `fit`, compiled by XLA; PyTorch's by
autocast, channels_last and torch.compile. Rounds of steps are interleaved after a warm-up that is
not counted; the loss is fetched once a round. Batches grow until memory is full.
"""

import argparse
import gc
import os
import time
from collections.abc import Callable

import _common
import numpy as np

from tfface.cli import command
from tfface.errors import InputError
from tfface.files import write_json
from tfface.profiling.interleaved_timing import images_per_second, time_interleaved

NETWORKS = ("iresnet18", "iresnet50", "iresnet100", "resnet50")
SIZE = (112, 112)
# The least cosine of an image's embeddings by the two networks; in float32, but for the products
# of matrices, which GPUs may round.
_LEAST_COSINE = 0.999
_PARITY_IMAGES = 4


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    # So that PyTorch has room, too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    print(f"devices: {jax.devices()}", flush=True)
    try:
        import torch
    except ImportError:
        torch = None
        print("torch is not installed: tfface alone is measured", flush=True)
    ends = time.monotonic() + 60 * options.minutes
    rows: list[dict[str, object]] = []
    for network in options.networks:
        longest = 0.0
        for batch_size in options.batch_sizes:
            case = f"{network}, batch {batch_size}"
            started = time.monotonic()
            # Compiling takes most of a case, and as long for each.
            if ends - started < 1.2 * longest:
                print(f"{case}: left out, because no time is left", flush=True)
                continue
            try:
                rows += measure(options, network, batch_size, torch is not None)
            except Exception as error:
                if not is_full_memory(error):
                    raise
                print(f"{case}: out of memory", flush=True)
                break
            finally:
                _free(torch)
            longest = max(longest, time.monotonic() - started)
            if options.json:
                # After each case, for a machine that is taken away.
                write_json(options.json, rows)
    if options.json:
        print(options.json)


def measure(
    options: argparse.Namespace, network: str, batch_size: int, with_torch: bool
) -> list[dict[str, object]]:
    """Measures a network with a batch size; returns a row for each implementation.

    Raises:
        InputError: the embeddings of the two differ.
    """
    import jax
    import keras

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, *SIZE, 3), dtype=np.uint8)
    labels = rng.integers(0, options.identities, batch_size, dtype=np.int32)
    exact = make_embedder(network, "float32")
    rounds: dict[str, Callable[[], float]] = {}
    versions = {"jax": jax.__version__, "keras": keras.__version__}
    cosine = None
    if with_torch:
        import torch

        mirror, cosine = make_mirror(exact, images[:_PARITY_IMAGES])
        print(f"{network}: cosines of embeddings by both are at least {cosine:.6f}", flush=True)
        versions["torch"] = torch.__version__
    centers = rng.normal(0, 0.01, (options.identities, 512)).astype(np.float32)
    embedder = make_embedder(network, options.precision)
    embedder.set_weights(exact.get_weights())
    del exact
    rounds["tfface on JAX"] = make_tfface_round(options, embedder, centers, images, labels)
    if with_torch:
        rounds["PyTorch"] = make_torch_round(options, mirror, centers, images, labels)
    for name, run_round in rounds.items():
        print(f"{network}, batch {batch_size}, {name}: loss {run_round():.3f}", flush=True)
    timings = time_interleaved(rounds, options.rounds)
    num_images = batch_size * options.steps
    rows = [
        {
            "name": name,
            "network": network,
            "identities": options.identities,
            "batch_size": batch_size,
            "precision": options.precision,
            "images_per_second": images_per_second(num_images, timing.seconds),
            "times_first": timing.relative_time,
            "least_cosine": cosine,
            "device": str(jax.devices()[0]),
            "versions": versions,
        }
        for name, timing in timings.items()
    ]
    for row in rows:
        rate = row["images_per_second"]["median"]
        print(
            f"{network}, batch {batch_size}, {row['name']}: {rate:,.1f} images/s, "
            f"{row['times_first']:.2f} times as long",
            flush=True,
        )
    return rows


def is_full_memory(error: Exception) -> bool:
    """Whether the error of either framework says that memory is full."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def _free(torch) -> None:
    import keras

    keras.utils.clear_session()
    gc.collect()
    if torch is not None and torch.cuda.is_available():
        torch.compiler.reset()
        torch.cuda.empty_cache()


def make_embedder(network: str, precision: str):
    """Returns a network of random weights with insightface's neck."""
    import keras

    from tfface.backbones import BACKBONES
    from tfface.backbones.backbone import INPUT_NORMALIZATIONS
    from tfface.backbones.neck import build_neck
    from tfface.recipe.schema import NeckConfig

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    try:
        backbone = BACKBONES[network](image_size=SIZE, weights=None)
        pixels = keras.Input((*SIZE, 3), name="images")
        features = backbone.network(INPUT_NORMALIZATIONS[backbone.input_normalization](pixels))
        neck = NeckConfig(pooling="flatten", input_batch_norm=True, batch_norm=True)
        return keras.Model(pixels, build_neck(features, neck, 512, backbone.neck_epsilon))
    finally:
        keras.config.set_dtype_policy("float32")


def make_mirror(embedder, images: np.ndarray):
    """Returns a float32 embedder as a PyTorch module, and the least cosine of their embeddings.

    Raises:
        InputError: they differ.
    """
    import keras
    import torch
    from _torch_network import TorchNetwork

    mirror = TorchNetwork(embedder).eval()
    expected = embedder(keras.ops.convert_to_tensor(images, "float32"), training=False)
    expected = keras.ops.convert_to_numpy(expected)
    with torch.no_grad():
        given = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        found = mirror(given).numpy()
    norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float((np.sum(expected * found, axis=1) / norms).min())
    if not cosine >= _LEAST_COSINE:
        raise InputError(f"the networks differ: a cosine of embeddings is {cosine:.6f}")
    return mirror.train(), cosine


def make_tfface_round(
    options: argparse.Namespace,
    embedder,
    centers: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
) -> Callable[[], float]:
    import keras

    from tfface.heads import ArcFace

    head = ArcFace(num_identities=len(centers), margin_warmup_epochs=0.0)
    head.build(embedder.output_shape)
    head.set_weights([centers if w.shape == centers.shape else w for w in head.get_weights()])

    class Training(keras.Model):
        """As `Recognizer`, whose module reads data by TensorFlow."""

        def __init__(self):
            super().__init__()
            self.embedder, self.head = embedder, head
            self.built = True

        def call(self, images, training=None):
            return self.embedder(images, training=training)

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            losses, _ = self.head.losses_and_correct(y_pred, y, training=training)
            return keras.ops.mean(losses)

    training = Training()
    training.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4), jit_compile=True
    )

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return options.steps

        def __getitem__(self, index):
            return images, labels

    def run_round() -> float:
        return training.fit(Batches(), shuffle=False, verbose=0).history["loss"][0]

    return run_round


def make_torch_round(
    options: argparse.Namespace,
    network,
    centers: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
) -> Callable[[], float]:
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device).to(memory_format=torch.channels_last)
    centers = nn.Parameter(torch.tensor(centers, device=device))
    optimizer = torch.optim.SGD(
        [*network.parameters(), centers], 0.01, momentum=0.9, weight_decay=5e-4
    )
    half = options.precision == "mixed_bfloat16"
    torch.backends.cuda.matmul.allow_tf32 = False

    def loss_of(images, labels):
        x = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            embeddings = network(x.float())
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
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=["iresnet50", "resnet50"],
        help="(default iresnet50 resnet50)",
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=command.positive,
        default=[128, 512, 1024],
        metavar="N",
        help="ascending; a network's larger ones are left out once memory is full (default 128 "
        "512 1024)",
    )
    parser.add_argument(
        "--identities", type=command.positive, default=85742, help="(default 85742)"
    )
    parser.add_argument(
        "--precision", choices=("mixed_bfloat16", "float32"), default="mixed_bfloat16"
    )
    parser.add_argument(
        "--steps", type=command.positive, default=10, help="steps in a round (default 10)"
    )
    parser.add_argument(
        "--rounds", type=command.positive, default=5, help="rounds to measure (default 5)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=5.5,
        help="no case is begun that would end later (default 5.5)",
    )
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="PyTorch eager")
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the results to this file"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
