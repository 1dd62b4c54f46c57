"""Computes pins, all of them in one new process.

TensorFlow reads its settings when it is imported; in a new process they are the same whether pytest
or `update.py` asks, and nothing that ran before can change a result.
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.golden.environment import FORCED, ONE_THREAD, fingerprint
from tests.golden.golden_files import rounded
from tests.golden.pins import PINS

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = "results.json"


class Computed(NamedTuple):
    """The outcome of a computation.

    Attributes:
        fingerprint: of the environment.
        results: by pin, what its function returned, or {"error": traceback}.
    """

    fingerprint: dict[str, str]
    results: dict[str, dict]


def compute(names: Iterable[str], folder: Path, test_data: Path | None) -> Computed:
    """Computes pins in a new process.

    Args:
        folder: empty working folder.
        test_data: the folder of real faces, for the pins that need it.
    Raises RuntimeError: the process failed; the message holds the end of its output.
    """
    arguments = [str(folder.resolve()), str(test_data.resolve()) if test_data else "", *names]
    # A user's keras.json could set another float type or image layout.
    keras_home = {"KERAS_HOME": str(folder.resolve() / "keras")}
    process = subprocess.run(
        [sys.executable, "-m", "tests.golden.compute", *arguments],
        cwd=_ROOT,
        env={**ONE_THREAD, **os.environ, **FORCED, **keras_home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(
            f"the process that computes pins ended with {process.returncode}:\n"
            f"{process.stdout[-4000:]}"
        )
    return Computed(**json.loads((folder / _RESULTS).read_text()))


def _main(folder: str, test_data: str, *names: str) -> None:
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tools")]
    # As commands import it: without what only takes time.
    start = importlib.import_module("tfface.quiet_tensorflow")
    start.import_tensorflow("tensorflow", for_command=True)
    os.chdir(folder)
    results = {name: _compute_one(name, test_data) for name in names}
    Path(_RESULTS).write_text(json.dumps(Computed(fingerprint(), results)._asdict()))


def _compute_one(name: str, test_data: str) -> dict:
    pin = PINS[name]
    try:
        function = getattr(importlib.import_module(f"tests.golden.{pin.module}"), pin.function)
        if pin.needs_test_data:
            result = function(Path(test_data))
        else:
            result = function(pin.argument) if pin.argument else function()
        return {**result, "values": rounded(result["values"])}
    except Exception:
        # The other pins are still computed; the test of this one fails with the traceback.
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    _main(*sys.argv[1:])
