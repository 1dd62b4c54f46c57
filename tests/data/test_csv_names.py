"""One spelling for each person, and no name that a spreadsheet computes."""

import csv

import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tfface.data.records import manifest
from tfface.data.records.identity_list import read_identity_list, write_exclusion_list
from tfface.data.records.manifest import Identity
from tfface.data.sources.csv_list import CsvSource
from tfface.data.sources.folder import FolderSource
from tfface.errors import InputError
from tfface.evaluation.labeled_faces import faces_of_person, labeled_faces, true_labels
from tfface.names import cell_text, clean_name, safe_row

COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"
FORMULAS = ["=1+1", "+cmd", "-x", "@SUM(A1)", "'=1", "''@x", "=", "-"]
TEXTS = ["ann", "", "'ann", "-1", "+2.5", "-3e-05", "1=1", "a-b"]


def test_a_name():
    assert clean_name(f" {DECOMPOSED}\t") == COMPOSED
    for name in ("", "  ", "\u00a0"):
        with pytest.raises(InputError, match="is no name: it is empty"):
            clean_name(name)
    for name in ("a\nb", "a\x1b[2Jb", "a\x00b", "a\u2028b"):
        with pytest.raises(InputError, match="is no name: it holds control characters"):
            clean_name(name)


@pytest.mark.parametrize("text", FORMULAS + TEXTS)
def test_csv_holds_no_formulas(text):
    [written] = safe_row([text])
    assert cell_text(written) == text
    assert (written != text) == (text in FORMULAS)
    assert safe_row([-1.5, 3, None]) == [-1.5, 3, None]


def test_names_of_a_dataset_are_no_formulas(tmp_path):
    identities = [Identity("=HYPERLINK(1)", "@s"), Identity("ann", "s")]
    path = tmp_path / "excluded.csv"
    write_exclusion_list(path, {identities[0]: "-"})
    assert "'=HYPERLINK(1),'@s,'-" in path.read_text()
    np.testing.assert_array_equal(read_identity_list(path, identities), [True, False])


def test_lists_of_identities_know_every_spelling(tmp_path):
    identities = [Identity(COMPOSED, "s"), Identity("ann", "s")]
    for file, text in (("a.txt", f"{DECOMPOSED} 3\n"), ("a.csv", f"name\n{DECOMPOSED}\n")):
        (tmp_path / file).write_text(text)
        np.testing.assert_array_equal(
            read_identity_list(tmp_path / file, identities), [True, False]
        )


def test_a_csv_list(tmp_path, capsys):
    write_folder(tmp_path, {DECOMPOSED: 2, "ann": 3})
    (tmp_path / "faces.csv").write_text(
        f"path,identity\n{COMPOSED}/0.jpg,{COMPOSED}\n{DECOMPOSED}/1.jpg,{DECOMPOSED} \n"
        "ann/0.jpg,ann\nann/1.jpg,ann \nann/2.jpg,Ann\n"
    )
    source = CsvSource(tmp_path / "faces.csv")
    assert [identity.name for identity in source.identities] == ["Ann", COMPOSED, "ann"]
    assert source.labels.tolist() == [1, 1, 2, 2, 0]
    assert source.read(0).encoded == encoded(0)
    assert "case alone count as several people: Ann and ann" in capsys.readouterr().err
    (tmp_path / "faces.csv").write_text('path,identity\nann/0.jpg,"a\nb"\n')
    with pytest.raises(InputError, match=r"line 3: 'a.b' is no name: it holds control"):
        CsvSource(tmp_path / "faces.csv")


def test_a_csv_of_very_many_columns(tmp_path):
    header = ",".join(["path", "identity", *map(str, range(10**6))])
    (tmp_path / "faces.csv").write_text(f"{header}\n")
    with pytest.raises(InputError, match="has 1,000,002 columns; 1,000 can be read"):
        CsvSource(tmp_path / "faces.csv")


def test_whose_a_query_is(tmp_path):
    faces = faces_of_person(f" {DECOMPOSED}", [encoded(0)], ["a"])
    assert faces.names == [COMPOSED]
    write_folder(tmp_path, {DECOMPOSED: 1, "bob": 1})
    queries = labeled_faces(FolderSource(tmp_path))
    assert true_labels(faces, queries, -1).tolist() == [0, -1]
    with pytest.raises(InputError, match="is no name: it is empty"):
        faces_of_person(" ", [encoded(0)], ["a"])


def test_a_converted_dataset_keeps_such_names(tmp_path):
    identities = [Identity("=1", "s"), Identity("'=1", "s")]
    dataset = manifest.DatasetFolder(identities, [1, 1], None, [], 0, [])
    manifest.write(tmp_path, dataset)
    with (tmp_path / "identities.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["'=1", "''=1"]
    found, _ = manifest._read_identities(tmp_path / "identities.csv")
    assert found == identities
