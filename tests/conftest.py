"""What all tests share: where real faces and reference files lie, if anywhere."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as processors. With TensorFlow's threads for each processor in
    # each of them, tests/training took 7 % more processor time.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

# Loads the Hypothesis profile: the number of examples in tests that do not set their own.
import tests.property_tests  # noqa: E402, F401

# Before any test imports TensorFlow, as the tools do.
import tfface  # noqa: E402, F401
from tfface import progress  # noqa: E402


@pytest.fixture(autouse=True)
def nothing_said_for_no_time() -> None:
    """No line of progress comes in a test because the tests before it took a minute."""
    progress.said()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder that $TFFACE_TEST_DATA names (with `data/` and `fixtures/`), else a skip."""
    folder = os.environ.get("TFFACE_TEST_DATA")
    if not folder:
        pytest.skip("needs real faces and reference files: set TFFACE_TEST_DATA to their folder")
    return Path(folder)
