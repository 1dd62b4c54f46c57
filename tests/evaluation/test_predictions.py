"""Entries of a competition: which are whole, and what is said of those that aren't."""

import pytest

from tests.data.small_faces import write_folder
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError
from tfface.evaluation.predictions import read_predictions


@pytest.fixture
def source(tmp_path):
    write_folder(tmp_path / "data", {"ann": 2, "bob": 1})
    (tmp_path / "data/bob/0.jpg").rename(tmp_path / "data/bob/only.jpg")
    return FolderSource(tmp_path / "data")


GOOD = "path,label\nann/0.jpg,ann\nbob/only.jpg,ann\nann/1.jpg,ann\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        # Any order, other columns, the last part of a name where it is of one image only.
        "sure,label,filename\n0.9,ann,only.jpg\n0.1,ann,1.jpg\n0.5,ann,0.jpg\n",
        "\ufeffpath, label\r\nann/1.jpg, ann\r\nann/0.jpg, ann\r\nbob/only.jpg, ann\r\n",
    ],
)
def test_whole_entries(source, tmp_path, text):
    (tmp_path / "p.csv").write_bytes(text.encode())
    assert read_predictions(tmp_path / "p.csv", source).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\nann/0.jpg,ann\n", r"no prediction for 2 of the 3 images: ann/1\.jpg, bob/on"),
        ("path,label\n", r"no prediction for 3 of the 3 images"),
        (GOOD + "ann/0.jpg,bob\n", r"line 5: 'ann/0\.jpg' has a prediction in line 2 already"),
        (GOOD + "0.jpg,bob\n", r"line 5: '0\.jpg' has a prediction in line 2 already"),
        (
            GOOD + "ann/7.jpg,bob\n",
            r"line 5: 'ann/7\.jpg' is not an image of data; .* like ann/0\.jpg",
        ),
        (GOOD + ",bob\n", "line 5: '' is not an image of data"),
        (
            GOOD.replace("ann\n", "Ann\n"),
            "line 2: 'Ann' is not a class of data; its classes are: ann",
        ),
        ("path,label\nann/0.jpg\n", "line 2: '' is not a class"),
        (
            "file,label\nann/0.jpg,ann\n",
            r"columns path \(or filename\) and label; it has: file, la",
        ),
        ("", r"it has: none"),
        ("path,label,label\nann/0.jpg,ann,bob\n", r"p\.csv: two columns are called 'label'"),
        ('path,label\n"ann/0.jpg,ann\n', "can't be read as CSV"),
    ],
)
def test_broken_entries(source, tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / "p.csv", source)


def test_names_that_several_images_have(tmp_path):
    write_folder(tmp_path / "data", {"ann": 1, "bob": 1})
    (tmp_path / "p.csv").write_text("path,label\n0.jpg,ann\n")
    with pytest.raises(InputError, match=r"line 2: '0\.jpg' is the name of several images of data"):
        read_predictions(tmp_path / "p.csv", FolderSource(tmp_path / "data"))


def test_no_file(source, tmp_path):
    with pytest.raises(InputError, match=r"p\.csv: can't be read: No such file"):
        read_predictions(tmp_path / "p.csv", source)
