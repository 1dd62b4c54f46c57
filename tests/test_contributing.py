"""The example in CONTRIBUTING.md works as it is written there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = "AUGMENTATIONS = {\n"


def blocks() -> dict[str, str]:
    """The code blocks of the example, by the file that the line above them names."""
    return dict(re.findall(r"`([\w./]+)`:\n\n```\w*\n(.*?)```", CONTRIBUTING, re.DOTALL))


def copy_of_the_project(folder: Path) -> Path:
    """The example changes these; the rest is only read."""
    changed = ("tfface", "tests", "docs", "tools")
    for name in changed:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.name not in changed and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    return folder


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"^(?:\| `)?make ([a-z-]+)\b", CONTRIBUTING, re.MULTILINE)) <= targets
    modules = re.findall(r"python -m (tests\.[\w.]+)", CONTRIBUTING)
    paths = re.findall(r"`((?:tests|tfface|docs)/[\w./]+)`", CONTRIBUTING)
    for path in [*paths, *(f"{module.replace('.', '/')}.py" for module in modules)]:
        assert (ROOT / path).exists() or "random_gamma" in path, path


@pytest.mark.slow
def test_the_example_passes_the_contract_and_the_docs_tests(tmp_path):
    folder = copy_of_the_project(tmp_path)
    added = blocks()
    table = "tfface/data/augment/__init__.py"
    imported, entry = added.pop(table).split("\n\n")
    new = sorted(added)
    assert new == ["tests/data/augment/test_random_gamma.py", "tfface/data/augment/random_gamma.py"]

    for path, text in added.items():
        assert not (ROOT / path).exists(), f"{path} is there already: take another example"
        (folder / path).write_text(text, encoding="utf-8")
    text = (folder / table).read_text(encoding="utf-8")
    assert TABLE in text
    text = text.replace(TABLE, f"{imported}\n\n{TABLE}{entry}")
    (folder / table).write_text(text, encoding="utf-8")

    subprocess.run([sys.executable, "tools/update_reference.py"], cwd=folder, check=True)
    run("ruff", "check", *new, folder=folder)
    run("ruff", "format", "--check", *new, folder=folder)
    tests = [
        "tests/data/augment/test_random_gamma.py",
        "tests/contracts/test_augmentations.py",
        "tests/test_docs.py",
    ]
    wanted = "random_gamma or reference_is_current"
    printed = run("pytest", *tests, "-k", wanted, "-v", "-p", "no:cacheprovider", folder=folder)
    passed = re.findall(r"^tests/(\S+)::(\w+).* PASSED", printed, re.MULTILINE)
    # Its own tests, what every augmentation must do, and the reference.
    assert {path for path, _ in passed} == {path.removeprefix("tests/") for path in tests}
    assert ("test_docs.py", "test_the_reference_is_current") in passed
    assert ("contracts/test_augmentations.py", "test_the_seed_alone_decides") in passed
