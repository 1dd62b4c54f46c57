"""What all tests share: where real faces and reference files lie, if anywhere."""

import gc
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There are about as many workers as processors. With TensorFlow's threads for each processor in
    # each of them, tests/training took 7 % more processor time.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

# Loads the Hypothesis profile: the number of examples in tests that do not set their own.
import tests.property_tests  # noqa: E402, F401
from tests import shortcuts  # noqa: E402

shortcuts.turn_xla_optimizations_off()
# Before any test imports TensorFlow, as the tools do.
import tfface  # noqa: E402, F401
from tfface import progress  # noqa: E402

# Files that take a quarter of a minute and more. Begun last, one of them would leave the other
# workers waiting for it.
_LONGEST_FIRST = (
    "golden/test_golden.py",
    "training/test_midway.py",
    "data/pipeline/test_pipeline.py",
    "training/test_run.py",
    "test_recipes.py",
    "api/test_galleries.py",
    "training/test_warm_start.py",
    "cli/test_train.py",
    "api/test_training.py",
    "training/test_trainer.py",
    "evaluation/test_sanity_checks.py",
    "backbones/weights/test_loading.py",
    "training/test_distillation.py",
    "training/test_resume.py",
    "api/test_python_page.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first: xdist hands files out in this order."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Saves processor time that no test needs.

    The garbage collector goes over modules and cases again and again, and none of them becomes
    garbage: tests of trainings took 12 % more.
    """
    gc.collect()
    gc.freeze()
    shortcuts.turn_graph_optimizer_off()


@pytest.fixture(autouse=True)
def nothing_said_for_no_time() -> None:
    """No line of progress comes in a test because the tests before it took a minute."""
    progress.said()


@pytest.fixture(autouse=True)
def shortcuts_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    shortcuts.draw_no_curves(monkeypatch)
    shortcuts.render_faces_once(monkeypatch)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder that $TFFACE_TEST_DATA names (with `data/` and `fixtures/`), else a skip."""
    folder = os.environ.get("TFFACE_TEST_DATA")
    if not folder:
        pytest.skip("needs real faces and reference files: set TFFACE_TEST_DATA to their folder")
    return Path(folder)
