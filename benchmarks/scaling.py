"""Estimate the time of a training step on many devices from stated rates.

Example:
    python benchmarks/scaling.py --num-identities 85742 10000000

Measures nothing: computes steps on up to 8 machines of 8 devices, data-parallel and model-parallel,
from the rates of a device and of the links between devices.

A step consists of the forward and backward pass of the backbone, the products with the class
centers, the passes over centers, gradient and momentum of an update, and communication. The
estimate assumes that nothing overlaps and that nothing else takes time (reading data, launching
kernels, waiting for the slowest device). A real step is slower where these matter, and faster where
communication overlaps with computation.

With ring all-reduce and all-gather, each of n devices sends:
    data_parallel:  2 (n - 1) / n of the gradients of backbone and centers
    model_parallel: 2 (n - 1) / n of the gradients of the backbone; (n - 1) / n of the embeddings of
                    the whole batch, and as much of their gradients; twice 2 (n - 1) / n of one
                    number per image, for the maximum and the sum of its softmax
"""

import argparse
import dataclasses
from collections.abc import Iterable, Sequence

import _common

from tfface.cli import command, outputs

_FLOAT_BYTES = 4
# Reads the gradient, and reads and writes momentum and centers.
_UPDATE_PASSES = 5
# Centers, gradient, momentum.
_CENTER_ARRAYS = 3
# Cosines, logits, and the gradient of one of them.
_LOGIT_ARRAYS = 3

MODES = ("data_parallel", "model_parallel")
NUM_IDENTITIES = (10_000, 85_742, 1_000_000, 10_000_000)
# (machines, devices of each machine).
CLUSTERS = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 8), (4, 8), (8, 8))
# Options of the command line; `Rates` has the defaults and their sources.
_RATES = {
    "flops_per_second": "operations per second of a device (default: 40 %% of an A100's 312e12)",
    "memory_bytes_per_second": "memory bandwidth of a device (default: an A100's 2.039e12)",
    "inside_bytes_per_second": "bandwidth inside a machine (default: NVLink's 300e9)",
    "between_bytes_per_second": "bandwidth between machines (default: 25e9)",
}


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    outputs.check_results(options)
    given = {key: getattr(options, key) for key in _RATES}
    steps = compute_steps(
        options.num_identities,
        rates=Rates(**{key: value for key, value in given.items() if value is not None}),
        network=Network(images_per_device=options.images_per_device),
    )
    print("Computed, not measured:")
    print(as_text(steps))
    outputs.append_results(options, rows(steps))


@dataclasses.dataclass(frozen=True)
class Rates:
    """Rates of a device and of its links.

    Attributes:
        flops_per_second: Operations per second of a device. Default: 40 % of the 312e12 of an A100
            for bfloat16 (NVIDIA's data sheet).
        memory_bytes_per_second: Memory bandwidth of a device. Default: 2.039e12 of the A100 80GB
            SXM (same data sheet).
        inside_bytes_per_second: Bandwidth to devices of the same machine. Default: 300e9, one
            direction of the 600 GB/s of third-generation NVLink (same data sheet).
        between_bytes_per_second: Bandwidth to other machines. Default: 25e9, one 200 Gb/s port per
            GPU (NVIDIA's data sheet of the DGX A100).
    """

    flops_per_second: float = 0.4 * 312e12
    memory_bytes_per_second: float = 2.039e12
    inside_bytes_per_second: float = 300e9
    between_bytes_per_second: float = 25e9


@dataclasses.dataclass(frozen=True)
class Network:
    """The network and its batch.

    Attributes:
        parameters: Parameters of the embedder. Default: iresnet50 with an embedding of 512, as in
            the recipe arcface_iresnet50_ms1m.
        forward_flops: Additions and multiplications of the embedder for one 112x112 image.
        embedding_size: Dimension of the embeddings, > 0.
        images_per_device: Images of a batch on each device.
    """

    parameters: int = 43_628_480
    forward_flops: float = 12.62e9
    embedding_size: int = 512
    images_per_device: int = 128


@dataclasses.dataclass(frozen=True)
class Step:
    """The estimate of a training step on a cluster.

    Attributes:
        mode: One of `MODES`.
        num_identities: Number of class centers.
        machines: Number of machines.
        devices: Devices of each machine.
        center_state_bytes: Class centers, their gradient and momentum on one device.
        logit_bytes: Logits and arrays of the same size on one device.
        communication_bytes: Bytes that one device sends.
        compute_seconds: Time of the computation.
        communication_seconds: Time of the communication.
        efficiency: Images per second and device, relative to a single device with enough memory.
    """

    mode: str
    num_identities: int
    machines: int
    devices: int
    center_state_bytes: float
    logit_bytes: float
    communication_bytes: float
    compute_seconds: float
    communication_seconds: float
    efficiency: float

    @property
    def seconds(self) -> float:
        return self.compute_seconds + self.communication_seconds


def center_bytes(num_identities: int, embedding_size: int = 512) -> int:
    """Returns the bytes of float32 class centers; gradient and momentum take as many each."""
    return num_identities * embedding_size * _FLOAT_BYTES


def compute_step(
    mode: str,
    num_identities: int,
    machines: int,
    devices: int,
    rates: Rates | None = None,
    network: Network | None = None,
) -> Step:
    """Estimates a training step.

    Args:
        mode: One of `MODES`.
        num_identities: Number of class centers.
        machines: Number of machines, > 0.
        devices: Devices of each machine, > 0.
        rates: Rates of devices and links; None for the defaults.
        network: The network; None for the default.

    Raises:
        ValueError: The mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}; got {mode!r}")
    rates, network = rates or Rates(), network or Network()
    number = machines * devices
    images = network.images_per_device * number
    shards = number if mode == "model_parallel" else 1
    centers = center_bytes(num_identities, network.embedding_size)
    # All images times a shard of the centers, or a shard of the images times all centers.
    logits = images * num_identities / number
    sent = _communication_bytes(mode, number, images, centers, network)
    link = rates.inside_bytes_per_second if machines == 1 else rates.between_bytes_per_second
    compute, alone = (
        (
            3 * network.images_per_device * network.forward_flops
            + 6 * products * network.embedding_size
        )
        / rates.flops_per_second
        + _UPDATE_PASSES * kept / rates.memory_bytes_per_second
        for products, kept in (
            (logits, centers / shards),
            (network.images_per_device * num_identities, centers),
        )
    )
    sending = sent / min(link, rates.inside_bytes_per_second)
    return Step(
        mode=mode,
        num_identities=num_identities,
        machines=machines,
        devices=devices,
        center_state_bytes=_CENTER_ARRAYS * centers / shards,
        logit_bytes=_LOGIT_ARRAYS * logits * _FLOAT_BYTES,
        communication_bytes=sent,
        compute_seconds=compute,
        communication_seconds=sending,
        efficiency=alone / (compute + sending),
    )


def _communication_bytes(
    mode: str, number: int, images: int, centers: float, network: Network
) -> float:
    share = (number - 1) / number
    backbone = 2 * share * network.parameters * _FLOAT_BYTES
    if mode == "data_parallel":
        return backbone + 2 * share * centers
    embeddings = share * images * network.embedding_size * _FLOAT_BYTES
    softmax = 2 * share * images * _FLOAT_BYTES
    return backbone + 2 * embeddings + 2 * softmax


def compute_steps(
    num_identities: Iterable[int] = NUM_IDENTITIES,
    clusters: Sequence[tuple[int, int]] = CLUSTERS,
    rates: Rates | None = None,
    network: Network | None = None,
) -> list[Step]:
    """Estimates the steps of both modes, one for each row of the table."""
    return [
        compute_step(mode, number, machines, devices, rates, network)
        for number in num_identities
        for machines, devices in clusters
        for mode in (MODES if machines * devices > 1 else MODES[:1])
    ]


def as_text(steps: Sequence[Step]) -> str:
    """Returns a Markdown table."""
    lines = [
        "| identities | machines x devices | mode | centers GB | logits GB | sent MB | "
        "compute ms | sending ms | step ms | efficiency |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {step.num_identities:,} | {step.machines} x {step.devices} | {step.mode} | "
        f"{step.center_state_bytes / 1e9:.2f} | {step.logit_bytes / 1e9:.2f} | "
        f"{step.communication_bytes / 1e6:,.0f} | {1e3 * step.compute_seconds:.1f} | "
        f"{1e3 * step.communication_seconds:.1f} | {1e3 * step.seconds:.1f} | "
        f"{100 * step.efficiency:.0f} % |"
        for step in steps
    ]
    return "\n".join(lines)


def rows(steps: Iterable[Step]) -> list[dict[str, object]]:
    """Returns a row of results for each step."""
    return [
        {
            "distribution": step.mode,
            "num_identities": step.num_identities,
            "num_machines": step.machines,
            "devices_per_machine": step.devices,
            "center_memory_mb": step.center_state_bytes / 1e6,
            "logits_memory_mb": step.logit_bytes / 1e6,
            "communication_mb": step.communication_bytes / 1e6,
            "compute_ms": 1e3 * step.compute_seconds,
            "communication_ms": 1e3 * step.communication_seconds,
            "step_ms": 1e3 * step.seconds,
            "scaling_efficiency": step.efficiency,
        }
        for step in steps
    ]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    parser.add_argument(
        "--num-identities",
        type=command.positive,
        nargs="+",
        default=NUM_IDENTITIES,
        metavar="N",
        help=f"(default: {' '.join(map(str, NUM_IDENTITIES))})",
    )
    parser.add_argument(
        "--images-per-device",
        type=command.positive,
        default=128,
        metavar="N",
        help="images of a batch on each device (default 128)",
    )
    for key, what in _RATES.items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=_rate, metavar="X", help=what)
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, as 25e9; got '{text}'")
    return rate


if __name__ == "__main__":
    command.run(main)
