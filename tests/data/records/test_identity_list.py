"""Lists of identities: text and CSV files, sources, and who is not known."""

import os

import pytest

from tfface.data.records.identity_list import read_identity_list, write_exclusion_list
from tfface.data.records.manifest import Identity
from tfface.errors import InputError

PEOPLE = [
    Identity("ann", "a"),
    Identity("ann", "b"),
    Identity("bob", "a"),
    Identity("dora 2", "b"),
    Identity("2", "b"),
]


def listed(tmp_path, content: str, file: str = "list.txt", people=PEOPLE) -> list[int]:
    (tmp_path / file).write_text(content, encoding="utf-8", errors="surrogateescape")
    return read_identity_list(tmp_path / file, people).nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("bob\n", [2]),
        ("ann\tsome words\n\nbob 4\n", [0, 1, 2]),
        ("1\ndora 2\n", [3]),
        ("dora 2 7\nbob  4\n", [2, 3]),
        ("dora 2\t7\r\nbob\t1\r\n", [2, 3]),
        # A number that is somebody's name is no count.
        ("2\nbob\n", [2, 4]),
        ("\ufeffbob\n", [2]),
    ],
)
def test_text(tmp_path, content, expected):
    assert listed(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name,source,reason\nann,b,because\n", [1]),
        ("name,source\nann,\nbob,a\n", [0, 1, 2]),
        ("name\nann\n", [0, 1]),
        ('images,name\n3,"dora 2"\n', [3]),
        ("name,,\nbob,,\n", [2]),
        ("\ufeffname,source\nann,a\n", [0]),
        ("name,source,reason\r\nbob,a,x\r\n", [2]),
        # To leave nobody out is a list like any other.
        ("name,source,reason\n", []),
    ],
)
def test_csv(tmp_path, content, expected):
    assert listed(tmp_path, content, "list.csv") == expected


def test_csv_of_another_suffix_is_known_by_its_header(tmp_path):
    assert listed(tmp_path, "name,source\nann,a\n", "list.lst") == [0]
    people = [Identity("name", "a"), Identity("bob", "a")]
    assert listed(tmp_path, "name\nbob\n", "list.txt", people) == [0, 1]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.txt", "bob\nzoe\t3\n", r"a\.txt: lists identities that the sources don't have: zoe$"),
        (
            "a.txt",
            "".join(f"p{i}\n" for i in range(7)),
            "don't have: p0, p1, p2, p3, p4 and 2 more$",
        ),
        ("a.csv", "name,source\nbob,b\nann,\n", "don't have: bob of b$"),
        ("a.csv", "bob\nann\n", r"a\.csv: a CSV list needs a column 'name', and has: bob$"),
        ("a.csv", "", "a CSV list needs a column 'name', and has: none$"),
        # Of two words, the first alone may be somebody else.
        ("a.txt", "ann smith\nbob -3\n", "don't have: ann smith, bob -3$"),
        ("a.txt", "\n \n", r"a\.txt: lists no identities"),
        ("a.txt", "0\n", r"a\.txt: lists no identities"),
        ("a.csv", "name,name\nann,bob\n", r"a\.csv: two columns are called 'name'"),
        ("a.csv", "name,source,source\nann,a,b\n", r"a\.csv: two columns are called 'source'"),
    ],
)
def test_wrong_lists(tmp_path, file, content, message):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, content, file)


def test_no_list(tmp_path):
    with pytest.raises(InputError, match=r"gone\.txt: can't be read: No such file"):
        read_identity_list(tmp_path / "gone.txt", PEOPLE)
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        read_identity_list(tmp_path, PEOPLE)


def test_exclusions_read_back(tmp_path):
    people = [
        Identity('Zoë, the "1st"', "a"),
        Identity(os.fsdecode(b"caf\xe9\r\n"), "b"),
        Identity("ann", ""),
        Identity("kept", "a"),
    ]
    path = tmp_path / "new folder" / "exclude.csv"
    write_exclusion_list(path, {person: f"like {person.name}" for person in people[:3]})
    assert path.read_bytes().startswith(b"name,source,reason\n")
    assert read_identity_list(path, people).tolist() == [True, True, True, False]
    write_exclusion_list(path, {})
    assert not read_identity_list(path, people).any()
