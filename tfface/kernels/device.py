"""Questions about the device and the backend, and what only one backend can answer."""

from pathlib import Path

import keras
import numpy as np


def is_tf_cpu() -> bool:
    """Returns whether Keras runs on TensorFlow without an accelerator.

    Only there the forms of this room pay: elsewhere a compiler, or an accelerator's own kernels,
    fuse what Keras writes.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def numpy_view(variable: keras.Variable) -> np.ndarray:
    """Returns a variable's value, without a copy where the backend allows it.

    Read it before the variable changes, then drop it. On a CPU it is the variable's own memory: as
    long as you hold it, TensorFlow copies the variable before it changes it.
    """
    if keras.backend.backend() != "tensorflow":
        return np.asarray(variable)
    import tensorflow as tf

    with tf.device("CPU:0"):
        return np.asarray(memoryview(tf.identity(variable.value)))


def make_tensorflow_deterministic() -> None:
    """Makes TensorFlow replace or refuse nondeterministic operations; this can't be undone."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


# Instructions for bfloat16, as Linux names them, with the names that people know.
_BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16"}


def bfloat16_instructions() -> list[str]:
    """Returns which instructions for bfloat16 this machine's processor has.

    Without any, bfloat16 is emulated, and slower than float32. Processors of other kinds than x86,
    and other systems than Linux, are taken to have none.

    Example:
        >>> set(bfloat16_instructions()) <= {"AMX", "AVX512_BF16"}
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return [name for flag, name in _BFLOAT16.items() if flag in flags]
