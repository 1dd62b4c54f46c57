"""Tables and plot of a comparison."""

import pytest

from tests.reporting.plot_files import is_plot
from tests.reporting.sample_metrics import comparison
from tfface.reporting import comparison_tables as tables
from tfface.reporting.comparison_plots import _short_names, plot_comparison

LONG = [f"optimizer=sgd learning_rate=0.{i}, backbone=mobilenet_v2 alpha=$1" for i in range(7)]


def test_several_seeds():
    lines = tables.to_text(comparison()).splitlines()
    columns = ["variant", "test", "accuracy", "sd", "min", "max", "runs", "epochs", "s", "per"]
    assert lines[0].split()[:10] == columns
    assert lines[0].endswith("vs. first")
    assert len(lines) == 6
    assert lines[1].endswith("  -")
    assert "+- " in lines[2].rsplit("  ", 1)[1]
    assert lines[4] == ("test accuracy: mean over 3 seeds; sd: standard deviation over the seeds")
    assert lines[5] == ("vs. first: difference to 'sgd', paired by seed; mean +- standard error")


def test_one_seed_has_no_deviation():
    table = tables.variant_table(comparison(num_seeds=1))
    assert [row[2:5] for row in table.rows] == [["-"] * 3] * 3
    assert table.rows[1][-1].startswith("+")
    assert "+-" not in table.rows[1][-1]
    assert table.notes == [
        "test accuracy of one run per variant: use --seeds 3 to measure the variation by seed"
    ]


def test_one_variant_has_no_difference():
    table = tables.variant_table(comparison(("alone",)))
    assert "vs. first" not in table.header
    assert len(table.notes) == 1


def test_failures():
    metrics = comparison(failed=["adam"])
    row = tables.variant_table(metrics).rows[1]
    assert row == ["adam", "-", "-", "-", "-", "0 of 3", "-", "-", "-"]
    assert tables.failures(metrics)[0] == (
        "adam, seed 0 failed: the loss became nan <here> (log: comparisons/made/logs/1--seed-0.txt)"
    )
    assert tables.run_table(metrics).rows[3][1:4] == ["0", "failed", "-"]
    # Without a reference.
    assert tables.variant_table(comparison(failed=["sgd"])).rows[1][-1] == "-"
    assert len(tables.failures(comparison(failed=["sgd", "adam", "adamw"]))) == 9


@pytest.mark.parametrize(
    ("metric", "name", "value"),
    [
        ("test_accuracy", "test accuracy", "50.00%"),
        ("test_macro_f1", "test macro f1", "50.00%"),
        ("test_log_loss", "test log loss", "0.5000"),
        ("val_verification_auc", "validation verification auc", "0.5000"),
        ("my.set.eer", "my.set eer", "50.00%"),
        ("loss", "training loss", "0.5000"),
    ],
)
def test_names_and_formats(metric, name, value):
    assert tables.metric_name(metric) == name
    assert tables.format_metric(0.5, metric) == value


def test_result_rows():
    metrics = comparison(failed=["adamw"])
    rows = tables.result_rows("mine", metrics)
    assert [row["variant"] for row in rows] == ["sgd", "adam", "adamw"]
    assert [row["num_runs"] for row in rows] == [3, 3, 0]
    assert [row["num_failed_runs"] for row in rows] == [0, 0, 3]
    assert rows[0]["metric"] == "test_accuracy"
    found = metrics["variants"][1]["figure"]
    assert (rows[1]["metric_mean"], rows[1]["metric_std"]) == (found["mean"], found["std"])
    assert rows[1]["metric_min"] < rows[1]["metric_mean"] < rows[1]["metric_max"]
    assert rows[0]["difference_mean"] is None
    assert rows[1]["difference_std_error"] > 0
    assert rows[1]["run_s"] == 13.5
    assert rows[2]["metric_mean"] is rows[2]["num_epochs"] is None
    [alone] = tables.result_rows("mine", comparison(("a",), 1))
    assert alone["metric_std"] is alone["metric_min"] is None
    assert all(list(row) == list(alone) for row in rows)


@pytest.mark.parametrize(
    "metrics",
    [
        comparison(("one",), 1, 1),
        comparison(("one",), 3),
        comparison(("a", "b"), 2, failed=["a"]),
        comparison(("a", "b"), 2, failed=["a", "b"]),
        comparison(LONG, 3, 20, metric="val_loss"),
    ],
    ids=["one run", "seeds", "a failure", "only failures", "many"],
)
def test_plot(tmp_path, metrics):
    plot_comparison(tmp_path / "comparison.png", metrics)
    assert is_plot(tmp_path / "comparison.png")


def test_shortened_names_differ():
    short = _short_names(LONG)
    assert len(set(short)) == 7
    assert max(map(len, short)) <= 40
    assert _short_names(["sgd", "adam"]) == ["sgd", "adam"]
