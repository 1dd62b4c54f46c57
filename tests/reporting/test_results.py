"""Rows of results/*.csv, and the tables generated from them."""

import collections
import math
import re
from pathlib import Path

import numpy as np
import pytest
import scaling

from tests.faults import kills
from tests.reporting import sample_metrics
from tfface.errors import InputError
from tfface.reporting.classification_tables import result_rows
from tfface.reporting.provenance import PROVENANCE
from tfface.reporting.result_columns import BOOLEAN, COLUMNS, RATIO, SHORT, TEXT
from tfface.reporting.results import (
    append_rows,
    check_appendable,
    check_cells,
    fill_tables,
    format_cell,
    markdown_table,
    read_rows,
    text_table,
    to_cells,
)
from tfface.reporting.verification_tables import result_row

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "results").glob("*.csv"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_rows_are_appended_in_order_with_provenance(tmp_path):
    path = tmp_path / "results" / "speed.csv"
    first = {"model": "a, b", "num_pairs": 6000}
    append_rows(path, [first, {"model": "c", "num_pairs": None}], {"commit": "1234567"})
    append_rows(path, [first], {"commit": None})
    assert path.read_text(encoding="utf-8").splitlines() == [
        "model,num_pairs,commit",
        '"a, b",6000,1234567',
        "c,,1234567",
        '"a, b",6000,',
    ]


def test_no_label_is_a_formula_to_a_spreadsheet(tmp_path):
    path = tmp_path / "a.csv"
    for _ in range(2):
        append_rows(path, [{"model": "=1+1", "eer": 0.1}], {})
    assert path.read_text() == "model,eer\n'=1+1,0.1\n'=1+1,0.1\n"
    assert read_rows(path)[1] == {"model": "=1+1", "eer": "0.1"}


def test_rows_with_other_columns_are_refused(tmp_path):
    path = tmp_path / "speed.csv"
    append_rows(path, [{"model": "a"}], {})
    before = path.read_text()
    with pytest.raises(InputError, match=r"has the columns \['model'\], but the new row has"):
        append_rows(path, [{"eer": 0.1}], {})
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"speed": 1}, "unknown column 'speed', not in tfface/reporting/result_columns.py"),
        ({"num_pairs": "6,000"}, "num_pairs must be an integer, got '6,000'"),
        ({"num_pairs": 1.5}, "num_pairs must be an integer, got '1.5'"),
        ({"eer": "9.47%"}, "eer must be a decimal number, got '9.47%'"),
        ({"eer": math.nan}, "eer must be a decimal number, got 'NaN'"),
        ({"xla": "yes"}, "xla must be true or false, got 'yes'"),
    ],
)
def test_values_of_a_wrong_type_are_refused(row, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        append_rows(tmp_path / "x.csv", [row], {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("column", "value", "cell"),
    [
        ("eer", 0.1 + 0.2, "0.3"),
        ("eer", np.float32(0.0947), "0.0947"),
        ("eer", 1e-7, "0.0000001"),
        ("eer", -0.0, "0"),
        ("eer", None, ""),
        ("step_ms", 1234567.8, "1234570"),
        ("num_pairs", 15_658_489, "15658489"),
        ("num_pairs", np.int64(3), "3"),
        ("xla", True, "true"),
        ("xla", False, "false"),
        ("model", "1,000", "1,000"),
    ],
)
def test_cells(column, value, cell):
    assert to_cells({column: value}) == {column: cell}


@pytest.mark.parametrize(
    ("column", "cell", "text"),
    [
        ("model", "1000", "1000"),
        ("num_pairs", "15658489", "15,658,489"),
        ("xla", "true", "yes"),
        ("xla", "false", "no"),
        ("eer", "0.0947", "9.47%"),
        ("eer", "1", "100.00%"),
        ("eer", "", "-"),
        ("data_wait_fraction", "0.125", "12%"),
        ("step_ms", "3167.6", "3,168"),
        ("images_per_s", "136259.4", "136,259"),
        ("images_per_s", "100.4", "100"),
        ("images_per_s", "10.12", "10.1"),
        ("images_per_s", "0.25", "0.25"),
        ("relative_time", "1", "1.00"),
        ("relative_time", "44.31", "44.3"),
        ("relative_time", "-0.005", "-0.01"),
        ("stage_cost_us", "7.3", "+7.3"),
        ("num_epochs", "30", "30"),
        ("num_epochs", "29.5", "29.5"),
    ],
)
def test_format_of_cells(column, cell, text):
    assert format_cell({column: cell}, column) == text


def test_cells_that_combine_columns():
    row = {"accuracy_mean": "0.9083", "accuracy_std": "0.019"}
    assert format_cell(row, "accuracy_mean") == "90.83 +- 1.90%"
    assert format_cell(row | {"accuracy_std": ""}, "accuracy_mean") == "90.83%"
    row = {"metric_mean": "0.5", "metric_std": "0.25"}
    assert format_cell(row, "metric_mean") == "0.5000 +- 0.2500"
    row = {"tar_at_far_1e-4": "0.1533", "tar_at_far_1e-4_sufficient": "false"}
    assert format_cell(row, "tar_at_far_1e-4") == "15.33%*"
    assert format_cell(row | {"tar_at_far_1e-4_sufficient": "true"}, "tar_at_far_1e-4") == "15.33%"
    assert format_cell(dict.fromkeys(row, ""), "tar_at_far_1e-4") == "-"


def test_a_table_for_a_terminal():
    rows = [{"model": "pixels", "xla": None, "eer": 0.3827, "backend": "jax"}] * 2
    assert text_table(rows, without=("backend",)).splitlines() == [
        "Model   XLA     EER",
        *["pixels    -  38.27%"] * 2,
    ]


def test_only_marked_tables_are_replaced(tmp_path):
    row = {"model": "a", "accuracy_mean": 0.9, "accuracy_std": 0.01, "command": "c"}
    append_rows(tmp_path / "x.csv", [row], {})
    text = "before\n<!-- table x.csv: model, accuracy_mean -->\nold\n<!-- end of table -->\nafter\n"
    filled = fill_tables(text, tmp_path)
    assert filled == (
        "before\n<!-- table x.csv: model, accuracy_mean -->\n"
        "| Model | Accuracy |\n| --- | --- |\n| a | 90.00 +- 1.00% |\n"
        "<!-- end of table -->\nafter\n"
    )
    assert fill_tables(filled, tmp_path) == filled


def test_unknown_column():
    with pytest.raises(InputError, match=r"no column \['eer'\] among \['model'\]"):
        markdown_table([{"model": "1"}], ["eer"])


def test_other_files_are_refused_before_the_measurement(tmp_path):
    path = tmp_path / "a.csv"
    check_appendable(path)
    path.write_text("model,images/s\na,1\n")
    with pytest.raises(
        InputError, match=r"a\.csv: not a file of results: unknown column 'images/s'"
    ):
        check_appendable(path)
    append_rows(tmp_path / "b.csv", [{"model": "a"}], {})
    check_appendable(tmp_path / "b.csv")
    with pytest.raises(InputError, match="is a folder; give a file"):
        check_appendable(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Notes of a measurement\n", "unknown column 'Notes of a measurement'"),
        ("name,age\n", "unknown column 'name'"),
        ("\n\n", "it has no header"),
        ("model,eer\na\n", "a row has not as many cells as the header"),
        ("model,eer\na,0.1,0.2\n", "a row has not as many cells as the header"),
        (b"\xff\xfe\x00", "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_results_is_neither_replaced_nor_added_to(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    for add in (check_appendable, lambda path: append_rows(path, [{"model": "a"}], {})):
        with pytest.raises(InputError, match=message):
            add(path)
    assert path.read_bytes() == before


def test_an_empty_file_and_a_header_of_results_get_rows(tmp_path):
    path = tmp_path / "a.csv"
    for content in ("", "model\n"):
        path.write_text(content)
        check_appendable(path)
        append_rows(path, [{"model": "a"}], {})
        assert path.read_text() == "model\na\n"
    path.write_text("model\n")
    with pytest.raises(InputError, match=r"has the columns \['model'\]"):
        append_rows(path, [{"eer": 0.1}], {})


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_results_are_data_with_provenance(file):
    rows = read_rows(file)
    assert rows
    for row in rows:
        check_cells(row)
        assert tuple(row)[-len(PROVENANCE) :] == PROVENANCE
        assert row["commit"]
        assert row["date"]
        # No absolute path, which only one machine has.
        assert not re.search(r"(^|[\s='])/", row["command"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_in_docs_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert fill_tables(text, ROOT) == text


def test_there_are_tables():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(text.count("<!-- table results/") for text in texts) > 15


def test_all_columns_are_used():
    # Rows of which none are kept in results/.
    classified = result_rows("m", "d", sample_metrics.classification(num_groups=2))
    used = {*scaling.rows(scaling.compute_steps([1000]))[0], *classified[0]}
    used |= {*result_row("m", "s", sample_metrics.verification())}
    for file in RESULTS:
        used |= {*read_rows(file)[0]}
    assert used == {*COLUMNS}


def test_columns_are_described():
    units = {"s", "ms", "us", "mb", "mib"}
    for name, column in COLUMNS.items():
        assert column.description
        assert column.heading
        assert "|" not in column.heading
        ending = name.rpartition("_")[2]
        if ending in units:
            assert ending == column.unit.lower().rpartition("/")[2]
        assert column.unit.lower() in column.heading.lower()
        if column.format not in (TEXT, BOOLEAN, SHORT, RATIO):
            assert format(1 if column.format.endswith("d") else 1.0, column.format)
        if name.endswith("_sufficient"):
            assert COLUMNS[name.removesuffix("_sufficient")].format == ".2%"
        if name.endswith("_mean") and f"{name.removesuffix('mean')}std" in COLUMNS:
            assert COLUMNS[f"{name.removesuffix('mean')}std"].format == column.format


def test_rows_of_kills():
    outcome = kills.Outcome("softmax", collections.Counter({"write": 4}), 2, ["x: model 1"])
    [row] = kills.rows([outcome])
    cells = to_cells(row)
    assert (cells["workload"], cells["kills_in_write"], cells["kills_any_time"]) == (
        *("softmax", "4", "0"),
    )
    assert (cells["num_kills"], cells["num_compared"], cells["num_different"]) == ("4", "2", "1")
    # A moment without a column would be lost.
    assert sum(int(cells[column]) for column in kills._COLUMNS.values()) == 4
    assert kills._COLUMNS.keys() == kills.MOMENTS.keys()
