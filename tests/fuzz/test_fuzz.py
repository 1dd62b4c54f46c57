"""Damaged recipes and model files: what is right or one clear line, soon, and no code is run.

A tenth of the cases, at least 20 of a kind, is tried by default, and all with the marker `fuzz`:
$TFFACE_FUZZ multiplies their number, $TFFACE_FUZZ_SEED draws others. A case is run alone by
`python -m tests.fuzz.runner FOLDER KIND:NUMBER:NUMBER+1`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.samples import write_samples

ROOT = Path(__file__).resolve().parents[2]
# Of each kind, with the marker `fuzz`; those that are read quickly are tried more often.
CASES = {
    "recipe": 700,
    "keras": 350,
    "model_h5": 350,
    "weights_h5": 300,
    "arrays": 500,
    "pth": 350,
    "onnx": 150,
    "tflite": 100,
    "saved_model": 60,
}
_MOST_CRASHES = 3
FINE = ("gave ", "InputError ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "samples"
    write_samples(folder)
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(0.1, id="tenth"),
        pytest.param(int(os.environ.get("TFFACE_FUZZ", "1")), id="all", marks=pytest.mark.fuzz),
    ],
)
def outcomes(folder, request):
    """How each case of each kind ended."""
    left = {kind: (0, max(20, int(n * request.param))) for kind, n in CASES.items()}
    num_cases = sum(end for _, end in left.values())
    outcomes: dict[str, list[str]] = {kind: [] for kind in CASES}
    for _ in range(1 + _MOST_CRASHES):
        ranges = [f"{kind}:{first}:{end}" for kind, (first, end) in left.items()]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.runner", folder, *ranges],
            cwd=folder.parent,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{folder.parent}"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        for kind, _, text in re.findall(r"^(\w+) (\d+): (.*)$", done.stdout, re.MULTILINE):
            outcomes[kind].append(text or f"CRASH or HANG, {done.returncode}: {done.stderr[-500:]}")
        left = {
            kind: (len(outcomes[kind]), end)
            for kind, (_, end) in left.items()
            if len(outcomes[kind]) < end
        }
        if not left:
            assert sum(map(len, outcomes.values())) == num_cases
            return outcomes
        # Not a case, then, but what is around it.
        assert done.returncode < 0, done.stderr[-3000:]
    pytest.fail(f"crashed too often: {done.stderr[-3000:]}")


@pytest.mark.parametrize("kind", CASES)
def test_a_result_or_one_clear_line(outcomes, kind):
    texts = outcomes[kind]
    wrong = {case: text for case, text in enumerate(texts) if not text.startswith(FINE)}
    assert not wrong
    # Damage that nobody notices would test nothing. That whole files are read, and not refused, was
    # seen before the first case; of forty damaged ones it may be none.
    assert "InputError" in {text.split()[0] for text in texts}


def test_no_code_was_run(outcomes, folder):
    assert outcomes
    assert not (folder.parent / "trapped").exists()


def test_the_trap_works(folder):
    """Or code that is run would not be noticed."""
    code = "import tests.fuzz.runner as r, sys, pathlib, os\n"
    code += "w = r.Watch(pathlib.Path.cwd())\n"
    code += "print(r._run(lambda: __import__('tfface_trap'), w))\n"
    code += "print(r._run(lambda: os.system('true'), w), r._run(lambda: open('../secret'), w))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{folder.parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("CODE RUN") == 3
    (folder.parent / "trapped").unlink()
