"""Tables of images: columns, attributes, and lines that are refused."""

import pytest

from tests.data.small_faces import encoded, write_folder
from tfface.data.records.example import attribute_value
from tfface.data.sources import RECOGNIZED_BY
from tfface.data.sources.csv_list import CsvSource
from tfface.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Writes a table beside the folder `faces`, and returns its path."""
    write_folder(tmp_path / "faces", {"ann": 2, "bob": 1})
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    write_folder(outside, {"eve": 1})

    def write(content: str | bytes, name: str = "table.csv"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    write.outside = outside
    return write


def test_identities_by_name_images_by_line(table):
    path = table(
        "pose,path,identity,light\n"
        "left,faces/bob/0.jpg,Bob,L1\n"
        "\n"
        'right, faces/ann/1.jpg,"Ann, the first",\n'
        "left,./faces/../faces/ann/0.jpg,Bob,L2"
    )
    source = CsvSource(path)
    assert source.identities == [("Ann, the first", "table"), ("Bob", "table")]
    assert source.labels.tolist() == [1, 0, 1]
    filenames = [source.filename(index) for index in range(3)]
    assert filenames == ["faces/bob/0.jpg", "faces/ann/1.jpg", "faces/ann/0.jpg"]
    assert [source.read(i).encoded for i in range(3)] == [encoded(2), encoded(1), encoded(0)]
    assert source.attribute_names == ("pose", "light")
    assert source.attribute("pose").tolist() == ["left", "right", "left"]
    assert source.attribute("light").tolist() == ["L1", "", "L2"]
    assert attribute_value(source.read(1), "pose") == "right"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spellings(table, newline, encoding):
    text = newline.join(["path\tidentity", "faces/ann/0.jpg\tZoë, née Ann", ""])
    source = CsvSource(table(text.encode(encoding), "table.tsv"), name="mine")
    assert source.identities == [("Zoë, née Ann", "mine")]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", ","), ("t.tsv", ";")]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_tables_of_spreadsheets(table, name, delimiter, newline):
    rows = [("identity", "path"), ("Ann, née Zoë", "faces/ann/0.jpg"), ("Bob", "faces/bob/0.jpg")]
    quote = '"' if delimiter == "," else ""
    lines = [delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    source = CsvSource(table(newline.join([*lines, ""]), name))
    assert [identity.name for identity in source.identities] == ["Ann, née Zoë", "Bob"]
    assert [source.filename(i) for i in range(2)] == ["faces/ann/0.jpg", "faces/bob/0.jpg"]


def test_lines_of_old_macs_are_counted(table):
    path = table("path,identity\rfaces/ann/0.jpg,ann\rfaces/gone.jpg,bob\r")
    with pytest.raises(InputError, match=r"line 3: faces/gone\.jpg: can't be read"):
        CsvSource(path)


def test_a_header_with_both_delimiters_is_as_the_name_says(table):
    with pytest.raises(InputError, match="has no column 'path'; its columns are: path;identity, x"):
        CsvSource(table("path;identity,x\nfaces/ann/0.jpg;ann,1\n"))


def test_other_columns_and_another_folder(table, tmp_path):
    path = table("file,who,path\nbob/0.jpg,7,x\n")
    options = {"path_column": "file", "identity_column": "who"}
    source = CsvSource(path, image_root=tmp_path / "faces", **options)
    assert source.identities[0].name == "7"
    assert source.attribute("path").tolist() == ["x"]
    assert source.read(0).filename == "bob/0.jpg"


def test_absolute_paths_and_links_inside(table, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "faces")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "faces/ann/0.jpg")
    absolute = tmp_path / "faces/ann/1.jpg"
    source = CsvSource(table(f"path,identity\n{absolute},a\nlink/bob/0.jpg,b\nlink.jpg,c\n"))
    assert source.filename(0) == "faces/ann/1.jpg"
    assert source.read(1).encoded == encoded(2)
    assert source.read(2).encoded == encoded(0)


@pytest.mark.parametrize(
    "path", ["{out}/eve/0.jpg", "../{name}/eve/0.jpg", "out/eve/0.jpg", "out.jpg", "faces/../../x"]
)
def test_paths_that_leave_the_folder(table, tmp_path, path):
    (tmp_path / "out").symlink_to(table.outside)
    (tmp_path / "out.jpg").symlink_to(table.outside / "eve/0.jpg")
    path = path.format(out=table.outside, name=table.outside.name)
    with pytest.raises(InputError, match=rf"line 2: {path}: is outside of {tmp_path}$"):
        CsvSource(table(f"path,identity\n{path},eve\n"))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("faces/ann/0.jpg,", "line 2: 'identity' is empty"),
        ("faces/ann/0.jpg,   ", "line 2: 'identity' is empty"),
        (",ann", "line 2: 'path' is empty"),
        ("faces/ann/0.jpg", "line 2: has 1 fields, but there are 2 columns"),
        ("faces/ann/0.jpg,ann,", "line 2: has 3 fields, but there are 2 columns"),
        ("faces/ann/7.jpg,ann", "line 2: faces/ann/7.jpg: can't be read below .*: No such file"),
        ("faces/ann,ann", "line 2: faces/ann: is not a regular file"),
        ("faces/..,ann", "line 2: 'faces/..': is not the path of a file"),
        (
            "faces/ann/0.jpg,ann\n\nfaces/bob/0.jpg,bob\nfaces/bob/../ann/0.jpg,bob",
            "line 5: faces/bob/../ann/0.jpg: was listed in line 2 already",
        ),
        ("faces/ann/0.jpg,ann\0", "line 2: holds a zero byte"),
        ('faces/ann/0.jpg,"ann', "line 2: unexpected end of data"),
        ('faces/ann/0.jpg,"ann" x', "line 2: ',' expected after '\"'"),
        ("x" * 200_000, "line 2: field larger than field limit"),
        ("", "table.csv: lists no images"),
    ],
)
def test_lines_that_are_refused(table, lines, why):
    with pytest.raises(InputError, match=why):
        CsvSource(table(f"path,identity\n{lines}\n"))


def test_all_such_lines_are_named(table):
    with pytest.raises(InputError, match=r"line 2: .*\n.*line 4: ") as error:
        CsvSource(table("path,identity\nx,\nfaces/ann/0.jpg,a\ny\n"))
    assert str(error.value).count("\n") == 1
    with pytest.raises(InputError, match=r"line 21: .*\nand perhaps more$"):
        CsvSource(table("path,identity\n" + "x,\n" * 500))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "expected a first line with the columns' names"),
        ("file,identity\n", "has no column 'path'; its columns are: file, identity; say w"),
        ("file,identity\n", r".*; say which it is, as in \{source: csv, .*path_column: file\}$"),
        ("path,who\n", "has no column 'identity'; .*identity_column: path"),
        ("path,identity,path\n", "two columns are called 'path'"),
        (",path,identity\n", "column 1 has no name"),
        ("path,identity\n".encode("utf-16"), "is text in UTF-16, and UTF-8 is read here: save it"),
        ("path,identité\n".encode("latin-1"), "line 1: is no text in UTF-8"),
    ],
)
def test_headers_that_are_refused(table, content, why):
    with pytest.raises(InputError, match=rf"table\.csv: {why}"):
        CsvSource(table(content))


def test_options_that_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="gone: no such folder"):
        CsvSource(table("path,identity\n"), image_root=tmp_path / "gone")
    with pytest.raises(InputError, match="'path' can't be path_column and identity_column at once"):
        CsvSource(table("path,identity\n"), identity_column="path")
    with pytest.raises(InputError, match=r"gone\.csv: can't be read: No such file"):
        CsvSource(tmp_path / "gone.csv")


def test_is_recognized(table):
    path = table("path,identity\nfaces/ann/0.jpg,ann\n", "faces.TSV")
    assert next(name for name, fits in RECOGNIZED_BY.items() if fits(path)) == "csv"
