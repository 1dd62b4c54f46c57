"""What a wheel asks for and holds."""

import tomllib
from pathlib import Path

from tfface.cli.command import _EXTRAS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_requirements_are_the_full_set():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    optional = {
        one for extra, some in EXTRAS.items() if extra not in ("all", "jax") for one in some
    }
    assert required == {*PROJECT["dependencies"], *optional}


def test_all_is_every_extra_but_a_second_backend():
    [everything] = EXTRAS["all"]
    named = everything.removeprefix("tfface[").removesuffix("]").split(",")
    assert set(named) == set(EXTRAS) - {"all", "jax"}


def test_a_missing_package_names_an_extra_that_there_is():
    assert set(_EXTRAS.values()) == set(EXTRAS) - {"all"}
