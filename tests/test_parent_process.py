"""Children that end when the process that started them is gone, however it ended."""

import os
import subprocess
import sys
from pathlib import Path

from tfface.parent_process import training_environment

ROOT = Path(__file__).resolve().parent.parent
# Says that it is there, and ends only when it is asked to.
CHILD = """
import signal, time
from tfface import parent_process
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), exit(0)))
parent_process.end_with_parent()
print("here", flush=True)
while True:
    time.sleep(0.1)
"""
PARENT = """
import os, subprocess, sys, time
from tfface.parent_process import training_environment
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=training_environment(os.environ))
time.sleep(600)
"""


def test_a_child_ends_when_its_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "here\n"
    parent.kill()
    # Ends only when the child has ended, who has the other end too.
    assert parent.stdout.read() == "asked to end\n"
    parent.wait()


def test_a_child_whose_parent_is_gone_before_it_looks():
    assert run_child(CHILD, TFFACE_PARENT_PROCESS="1000000000").endswith("asked to end\n")


def test_only_a_child_that_is_told_so():
    code = "import threading; end_with_parent(); print(threading.active_count())"
    assert run_child(f"from tfface.parent_process import end_with_parent; {code}") == "1\n"


def test_children_of_the_child_have_another_parent():
    code = "import os; end_with_parent(); print('TFFACE_PARENT_PROCESS' in os.environ)"
    code = f"from tfface.parent_process import end_with_parent; {code}"
    assert run_child(code, **training_environment({})) == "False\n"


def test_memory_in_huge_pages_unless_the_user_says_otherwise():
    name = "GLIBC_TUNABLES"
    assert training_environment({})[name] == "glibc.malloc.hugetlb=1"
    assert training_environment({name: "glibc.malloc.check=1"})[name] == "glibc.malloc.check=1"


def run_child(code: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
