"""Every reader of text names the encoding of a file that is not UTF-8."""

import os
import threading

import pytest

from tfface.data.int_table import read_number_lines
from tfface.data.pairs import load_pair_set
from tfface.data.pairs.csv_pairs import holds_pairs
from tfface.data.records.identity_list import read_identity_list
from tfface.data.records.manifest import Identity
from tfface.data.sources.csv_list import CsvSource
from tfface.errors import InputError
from tfface.evaluation.classifier import read_class_names
from tfface.recipe.yaml_file import read_yaml
from tfface.text_file import check_columns, delimiter_of, open_text

READERS = {
    "identities.txt": lambda path: read_identity_list(path, []),
    "identities.csv": lambda path: read_identity_list(path, []),
    "classes.txt": read_class_names,
    "classes.csv": read_class_names,
    "images.csv": CsvSource,
    "images.tsv": CsvSource,
    "pairs.csv": lambda path: load_pair_set(str(path)),
    "pairs.txt": lambda path: load_pair_set(str(path)),
    "numbers.txt": lambda path: read_number_lines(path, 2, "two numbers"),
    "recipe.yaml": read_yaml,
}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", READERS)
def test_utf_16(tmp_path, name, encoding):
    (tmp_path / name).write_bytes("name,label\r\nann,0\r\n".encode(encoding))
    with pytest.raises(InputError, match="is text in UTF-16, and UTF-8 is read here: save it as"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1f\x8b\x08\0 packed", "a gzip file: unpack it"),
        (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "a spreadsheet or another office"),
        (b"PK\x03\x04" + bytes(26) + b"xl/workbook.xml", "a spreadsheet or another office"),
        (
            b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument",
            "a spreadsheet or another office",
        ),
        (b"PK\x03\x04" + bytes(26) + b"faces/ann.jpg", "a zip archive: unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a spreadsheet or another office"),
        (b"<!DOCTYPE html><html>", "a web page, as failed downloads leave it"),
    ],
)
@pytest.mark.parametrize("name", READERS)
def test_no_text(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: not a text file, but {kind}"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_first_line_of_excel(tmp_path, mark):
    (tmp_path / "a.csv").write_bytes(mark + b"sep=;\r\npath;identity\r\n")
    with pytest.raises(InputError, match=r"a\.csv: its first line, sep=, is for Excel alone: rem"):
        CsvSource(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("header", "usual", "delimiter"),
    [
        ("path,identity", ",", ","),
        ("path;identity", ",", ";"),
        ("path\tidentity", ",", "\t"),
        ("path,identity", "\t", ","),
        ("path;identity,x", ",", ","),
        ("path;x\tidentity", ",", ","),
        ('"path, relative";identity', ",", ";"),
        ("name", ",", ","),
        ("", "\t", "\t"),
    ],
)
def test_delimiters(header, usual, delimiter):
    assert delimiter_of(header, usual) == delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_table_is_read_as_spreadsheets_write_it(tmp_path, delimiter):
    def write(*rows):
        (tmp_path / "a.csv").write_text("\r".join(delimiter.join(row) for row in rows))
        return tmp_path / "a.csv"

    path = write(("label", "name"), ("0", "ann"), ("1", "bob"))
    assert read_class_names(path) == ["ann", "bob"]
    people = [Identity("ann", "s"), Identity("bob", "s")]
    path = write(("name", "source"), ("bob", "s"))
    assert read_identity_list(path, people).tolist() == [False, True]
    assert holds_pairs(write(("first", "second", "same"), ("a.jpg", "b.jpg", "1")))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"a", "a"),
        (b"\0\0\0\0\0", "\0\0\0\0\0"),
        (b"\xef\xbb\xbfname\r\n", "name\r\n"),
        ("\u4e2d\u6587".encode(), "\u4e2d\u6587"),
        (b"caf\xe9", "caf\udce9"),
    ],
)
def test_all_other_text(tmp_path, content, text):
    (tmp_path / "a.txt").write_bytes(content)
    with open_text(tmp_path / "a.txt") as file:
        assert file.read() == text


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"ann\nbob\n",))
    writer.start()
    with open_text(tmp_path / "pipe") as file:
        assert file.read() == "ann\nbob\n"
    writer.join()


def test_columns_of_one_name(tmp_path):
    check_columns(tmp_path, ["a", "b", "", ""], ["a", "b"])
    with pytest.raises(InputError, match="two columns are called 'a'"):
        check_columns(tmp_path, ["a", "b", "a"], ["a"])
    with pytest.raises(InputError, match="two columns are called ''"):
        check_columns(tmp_path, ["a", "", ""])
