"""Describes what the last bits of a result depend on; equal hashes need equal environments."""

import importlib.metadata
import os
import platform
from pathlib import Path

# With one thread, hashes do not depend on the number of cores.
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# Settings that change instructions or the order of operations.
_VARIABLES = (
    *ONE_THREAD,
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "NPY_DISABLE_CPU_FEATURES",
)
# Pins are computed by TensorFlow on the CPU.
FORCED = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "XLA_FLAGS": ""}
_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
# Prefixes of the CPU flags that numerical libraries look at.
_INSTRUCTIONS = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve")


def fingerprint() -> dict[str, str]:
    """Returns a description of this machine, its libraries and the settings of this process."""
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
    """Returns the entry of the first CPU in /proc/cpuinfo; empty on other systems."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
