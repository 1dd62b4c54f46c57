"""What a wheel asks for and holds."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tfface import extras

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_requirements_are_the_full_set():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    optional = {
        one
        for extra, some in EXTRAS.items()
        if extra not in ("all", "jax", "openvino")
        for one in some
    }
    assert required == {*PROJECT["dependencies"], *optional}


def test_all_is_every_extra_but_a_second_backend_and_openvino():
    [everything] = EXTRAS["all"]
    named = everything.removeprefix("tfface[").removesuffix("]").split(",")
    assert set(named) == set(EXTRAS) - {"all", "jax", "openvino"}


def test_a_missing_package_names_an_extra_that_there_is():
    assert set(extras.EXTRAS.values()) == set(EXTRAS) - {"all"}


def test_a_wheel_holds_what_an_installed_tfface_reads(tmp_path):
    """Without the templates it writes no reports and no page, without the recipes it has none."""
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        [entry_points] = [name for name in names if name.endswith("/entry_points.txt")]
        assert "tfface = tfface.cli.main:main" in file.read(entry_points).decode()
    templates = [path.name for path in (ROOT / "tfface/reporting/templates").iterdir()]
    recipes = [path.name for path in (ROOT / "recipes").glob("*.yaml")]
    assert len(templates) >= 8
    assert {f"tfface/reporting/templates/{name}" for name in templates} <= names
    assert {f"tfface/recipes/{name}" for name in recipes} <= names
    assert "tfface/demo/templates/demo.html" in names
    assert "tfface/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tools/"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "code", "said"),
    [
        ("faiss", "tfface.Gallery", "tfface.Gallery: faiss .* pip install 'tfface\\[search\\]'"),
        ("faiss", "tfface.evaluate_verification; tfface.load_embedder; print('fine')", "fine"),
        (
            " ".join(extras.EXTRAS),
            "tfface.train; tfface.evaluate_verification; tfface.evaluate_classification; "
            "tfface.load_embedder; tfface.export; print('fine')",
            "fine",
        ),
        ("mtcnn lz4", "tfface.compare", "tfface.compare: lz4 .* pip install 'tfface\\[align\\]'"),
    ],
)
def test_the_python_api_without_an_extra(package, code, said):
    hidden = f"import sys; sys.modules.update(dict.fromkeys({package.split()}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}; import tfface; {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(said, (done.stdout + done.stderr).strip().splitlines()[-1])
