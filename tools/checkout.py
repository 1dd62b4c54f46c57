"""Runs tfface from a checkout that is not installed. Import it before anything of tfface.

It puts the checkout on the path, and says what is wrong with a Python that can't run tfface.
"""

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)


def how_to_get_the_environment():
    """Returns what the user can do where Python or a package is the wrong one."""
    activate = os.path.join(os.path.relpath(_ROOT), ".venv", "bin", "activate")
    if os.path.exists(activate):
        return "activate the environment first: source " + activate
    return (
        "make the environment with 'make quickstart' (or install requirements.txt into one of "
        "Python 3.11 to 3.13), and activate it: source .venv/bin/activate"
    )


# An older Python understands this file as far as here, and none of the modules that follow.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "error: tfface needs Python 3.11 to 3.13, and {} is {}.{}; {}\n".format(
            sys.executable, *sys.version_info[:2], how_to_get_the_environment()
        )
    )
    sys.exit(2)

from tfface import commands
from tfface.cli import command


def run(main) -> None:
    """Runs a command's `main` as a tool, and exits."""
    commands.use_tools()
    command.run(main, install_hint=how_to_get_the_environment())
