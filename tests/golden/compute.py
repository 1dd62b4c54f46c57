"""Computes pins, all in one process that is started for it: `computed`.

What TensorFlow reads when it is imported is then the same from wherever pins are computed, and
nothing that ran before in the process changes them.
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
from tests.golden.pins import PINS
from tests.golden.values import rounded

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = "results.json"


class Computed(NamedTuple):
    """Attributes:
    fingerprint: of the environment that it was computed in.
    results: of each pin what its function returned, or {"error": a traceback}.
    """

    fingerprint: dict[str, str]
    results: dict[str, dict]


def computed(names: Iterable[str], folder: Path, test_data: Path | None) -> Computed:
    """Computes pins in a process of its own.

    Args:
        folder: an empty one, to work in.
        test_data: for the pins that need it.
    Raises RuntimeError: the process ended without results; the message has the end of its output.
    """
    arguments = [str(folder.resolve()), str(test_data.resolve()) if test_data else "", *names]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.golden.compute", *arguments],
        cwd=_ROOT,
        env={**ONE_THREAD, **os.environ, **FORCED},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"computing pins ended with {ended.returncode}:\n{ended.stdout[-4000:]}")
    return Computed(**json.loads((folder / _RESULTS).read_text()))


def _main(folder: str, test_data: str, *names: str) -> None:
    # Before anything imports TensorFlow, as the tools do; these are found beside each other.
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tools")]
    importlib.import_module("tfface")
    os.chdir(folder)
    results = {name: _compute(name, test_data) for name in names}
    Path(_RESULTS).write_text(json.dumps(Computed(fingerprint(), results)._asdict()))


def _compute(name: str, test_data: str) -> dict:
    pin = PINS[name]
    try:
        function = getattr(importlib.import_module(f"tests.golden.{pin.module}"), pin.function)
        if pin.needs_test_data:
            result = function(Path(test_data))
        else:
            result = function(pin.argument) if pin.argument else function()
        return {**result, "values": rounded(result["values"])}
    except Exception:
        # The other pins can still be computed; who asked for this one is told.
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    _main(*sys.argv[1:])
