"""tools/make_remove_background.py as its users call it."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.running import call_tool, run_tool
from tests.data.derived.test_background import drawn_face
from tests.data.small_faces import write_folder
from tfface.cli import remove_background
from tfface.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(partial(call_tool, remove_background.main), id="called"),
        pytest.param(
            partial(run_tool, ROOT / "tools" / "make_remove_background.py"),
            id="process",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_folder_of_people(tmp_path, run):
    source = write_folder(tmp_path / "faces", {"ann": 1})
    Image.fromarray(drawn_face()[0]).save(source / "ann" / "1.png")
    Image.new("RGB", (40, 40), "grey").save(source / "ann" / "2.png")
    (source / "ann" / "0.jpg").unlink()
    output = tmp_path / "out"
    done = run(source, output, "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"removed the background of 1 of 2 images; 1 kept as they are, see {output / 'report.csv'}",
        str(output),
    ]
    assert {path.name for path in (output / "ann").iterdir()} == {"1.jpg", "2.png"}


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        remove_background.main([str(tmp_path / "gone"), str(tmp_path / "out")])
    with pytest.raises(InputError, match=r"margin 0\.6: must be from 0 to 0\.45"):
        remove_background.main([str(tmp_path), str(tmp_path / "out"), "--margin", "0.6"])
