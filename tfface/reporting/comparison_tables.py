"""Tables of a comparison of recipe variants, for terminals and HTML reports.

The metrics are the dict that `compare --json` writes, so that reports can also be made from stored
results.
"""

from collections.abc import Mapping

from tfface.reporting.format import MISSING, Table, mean_and_deviation, percent

_DIFFERENCE = "vs. first"
# Suffixes of metrics that are shares.
_SHARES = ("accuracy", "eer", "top5", "recall", "f1")
_PREFIXES = {"val_": "validation ", "test_": "test ", "": "training "}


def to_text(metrics: Mapping) -> str:
    """Returns the table and the failures."""
    return "\n".join([variant_table(metrics).to_text(), *failures(metrics)])


def variant_table(metrics: Mapping) -> Table:
    """Returns a table with a row for each variant."""
    header = ["variant", metric_name(metrics["metric"]), "sd", "min", "max"]
    header += ["runs", "epochs", "s per run"]
    header += [_DIFFERENCE] * (len(metrics["variants"]) > 1)
    rows = [_row(variant, metrics) for variant in metrics["variants"]]
    return Table(header, rows, _notes(metrics))


def run_table(metrics: Mapping) -> Table:
    """Returns a table with a row for each run."""
    header = ["variant", "seed", metric_name(metrics["metric"]), "epochs", "s", "folder"]
    rows = [
        [
            variant["name"],
            str(run["seed"]),
            "failed" if run["figure"] is None else format_metric(run["figure"], metrics["metric"]),
            MISSING if run["num_epochs"] is None else f"{run['num_epochs']:,}",
            MISSING if run["seconds"] is None else f"{run['seconds']:,.0f}",
            run["folder"],
        ]
        for variant in metrics["variants"]
        for run in variant["runs"]
    ]
    return Table(header, rows)


def failures(metrics: Mapping) -> list[str]:
    """Returns a line for each failed run: the reason and the log file."""
    return [
        f"{variant['name']}, seed {run['seed']} failed: {run['failure']} (log: {run['log']})"
        for variant in metrics["variants"]
        for run in variant["runs"]
        if run["failure"]
    ]


def result_rows(label: str, metrics: Mapping) -> list[dict[str, object]]:
    """Returns rows of results/*.csv: one for each variant."""
    rows = []
    for variant in metrics["variants"]:
        found, difference = variant["figure"] or {}, variant["difference"] or {}
        runs = [run for run in variant["runs"] if not run["failure"]]
        # Minimum and maximum of a single run are redundant.
        has_std = found.get("std") is not None
        rows.append(
            {
                "comparison": label,
                "variant": variant["name"],
                "metric": metrics["metric"],
                "metric_mean": found.get("mean"),
                "metric_std": found.get("std"),
                "metric_min": found["lowest"] if has_std else None,
                "metric_max": found["highest"] if has_std else None,
                "num_runs": len(runs),
                "num_failed_runs": len(variant["runs"]) - len(runs),
                "num_epochs": _mean([run["num_epochs"] for run in runs]),
                "run_s": _mean([run["seconds"] for run in runs]),
                "difference_mean": difference.get("mean"),
                "difference_std_error": difference.get("standard_error"),
            }
        )
    return rows


def metric_name(metric: str) -> str:
    """Returns a readable name.

    Example:
        >>> metric_name("val_accuracy"), metric_name("lfw.eer")
        ('validation accuracy', 'lfw eer')
    """
    if "." in metric:
        return " ".join(metric.rsplit(".", 1))
    prefix = next(prefix for prefix in _PREFIXES if metric.startswith(prefix))
    return _PREFIXES[prefix] + metric.removeprefix(prefix).replace("_", " ")


def format_metric(value: float | None, metric: str, sign: str = "") -> str:
    """Returns a value as text, in percent if the metric is a share.

    Args:
        value: None for a missing value.
        sign: "+" to show the sign of positive numbers, too.
    """
    if value is None:
        return MISSING
    return percent(value, sign) if is_share(metric) else f"{value:{sign}.4f}"


def is_share(metric: str) -> bool:
    return metric.endswith(_SHARES)


def _notes(metrics: Mapping) -> list[str]:
    num_seeds, metric = len(metrics["seeds"]), metric_name(metrics["metric"])
    if num_seeds == 1:
        return [f"{metric} of one run per variant: use --seeds 3 to measure the variation by seed"]
    notes = [f"{metric}: mean over {num_seeds} seeds; sd: standard deviation over the seeds"]
    if len(metrics["variants"]) > 1:
        first = metrics["variants"][0]["name"]
        notes.append(
            f"{_DIFFERENCE}: difference to '{first}', paired by seed; mean +- standard error"
        )
    return notes


def _row(variant: Mapping, metrics: Mapping) -> list[str]:
    metric, found = metrics["metric"], variant["figure"]
    runs = [run for run in variant["runs"] if not run["failure"]]
    has_std = found and found["std"] is not None
    keys = ("std", "lowest", "highest")
    cells = [
        variant["name"],
        format_metric(found and found["mean"], metric),
        *(format_metric(found[key] if has_std else None, metric) for key in keys),
        f"{len(runs)} of {len(variant['runs'])}"
        if len(runs) < len(variant["runs"])
        else str(len(runs)),
        _mean_text([run["num_epochs"] for run in runs]),
        _mean_text([run["seconds"] for run in runs]),
    ]
    return cells + [_difference(variant, metric)] * (len(metrics["variants"]) > 1)


def _difference(variant: Mapping, metric: str) -> str:
    difference = variant["difference"]
    if difference is None:
        return MISSING
    mean = format_metric(difference["mean"], metric, "+")
    if difference["standard_error"] is None:
        return mean
    return mean_and_deviation(mean, format_metric(difference["standard_error"], metric))


def _mean(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _mean_text(numbers: list[float]) -> str:
    mean = _mean(numbers)
    if mean is None:
        return MISSING
    return f"{mean:,.0f}" if mean >= 10 or mean == round(mean) else f"{mean:.1f}"
