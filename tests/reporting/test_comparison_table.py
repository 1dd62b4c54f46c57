"""A comparison in words."""

import pytest

from tests.reporting.made_comparison import figures
from tests.reporting.page_parser import read_page
from tfface.reporting import comparison_table as tables
from tfface.reporting.comparison_report import write_comparison_report
from tfface.reporting.page import Picture
from tfface.reporting.plots.comparison import draw_comparison


def test_with_several_seeds():
    lines = tables.as_text(figures()).splitlines()
    columns = ["variant", "test", "accuracy", "sd", "min", "max", "runs", "epochs", "s", "per"]
    assert lines[0].split()[:10] == columns
    assert lines[0].endswith("minus the first")
    assert len(lines) == 6
    assert lines[1].endswith("  -")
    assert "+- " in lines[2].rsplit("  ", 1)[1]
    assert "mean over 3 seeds" in lines[4]
    assert "the difference to 'sgd', taken seed by seed" in lines[5]


def test_one_seed_has_no_spread():
    made = figures(num_seeds=1)
    rows = tables.table_rows(made)
    assert [row[2:5] for row in rows] == [["-"] * 3] * 3
    assert rows[1][-1].startswith("+")
    assert "+-" not in rows[1][-1]
    assert tables.notes(made) == [
        "test accuracy of one run each, so what chance does is not known: give --seeds 3"
    ]


def test_one_variant_has_no_difference():
    made = figures(("alone",))
    assert "minus the first" not in tables.as_text(made)
    assert len(tables.notes(made)) == 1


def test_failures():
    made = figures(failed=["adam"])
    row = tables.table_rows(made)[1]
    assert row == ["adam", "-", "-", "-", "-", "0 of 3", "-", "-", "-"]
    assert tables.failures(made)[0] == (
        "adam, seed 0 failed: the loss became nan <here> (log: comparisons/made/logs/1--seed-0.txt)"
    )
    # Nothing to compare with.
    made = figures(failed=["sgd"])
    assert tables.table_rows(made)[1][-1] == "-"
    assert tables.as_text(figures(failed=["sgd", "adam", "adamw"]))


@pytest.mark.parametrize(
    ("metric", "words", "value"),
    [
        ("test_accuracy", "test accuracy", "50.00%"),
        ("test_macro_f1", "test macro f1", "50.00%"),
        ("test_log_loss", "test log loss", "0.5000"),
        ("val_verification_auc", "validation verification auc", "0.5000"),
        ("my.set.eer", "my.set eer", "50.00%"),
        ("loss", "training loss", "0.5000"),
    ],
)
def test_words(metric, words, value):
    assert tables.metric_words(metric) == words
    assert tables.shown(0.5, metric) == value


def test_rows_of_results():
    made = figures(failed=["adamw"])
    rows = tables.result_rows("mine", made)
    assert [row["variant"] for row in rows] == ["sgd", "adam", "adamw"]
    assert [row["num_runs"] for row in rows] == [3, 3, 0]
    assert [row["num_failed_runs"] for row in rows] == [0, 0, 3]
    assert rows[0]["metric"] == "test_accuracy"
    found = made["variants"][1]["figure"]
    assert (rows[1]["metric_mean"], rows[1]["metric_std"]) == (found["mean"], found["std"])
    assert rows[1]["metric_min"] < rows[1]["metric_mean"] < rows[1]["metric_max"]
    assert rows[0]["difference_mean"] is None
    assert rows[1]["difference_std_error"] > 0
    assert rows[1]["run_s"] == 13.5
    assert rows[2]["metric_mean"] is rows[2]["num_epochs"] is None
    [alone] = tables.result_rows("mine", figures(("a",), 1))
    assert alone["metric_std"] is alone["metric_min"] is None
    assert all(list(row) == list(alone) for row in rows)


def test_page(tmp_path):
    made = figures(failed=["adam"])
    draw_comparison(tmp_path / "picture.png", made)
    write_comparison_report(
        tmp_path / "report.html",
        made,
        pictures=[Picture(tmp_path / "picture.png", "Runs <r>.")],
        recipe="model: <m>",
        environment={"keras": "3.15"},
    )
    text = read_page(tmp_path / "report.html")
    for words in (
        "made: comparison",
        "Variants by test accuracy",
        "Varied: training.stages.0.optimizer.name.",
        "Some runs failed",
        "the loss became nan <here>",
        "\u00b1",
        "Runs <r>.",
        "comparisons/made/runs/2--seed-1",
        "model: <m>",
    ):
        assert words in text
