"""Running a tool as its users do: in a process of its own."""

import subprocess
import sys
from pathlib import Path


def run_tool(tool: Path, *arguments: object, **options) -> subprocess.CompletedProcess:
    """Runs a tool to its end, and keeps what it says.

    Args:
        tool: its file.
        options: of `subprocess.run`.
    """
    return subprocess.run(
        [sys.executable, str(tool), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
