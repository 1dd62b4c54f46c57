"""What only POSIX has: used nowhere without a look whether it is there."""

import ast
import threading
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tfface.files import is_file_name, read_at, seek_and_read
from tfface.paths import expanded

# Module -> names that Windows' Python doesn't have.
ONLY_POSIX = {
    "mmap": "PROT_READ PROT_WRITE MAP_PRIVATE MAP_SHARED",
    "os": "fork forkpty getuid geteuid getgid getpgid killpg setsid mkfifo mknod pread pwrite "
    "preadv posix_fadvise posix_fallocate sched_getaffinity sched_setaffinity statvfs fchmod chown "
    "lchown uname WNOHANG O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_CLOEXEC sysconf getloadavg nice "
    "ttyname sync openpty",
    "signal": "SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGPIPE SIGALRM SIGCHLD SIGQUIT SIGCONT SIGSTOP "
    "alarm setitimer pthread_sigmask sigwait",
    "socket": "AF_UNIX",
}
MODULES = {"fcntl", "resource", "pwd", "grp", "termios"}
# Uses behind a `hasattr` or a look at `sys.platform`.
GUARDED = {
    ("data/pipeline/cache.py", "os.sysconf"),
    ("folder_lock.py", "fcntl"),
    ("synthetic/__init__.py", "os.sched_getaffinity"),
}


def only_posix(tree: ast.AST) -> set[str]:
    """The names of a file that only POSIX has."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = node.value.id
            if node.attr in ONLY_POSIX.get(module, "").split():
                found.add(f"{module}.{node.attr}")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & MODULES
            found |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if alias.name in ONLY_POSIX.get(node.module, "").split()
            }
    return found


def test_nothing_of_posix_is_used_without_a_look():
    package = ROOT / "tfface"
    used = {
        (path.relative_to(package).as_posix(), name)
        for path in package.rglob("*.py")
        for name in only_posix(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert used == GUARDED


@pytest.mark.parametrize(
    "code", ["import os\nos.fork()", "from signal import SIGHUP", "import pwd"]
)
def test_the_look_finds_it(code):
    assert only_posix(ast.parse(code))


@pytest.mark.parametrize("read", [read_at, seek_and_read])
def test_threads_read_one_file_at_different_places(tmp_path, read):
    content = bytes(range(250)) * 400
    (tmp_path / "file").write_bytes(content)
    wrong = []

    def reads(file, first):
        for place in range(first, len(content) - 100, 997):
            if read(file.fileno(), 100, place) != content[place : place + 100]:
                wrong.append(place)

    with (tmp_path / "file").open("rb", buffering=0) as file:
        threads = [threading.Thread(target=reads, args=(file, first)) for first in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read(file.fileno(), 9, len(content)) == b""
    assert not wrong


def test_paths_with_drive_letters_are_paths_like_others():
    """Here they are names with a colon; nothing takes the letter for something else."""
    from tfface.data.pairs import split_name

    assert expanded(r"C:\faces\lfw.bin") == Path(r"C:\faces\lfw.bin")
    assert split_name("C:/faces/lfw.bin") == ("lfw", "C:/faces/lfw.bin")
    assert split_name("lfw=C:/faces/a.bin") == ("lfw", "C:/faces/a.bin")
    assert is_file_name("C:faces.csv")
