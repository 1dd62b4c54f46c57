"""What the last bits of a result depend on: hashes are only compared where it is the same."""

import importlib.metadata
import os
import platform
from pathlib import Path

# One thread, so that hashes do not depend on how many cores there are.
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# Which change what a processor computes with, or in which order.
_VARIABLES = (
    *ONE_THREAD,
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "NPY_DISABLE_CPU_FEATURES",
)
# The pins are those of TensorFlow on a processor, whatever else is there.
FORCED = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
# Of a processor's flags, those of instructions that numerical code chooses between.
_INSTRUCTIONS = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve")


def fingerprint() -> dict[str, str]:
    """Returns a small description of this machine, its libraries and this process's settings."""
    processor = _processor()
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    flags = processor.get("flags", processor.get("Features", "")).split()
    return {
        "processor": " ".join(
            processor.get(key, "")
            for key in ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
        ).strip()
        or platform.processor(),
        "instructions": " ".join(sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS))),
        "system": f"{platform.system()} {platform.machine()} {'-'.join(platform.libc_ver())}",
        "settings": " ".join(
            f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name)
        ),
        **versions,
    }


def _processor() -> dict[str, str]:
    """What Linux says of the first processor; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
