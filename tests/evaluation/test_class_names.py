"""Lists of classes' names."""

import pytest

from tfface.errors import InputError
from tfface.evaluation.classifier import read_class_names


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("n.txt", "b\na a\n\u00e9\n\n\n", ["b", "a a", "\u00e9"]),
        ("n.names", "\ufeffx\r\ny\r\n", ["x", "y"]),
        ("i.csv", 'label,name\n0,"a, b"\n1,c\n', ["a, b", "c"]),
        ("i.CSV", "name,source,label\nz,s,0\ny,s,1\n", ["z", "y"]),
    ],
)
def test_names(tmp_path, file, text, names):
    (tmp_path / file).write_bytes(text.encode())
    assert read_class_names(tmp_path / file) == names


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("n.txt", "a\n\nb\n", r"n\.txt: class 1 has no name"),
        ("n.txt", "a\n", "names 1 classes, and there must be two at least"),
        ("n.txt", "a\nb\na\n", "two classes are called 'a', so it is not known which is meant"),
        ("i.csv", "label,name,name\n0,a,c\n1,b,d\n", r"i\.csv: two columns are called 'name'"),
        ("i.csv", "label,name\n1,a\n0,b\n", r"the labels are not 0, 1, 2, \.\.\. in order"),
        ("i.csv", "label,name\nx,a\n", r"needs the columns label \(whole numbers\) and name"),
        ("i.csv", "name\na\nb\n", "needs the columns label"),
        ("i.csv", "label,name\n0\n1\n", "class 0 has no name"),
    ],
)
def test_what_is_no_list(tmp_path, file, text, message):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_class_names(tmp_path / file)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: can't be read: No such file"):
        read_class_names(tmp_path / "none.txt")
