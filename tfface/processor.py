"""What Linux says of the processor; nothing on other systems."""

import re
from pathlib import Path

# Instructions for bfloat16, as Linux names them, with the names that people know.
_BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16"}


def cpu_info() -> str:
    """Returns the text of /proc/cpuinfo; "" where there is none."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def bfloat16_instructions() -> list[str]:
    """Returns which instructions for bfloat16 this machine's processor has.

    Without any, bfloat16 is emulated, and slower than float32. Processors of other kinds than x86,
    and other systems than Linux, are taken to have none.

    Example:
        >>> set(bfloat16_instructions()) <= {"AMX", "AVX512_BF16"}
        True
    """
    found = re.search(r"^flags\s*:(.*)$", cpu_info(), re.MULTILINE)
    flags = found[1].split() if found else []
    return [name for flag, name in _BFLOAT16.items() if flag in flags]
