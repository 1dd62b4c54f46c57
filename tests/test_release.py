"""The version and its date, which stand in three files."""

import re
from pathlib import Path

import yaml

import tfface

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)


def test_all_sections_are_releases_but_the_first():
    sections = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert sections == ["Unreleased", *(f"{version} - {date}" for version, date in RELEASES)]
    numbers = [tuple(map(int, version.split("."))) for version, _ in RELEASES]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [date for _, date in RELEASES] == sorted((date for _, date in RELEASES), reverse=True)


def test_the_newest_release_is_what_is_installed_and_cited():
    version, date = RELEASES[0]
    assert tfface.__version__ == version
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["date-released"]) == (version, date)
