"""oneDNN, a library of operations for x86 processors that TensorFlow brings along.

TensorFlow takes it by itself only where the processor has instructions for 8-bit networks. It is
faster on the others, too: convolutions, matrix products and batch norms.
"""

import os
import platform

# TensorFlow reads it when it is imported.
_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def turn_on() -> None:
    """Lets TensorFlow take it, unless the user has said otherwise by the variable."""
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault(_VARIABLE, "1")


def is_on() -> bool:
    """Whether TensorFlow was told to take it."""
    return os.environ.get(_VARIABLE, "").lower() in ("1", "true")


def variables(on: bool) -> dict[str, str]:
    """The environment of a process in which it is on, or off."""
    return {_VARIABLE: "1" if on else "0"}
