"""Provenance of a measured result: commit, date, machine, versions and command."""

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tfface.processor import bfloat16_instructions, cpu_info

# The last columns of every row of results.
PROVENANCE = ("commit", "date", "machine", "tensorflow", "keras", "command")

_ROOT = Path(__file__).resolve().parents[2]
# Rows are appended to these files; that does not change the measured code.
_RESULTS = "results"
# An absolute path inside an argument, as in NAME=/data/x or {path: /data/x}.
_ABSOLUTE = re.compile(r"(?<![^\s=,'\"\[{(])/[^\s,'\"\]})]+")


def provenance() -> dict[str, str | None]:
    """Returns the values of PROVENANCE; None for unknown values.

    Call it before the measurement: the checkout may change meanwhile.
    """
    values = (
        commit(),
        datetime.date.today().isoformat(),
        machine(),
        version_of("tensorflow"),
        version_of("keras"),
        command_line(sys.orig_argv),
    )
    return dict(zip(PROVENANCE, values, strict=True))


def commit(root: Path = _ROOT) -> str | None:
    """Returns the short hash of the checked-out commit; None outside a git checkout.

    It ends in "-dirty" if tracked files differ from the commit, except those in results/.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    # An installed package may be inside an unrelated checkout.
    if top is None or Path(top).resolve() != root.resolve():
        return None
    found = _git(root, "rev-parse", "--short", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", ".", f":!{_RESULTS}")
    return f"{found}-dirty" if found and changes else found


def machine() -> str:
    """Returns the operating system, and number, model and features of the processors."""
    parts = [f"{platform.system()} {platform.machine()}", f"{os.cpu_count()} processors"]
    # In the order that earlier rows have.
    features = sorted(bfloat16_instructions(), reverse=True)
    return ", ".join([*parts, *_cpu_model(), *features])


@functools.cache
def version_of(package: str) -> str | None:
    """Returns the version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def command_line(words: Sequence[str]) -> str:
    """Returns a command as typed in a checkout, without absolute paths of this machine.

    A path below the checkout or the working directory becomes relative to it; any other absolute
    path is reduced to its last part, as .../lfw.

    Args:
        words: the interpreter and its arguments, as in `sys.orig_argv`.

    Example:
        >>> command_line(["/usr/bin/python3", "tools/train.py", "--data-dir", "/data/faces"])
        'python tools/train.py --data-dir .../faces'
    """
    return shlex.join(["python", *map(_portable, words[1:])])


def _portable(word: str) -> str:
    if word.endswith(".py") and Path(word).resolve().is_relative_to(_ROOT):
        return str(Path(word).resolve().relative_to(_ROOT))
    if word.startswith("/"):
        return _relative(word)
    return _ABSOLUTE.sub(lambda match: _relative(match[0]), word)


def _relative(path: str) -> str:
    for folder in (_ROOT, Path.cwd()):
        if folder != Path("/") and Path(path).is_relative_to(folder):
            return str(Path(path).relative_to(folder))
    return f".../{Path(path).name}"


def _cpu_model() -> list[str]:
    if text := cpu_info():
        return re.findall(r"^model name\s*:\s*(.+?)\s*$", text, re.MULTILINE)[:1]
    return [name for name in [platform.processor()] if name]


def _git(root: Path, *arguments: str) -> str | None:
    """Returns the output of git; None if it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
