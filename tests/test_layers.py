"""The layers of docs/architecture.md: imports only go down, siblings never import each other."""

import ast
import graphlib
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfface.extras import EXTRAS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tfface"

# Room -> level. A room may import only from lower levels.
LEVELS = {
    "commands": -3,
    "errors": -2,
    "paths": -1,
    "autotune": 0,
    "extras": 0,
    "face_template": 0,
    "file_kind": 0,
    "files": 0,
    "onednn": 0,
    "parent_process": 0,
    "processor": 0,
    "seeding": 0,
    "signals": 0,
    "typing": 0,
    "arguments": 1,
    "folder_lock": 1,
    "json_file": 2,
    "kernels": 1,
    "names": 1,
    "safe_pickle": 1,
    "progress": 1,
    "quiet_tensorflow": 1,
    "text_file": 1,
    "npz_file": 2,
    "output_paths": 1,
    "registry": 2,
    "resumable_output": 2,
    "recipe": 3,
    "metrics": 2,
    "reporting": 2,
    "synthetic": 2,
    "images": 4,
    "backbones": 4,
    "heads": 5,
    "alignment": 5,
    "data": 6,
    "evaluation": 7,
    "exporting": 8,
    "gallery": 8,
    "training": 9,
    "api": 10,
    "profiling": 10,
    "demo": 11,
    "cli": 12,
    "__main__": 13,
    # Its imports of other rooms are for type checkers, or happen when a name is first used.
    "__init__": 11,
}

# Rooms that may import TensorFlow: for tf.data, for what it does faster in a way of its own, and to
# measure baselines.
TENSORFLOW_ROOMS = {
    *("alignment", "api", "autotune", "data", "images", "kernels", "profiling"),
    # Its start-up notes are held back here.
    "quiet_tensorflow",
}
# And files: nothing but TensorFlow can run a SavedModel, whatever backend Keras has, and its
# backend has no distribution but tf.distribute.
TENSORFLOW_FILES = {
    PACKAGE / "evaluation" / "embedders" / "saved_model.py",
    # Only TensorFlow reads its checkpoints.
    PACKAGE / "backbones" / "weights" / "tf_checkpoint.py",
    PACKAGE / "training" / "distribution.py",
    # Its converter takes types and optimizations of TensorFlow.
    PACKAGE / "exporting" / "litert_model.py",
}
KERAS_INTERNALS = PACKAGE / "kernels" / "keras_internals.py"
# Private names of the standard library.
OF_PYTHON = {"_actions", "_exit", "_option_string_actions", "_replace"}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}


def imported_modules(path: Path) -> set[str]:
    """The absolute names a file imports, wherever in the file it does."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_a_level():
    assert {room_of(path) for path in FILES} == set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    room = room_of(path)
    for module in imported_modules(path):
        top, _, rest = module.partition(".")
        assert top not in ("benchmarks", "tools", "tests", "checkout"), f"{path} imports {module}"
        if top == "tensorflow":
            allowed = room in TENSORFLOW_ROOMS or path in TENSORFLOW_FILES
            assert allowed, f"{path} imports TensorFlow"
        other = rest.partition(".")[0]
        if top == "tfface" and other in LEVELS and other != room:
            assert LEVELS[other] < LEVELS[room], f"{path} imports {module}, which is not below it"


def test_no_modules_import_each_other():
    """Nor in a circle of several."""
    imports = {
        name: {
            module
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom)
            # `from package import x` imports the module package.x if there is one.
            for module in {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            or {node.module} & MODULES.keys()
        }
        for name, path in MODULES.items()
    }
    with_imports_first = graphlib.TopologicalSorter(imports)
    with_imports_first.prepare()  # CycleError: the modules of a circle


@pytest.mark.parametrize(
    "module",
    [
        *("tfface.api.training", "tfface.api.evaluating", "tfface.api.embedding"),
        *("tfface.api.exporting", "tfface.training.run", "tfface.data.pairs"),
    ],
)
def test_training_and_verification_need_no_extra(module):
    """What these modules import as they are loaded is installed by `pip install .` alone.

    Nor do they load matplotlib, which takes most of a second and is needed after the last step.
    """
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        for node in ast.parse(MODULES[name].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                loaded = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                loaded = {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                continue
            packages = {one.partition(".")[0] for one in loaded}
            assert not packages & {*EXTRAS, "matplotlib"}, f"{name} imports {sorted(packages)}"
            # A package is loaded before its modules.
            waiting += {
                ".".join(parts[:end])
                for parts in (one.split(".") for one in loaded)
                for end in range(1, len(parts) + 1)
            }
    assert len(seen) > 1


def test_the_package_itself_loads_next_to_nothing():
    code = "import sys, tfface; print(*sorted(m for m in sys.modules if m.startswith('tfface')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["tfface", "tfface.onednn"]


@pytest.mark.parametrize(
    "module",
    [
        *("tfface.recipe", "tfface.recipe.signatures", "tfface.recipe.component_options"),
        *("tfface.metrics.verification", "tfface.reporting"),
    ],
)
def test_light_rooms_do_not_import_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("command", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda p: p.stem)
def test_commands_only_import_tensorflow_after_parsing(command):
    """`--help` has to answer within a second."""
    top_level = ast.parse(command.read_text(encoding="utf-8")).body
    modules = {
        name
        for node in top_level
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] + [getattr(node, "module", None) or ""])
    }
    heavy = {"tensorflow", "keras", "matplotlib", "jax"}
    assert not {name.partition(".")[0] for name in modules} & heavy
    light = (
        *("tfface.errors", "tfface.commands", "tfface.cli", "tfface.parent_process"),
        *("tfface.arguments", "tfface.extras", "tfface.quiet_tensorflow"),
    )
    assert all(n == "tfface" or n.startswith(light) for n in modules if n.startswith("tfface"))


def test_private_names_of_keras_are_in_one_file():
    nodes = {
        path: [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
        for path in FILES
        if path != KERAS_INTERNALS
    }
    # Methods, functions and what is assigned to `self`.
    own = set()
    for node in itertools.chain.from_iterable(nodes.values()):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
    found = []
    for path, of_file in nodes.items():
        for node in of_file:
            if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
                if node.attr not in own | OF_PYTHON:
                    found.append((path.name, node.attr))
            elif isinstance(node, ast.ImportFrom) and node.module.startswith("keras.src"):
                found.append((path.name, node.module))
    assert not found
