"""The package's own names: all there, typed, documented with an example, and loaded late."""

import ast
import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import tfface
from tests.conftest import ROOT

PUBLIC = sorted(tfface._PUBLIC)


def imports_for_type_checkers() -> dict[str, str]:
    """Name -> module, of the imports under `if TYPE_CHECKING`."""
    tree = ast.parse((ROOT / "tfface" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    return {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_and_python_see_the_same_names():
    expected = {name: module or "tfface" for name, module in tfface._PUBLIC.items()}
    assert imports_for_type_checkers() == expected


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there(name):
    assert name in dir(tfface)
    found = getattr(tfface, name)
    assert isinstance(found, ModuleType) or found.__name__ == name


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'tfface' has no attribute 'gallrey'"):
        _ = tfface.gallrey


# InputError, Recipe and the results are no objects that users make.
MADE_BY_USERS = sorted(
    {*PUBLIC}
    - {"AlignedFace", "Comparison", "ExportResult", "IdentifiedFace", "InputError", "Recipe"}
    - {"RunResult", "backbones", "heads", "metrics"}
)


@pytest.mark.parametrize("name", MADE_BY_USERS)
def test_what_users_call_has_arguments_and_an_example(name):
    documentation = inspect.getdoc(getattr(tfface, name))
    assert "Args:" in documentation
    assert ">>> " in documentation


def test_importing_the_package_does_not_load_tensorflow():
    code = "import sys, tfface; dir(tfface); tfface.InputError; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def test_modules_of_metrics_need_no_import_of_their_own():
    assert tfface.metrics.roc.roc.__module__ == "tfface.metrics.roc"
    assert "verification" in dir(tfface.metrics)
    with pytest.raises(AttributeError, match=r"'tfface\.metrics' has no attribute 'rok'"):
        _ = tfface.metrics.rok
