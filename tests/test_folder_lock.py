"""Folders that one process at a time may write."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfface.errors import InputError
from tfface.folder_lock import locked

ROOT = Path(__file__).resolve().parent.parent
# What Windows doesn't have. All modules of the package, but those of what isn't installed.
WITHOUT_POSIX = """
import signal, sys
for name in ("fcntl", "resource", "grp", "pwd", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL"):
    delattr(signal, name)
import os
for name in ("fork", "getuid", "geteuid", "killpg", "pread", "sched_getaffinity", "sysconf"):
    delattr(os, name)
import pkgutil, importlib, tfface
for module in pkgutil.walk_packages(tfface.__path__, "tfface."):
    if module.name.rpartition(".")[2] != "__main__":
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_a_locked_folder_is_refused(tmp_path, monkeypatch, platform):
    """The lock of Windows is tried here by its library's form for this system."""
    monkeypatch.setattr(sys, "platform", platform)
    with locked(tmp_path / "new/folder"):
        assert (tmp_path / "new/folder").is_dir()
        with (
            pytest.raises(InputError, match="folder: another process is writing it"),
            locked(tmp_path / "new/folder"),
        ):
            pass
    with locked(tmp_path / "new/folder"):
        pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file: is a file; give a folder"),
        locked(tmp_path / "file"),
    ):
        pass
    with (
        pytest.raises(InputError, match="below: is a file, or lies in one"),
        locked(tmp_path / "file/below"),
    ):
        pass


@pytest.mark.slow
def test_the_package_can_be_imported_without_what_only_posix_has():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
