"""tools/make_cutmix.py as its users call it."""

from functools import partial
from pathlib import Path

import pytest

from tests.cli.running import call_tool, run_tool
from tests.data.small_faces import write_folder
from tfface.cli import cutmix
from tfface.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(partial(call_tool, cutmix.main), id="called"),
        pytest.param(
            partial(run_tool, ROOT / "tools" / "make_cutmix.py"),
            id="process",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_folder_of_people(tmp_path, run):
    source = write_folder(tmp_path / "faces", {"ann": 3, "bob": 1})
    output = tmp_path / "out"
    done = run(source, output, "--per-class", "4")
    assert done.returncode == 0
    assert done.stderr == "warning: 1 people have one image, and nothing to exchange with: bob\n"
    assert done.stdout.splitlines() == ["made: 4 new images and 4 originals", str(output)]
    assert len(list((output / "ann").iterdir())) == 7


def test_nobody_has_two_images(tmp_path):
    source = write_folder(tmp_path / "faces", {"ann": 1, "bob": 1})
    with pytest.raises(InputError, match="no identity has two images, so nothing can be made"):
        cutmix.main([str(source), str(tmp_path / "out"), "--per-class", "4"])


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        cutmix.main([str(tmp_path / "gone"), str(tmp_path / "out"), "--per-class", "4"])
    source = write_folder(tmp_path / "faces", {"ann": 2})
    with pytest.raises(InputError, match=r"area 0\.6 0\.2: must ascend"):
        cutmix.main(
            [str(source), str(tmp_path / "out"), "--per-class", "4", "--area", "0.6", "0.2"]
        )
    with pytest.raises(InputError, match="choose an output folder elsewhere"):
        cutmix.main([str(source), str(source / "out"), "--per-class", "4"])


def test_per_class_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        cutmix.main(["faces", "out"])
    assert "--per-class" in capsys.readouterr().err


def test_per_class_has_a_limit():
    with pytest.raises(InputError, match="must be a whole number from 1 to 1,000,000"):
        cutmix.main(["faces", "out", "--per-class", "99999999999999999999"])
