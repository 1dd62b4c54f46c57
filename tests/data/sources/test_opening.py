"""What a tool's SOURCE may say."""

import pytest

from tests.data.small_faces import write_folder
from tests.data.sources.tiny_people import prepare_people
from tfface.data.pairs import find_format
from tfface.data.sources import SOURCES
from tfface.data.sources.opening import formats, open_source
from tfface.errors import InputError


@pytest.fixture
def faces(tmp_path):
    return write_folder(tmp_path / "faces", {"ann": 2, "bob": 1})


def test_formats_are_the_sources_that_are_somewhere():
    assert set(formats()) == set(SOURCES) - {"synthetic", "split", "union"}


def test_paths_and_names(faces, tmp_path):
    format, source, paths = open_source(str(faces))
    assert (format, source.name, paths) == ("folder", "faces", [faces])
    assert open_source(f"mine={faces}").source.identities[0] == ("ann", "mine")
    assert open_source(str(faces), "folder").source.num_images == 3
    # A path may hold the sign.
    strange = write_folder(tmp_path / "a=b", {"ann": 1})
    assert open_source(str(strange)).source.name == "a=b"
    assert open_source(f"c={strange}").source.name == "c"


@pytest.mark.parametrize(
    "name", ["contact_sheet.png", "report.csv", "dataset.json", ".rec", "a.rec", "a.tfrecord"]
)
def test_people_called_like_files(tmp_path, name):
    faces = write_folder(tmp_path / "faces", {name.lstrip("."): 1, "bob": 2})
    opened = open_source(str(faces))
    assert opened.format == "folder"
    assert opened.source.num_identities == 2


@pytest.mark.parametrize("name", [".csv", ".txt", ".bin"])
def test_folders_called_like_pairs(tmp_path, name):
    faces = write_folder(tmp_path / f"faces{name}", {"ann": 2, "bob": 2})
    assert find_format(faces)[0] is None


def test_a_folder_of_a_person_called_like_a_report(tmp_path):
    """A folder one level too high is known by files of tools, not by folders of that name."""
    write_folder(tmp_path / "faces" / "ann" / "dataset.json", {"2019": 1})
    write_folder(tmp_path / "faces" / "bob", {"2020": 1, "2021": 1})
    assert open_source(str(tmp_path / "faces")).source.num_identities == 2


def test_options(faces):
    format, source, paths = open_source(f"mine={{source: folder, path: '{faces}'}}")
    assert (format, source.name, paths) == ("folder", "mine", [faces])
    format, source, paths = open_source("{synthetic: {num_identities: 3, size: 32}}")
    assert (format, source.num_identities, paths) == ("synthetic", 3, [])


def test_sets_of_tensorflow_datasets(tmp_path):
    folder = prepare_people(tmp_path / "prepared")
    opened = open_source(f"tiny={folder}")
    assert (opened.format, opened.paths) == ("tfds", [folder])
    assert opened.source.identities[0] == ("ann", "tiny")
    options = f"{{source: tfds, dataset: tiny_people, data_dir: '{tmp_path}/prepared'}}"
    assert open_source(options).source.num_images == 12
    with pytest.raises(InputError, match="no_such_set"):
        open_source("no_such_set", "tfds")


@pytest.mark.parametrize(
    ("argument", "format", "message"),
    [
        ("gone", "auto", "^gone: no such file or folder$"),
        ("x=gone", "folder", "^gone: no such file or folder$"),
        ("faces", "zip", "format 'zip' is not known: auto, folder, "),
        ("faces/ann/0.jpg", "auto", r"0\.jpg: a single image, not a set of images: give"),
        (
            "text",
            "auto",
            r"text: its format is not recognized: name it, as in \{source: FORMAT, path",
        ),
        ("list.csv.gz", "auto", "list.csv.gz: is a gzip file: unpack it with gunzip"),
        ("list.xlsx", "auto", "list.xlsx: is a spreadsheet or another office document: save its"),
        ("", "auto", r"^an empty path: name a file or folder \('\.' is"),
        ("x={source: folder, path: ''}", "auto", "path: an empty path: name a file or folder"),
        ("{source: folder}", "auto", "path: missing; it must be given"),
        ("{source: folder, path: gone}", "auto", "gone: no such folder"),
    ],
)
def test_what_can_not_be_opened(faces, monkeypatch, argument, format, message):
    (faces.parent / "text").write_text("text")
    (faces.parent / "list.csv.gz").write_bytes(b"\x1f\x8b\x08\0")
    (faces.parent / "list.xlsx").write_bytes(b"PK\x03\x04" + bytes(26) + b"docProps/app.xml")
    monkeypatch.chdir(faces.parent)
    with pytest.raises(InputError, match=message):
        open_source(argument, format)


def test_more_drawn_faces_than_can_be_counted():
    source = "{source: synthetic, num_identities: 2, images_per_identity: 99999999999}"
    with pytest.raises(InputError, match="images_per_identity: must be 100,000,000 images at most"):
        open_source(source)
