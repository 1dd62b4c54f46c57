"""The notebooks in examples/ run from top to bottom, on synthetic faces and on photos."""

import ast
import json
import shutil
import tarfile
from pathlib import Path

import nbclient
import nbformat
import pytest

import tfface

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Notebooks write into the folder that they run in; their process imports this checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("TFFACE_PHOTOS", "TFFACE_MODEL", "TFFACE_FACES"):
        monkeypatch.delenv(name, raising=False)


def run(name: str, wanted: str):
    """Runs a notebook, and returns the value of an expression in it."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    last = nbformat.v4.new_code_cell(f"import json; print('found', json.dumps({wanted}))")
    notebook.cells.append(last)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    [text] = [
        output.text for output in notebook.cells[-1].outputs if output.get("name") == "stdout"
    ]
    return json.loads(text.removeprefix("found"))


def run_twice(name: str, wanted: str):
    """As `run`, and once more in the folder that the first time has left: with the same value."""
    found = run(name, wanted)
    assert run(name, wanted) == found
    return found


def unpack(archive: Path, folder: Path, *, num_people: int, num_images: int) -> None:
    """Writes images of the first people who have so many, one folder for each person."""
    with tarfile.open(archive) as tar:
        people: dict[str, list[tarfile.TarInfo]] = {}
        for member in tar.getmembers():
            if member.isfile() and member.name.endswith((".jpg", ".jpeg", ".png")):
                people.setdefault(Path(member.name).parent.name, []).append(member)
        enough = [name for name, members in sorted(people.items()) if len(members) >= num_images]
        for name in enough[:num_people]:
            (folder / name).mkdir(parents=True)
            for member in people[name][:num_images]:
                with (folder / name / Path(member.name).name).open("wb") as file:
                    shutil.copyfileobj(tar.extractfile(member), file)


@pytest.mark.slow
def test_train_on_synthetic_photos():
    wanted = "[is_synthetic, result.to_dict()['accuracy'], len(classifier.classes)]"
    is_synthetic, accuracy, num_classes = run_twice("train_on_your_photos", wanted)
    assert (is_synthetic, num_classes) == (True, 8)
    # Chance is one in eight.
    assert accuracy > 0.4


@pytest.mark.slow
def test_train_on_photos(test_data, monkeypatch, tmp_path):
    archive = test_data / "data" / "celebrity_faces.tar"
    unpack(archive, tmp_path / "people", num_people=4, num_images=24)
    monkeypatch.setenv("TFFACE_PHOTOS", "people")
    found = run(
        "train_on_your_photos",
        "[is_synthetic, result.to_dict()['accuracy'], str(faces), scores.size]",
    )
    is_synthetic, accuracy, faces, num_scores = found
    assert (is_synthetic, faces, num_scores) == (False, "faces", 4)
    assert accuracy > 0.25


_OPEN_SET = "[len(people), gallery.names, gallery.threshold, point['tpir'], point['measured_fpir']]"


@pytest.mark.slow
def test_identify_synthetic_faces():
    num_people, names, threshold, tpir, fpir = run_twice("open_set_identification", _OPEN_SET)
    assert num_people == 20
    assert names == [str(number) for number in range(5000, 5010)]
    assert 0 < threshold < 1
    # A random decision has them equal.
    assert tpir > 2 * fpir


@pytest.mark.slow
def test_identify_faces(test_data, monkeypatch, tmp_path):
    archive = test_data / "data" / "lfw_aligned_112.tar"
    unpack(archive, tmp_path / "lfw", num_people=20, num_images=10)
    monkeypatch.setenv("TFFACE_FACES", "lfw")
    monkeypatch.setenv("TFFACE_MODEL", str(test_data / "data" / "mobilefacenet_192.tflite"))
    num_people, names, _, tpir, fpir = run_twice("open_set_identification", _OPEN_SET)
    assert (num_people, len(names)) == (20, 10)
    assert tpir > 0.9
    assert fpir <= 0.1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_every_notebook_is_run():
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.stem}"' in text for path in EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_name_what_the_package_has(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    used = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "tfface"
    }
    assert used
    assert used <= set(dir(tfface))
