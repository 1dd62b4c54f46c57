"""What earlier versions wrote is read, and means what it meant."""

import pytest

from tests.compatibility.facts import FACTS, assert_same, verification
from tests.compatibility.interface import said
from tests.compatibility.versions import VERSIONS, copy_of, expected
from tests.compatibility.write import check

# Facts that a version doesn't know yet are not in its file.
RECORDED = [(version, name) for version in VERSIONS for name in FACTS if name in expected(version)]


def test_the_first_version_is_there_with_all_its_facts():
    """Tests that are made of a list pass where the list is empty."""
    recorded = [name for version, name in RECORDED if version.name == "0.1.0"]
    assert len(recorded) == 9


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_it_is_small_and_names_no_machine(version):
    check(version)


@pytest.mark.parametrize(
    ("version", "name"), RECORDED, ids=[f"{version.name}-{name}" for version, name in RECORDED]
)
def test_facts(version, name, tmp_path):
    (tmp_path / "scratch").mkdir()
    found = FACTS[name](copy_of(version, tmp_path / "old"), tmp_path / "scratch")
    assert_same(found, expected(version)[name], name)


def test_a_dataset_is_found_sound(old, tmp_path):
    output = tmp_path / "inspection"
    assert said("inspect_dataset", old / "faces", "--output", output).endswith(f"{output}\n")


@pytest.mark.parametrize("options", [[], ["--no-flip"]])
def test_cached_embeddings_are_right_or_not_used(old, tmp_path, options):
    found = verification(old, tmp_path, *options, "--cache", old / "embedding_cache")
    name = "verification_without_flip" if options else "verification"
    assert_same(found, expected(old)[name])
