"""Every reader of text names the encoding of a file that is not UTF-8."""

import os
import threading

import pytest

from tfface.data.int_table import read_number_lines
from tfface.data.pairs import load_pair_set
from tfface.data.records.identity_list import read_identity_list
from tfface.data.sources.csv_list import CsvSource
from tfface.errors import InputError
from tfface.evaluation.classifier import read_class_names
from tfface.recipe.yaml_file import read_yaml
from tfface.text_file import check_columns, open_text

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
