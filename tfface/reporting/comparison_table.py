"""Comparisons in words: the table and the notes of a terminal and of a report.

The figures are the dict that `compare --json` writes, so that a page can be made from results that
were stored.
"""

from collections.abc import Mapping

from tfface.reporting.format import MISSING, align, percent

DIFFERENCE = "minus the first"
# Ends of the names of figures that are shares.
_SHARES = ("accuracy", "eer", "top5", "recall", "f1")
_PREFIXES = {"val_": "validation ", "test_": "test ", "": "training "}


def header(figures: Mapping) -> list[str]:
    """Returns the names of the columns that `table_rows` fills."""
    columns = ["variant", metric_words(figures["metric"]), "sd", "min", "max"]
    columns += ["runs", "epochs", "s per run"]
    return columns + [DIFFERENCE] * (len(figures["variants"]) > 1)


def table_rows(figures: Mapping) -> list[list[str]]:
    """Returns one row of text for each variant, under `header`."""
    return [_row(variant, figures) for variant in figures["variants"]]


def run_rows(figures: Mapping) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of a table of all runs."""
    columns = ["variant", "seed", metric_words(figures["metric"]), "epochs", "s", "folder"]
    rows = [
        [
            variant["name"],
            str(run["seed"]),
            shown(run["figure"], figures["metric"]) if run["figure"] is not None else "failed",
            MISSING if run["num_epochs"] is None else f"{run['num_epochs']:,}",
            MISSING if run["seconds"] is None else f"{run['seconds']:,.0f}",
            run["folder"],
        ]
        for variant in figures["variants"]
        for run in variant["runs"]
    ]
    return columns, rows


def as_text(figures: Mapping) -> str:
    """Returns the table, its notes, and what failed."""
    return "\n".join(
        [align(header(figures), table_rows(figures)), *notes(figures), *failures(figures)]
    )


def notes(figures: Mapping) -> list[str]:
    """Returns how the table is to be read."""
    num_seeds = len(figures["seeds"])
    metric = metric_words(figures["metric"])
    if num_seeds == 1:
        return [f"{metric} of one run each, so what chance does is not known: give --seeds 3"]
    found = [f"{metric}: mean over {num_seeds} seeds; sd: standard deviation over them"]
    if len(figures["variants"]) > 1:
        first = figures["variants"][0]["name"]
        found.append(
            f"{DIFFERENCE}: the difference to '{first}', taken seed by seed; mean +- standard error"
        )
    return found


def failures(figures: Mapping) -> list[str]:
    """Returns a line for each run that failed: why, and where to read more."""
    return [
        f"{variant['name']}, seed {run['seed']} failed: {run['failure']} (log: {run['log']})"
        for variant in figures["variants"]
        for run in variant["runs"]
        if run["failure"]
    ]


def result_rows(label: str, figures: Mapping) -> list[dict[str, object]]:
    """Returns the rows of results: one for each variant."""
    rows = []
    for variant in figures["variants"]:
        found, difference = variant["figure"] or {}, variant["difference"] or {}
        runs = [run for run in variant["runs"] if not run["failure"]]
        # Of one run, lowest and highest say nothing.
        has_spread = found.get("std") is not None
        rows.append(
            {
                "comparison": label,
                "variant": variant["name"],
                "metric": figures["metric"],
                "metric_mean": found.get("mean"),
                "metric_std": found.get("std"),
                "metric_min": found["lowest"] if has_spread else None,
                "metric_max": found["highest"] if has_spread else None,
                "num_runs": len(runs),
                "num_failed_runs": len(variant["runs"]) - len(runs),
                "num_epochs": _mean([run["num_epochs"] for run in runs]),
                "run_s": _mean([run["seconds"] for run in runs]),
                "difference_mean": difference.get("mean"),
                "difference_std_error": difference.get("standard_error"),
            }
        )
    return rows


def metric_words(metric: str) -> str:
    """Returns a figure's name in words: `val_accuracy` is "validation accuracy"."""
    if "." in metric:
        return " ".join(metric.rsplit(".", 1))
    prefix = next(prefix for prefix in _PREFIXES if metric.startswith(prefix))
    return _PREFIXES[prefix] + metric.removeprefix(prefix).replace("_", " ")


def is_share(metric: str) -> bool:
    """Whether a figure is a share, which is shown in per cent."""
    return metric.endswith(_SHARES)


def shown(value: float | None, metric: str, sign: str = "") -> str:
    """Returns a figure as text, "-" where there is none.

    Args:
        sign: "+" to show that of a number above 0 as well.
    """
    if value is None:
        return MISSING
    return percent(value, sign) if is_share(metric) else f"{value:{sign}.4f}"


def _row(variant: Mapping, figures: Mapping) -> list[str]:
    metric, found = figures["metric"], variant["figure"]
    runs = [run for run in variant["runs"] if not run["failure"]]
    spread = found and found["std"] is not None
    cells = [
        variant["name"],
        shown(found and found["mean"], metric),
        *(shown(found[key] if spread else None, metric) for key in ("std", "lowest", "highest")),
        f"{len(runs)} of {len(variant['runs'])}"
        if len(runs) < len(variant["runs"])
        else str(len(runs)),
        _mean_text([run["num_epochs"] for run in runs]),
        _mean_text([run["seconds"] for run in runs]),
    ]
    return cells + [_difference(variant, metric)] * (len(figures["variants"]) > 1)


def _difference(variant: Mapping, metric: str) -> str:
    difference = variant["difference"]
    if difference is None:
        return MISSING
    mean = shown(difference["mean"], metric, "+")
    if difference["standard_error"] is None:
        return mean
    return f"{mean.removesuffix('%')} +- {shown(difference['standard_error'], metric)}"


def _mean(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _mean_text(numbers: list[float]) -> str:
    mean = _mean(numbers)
    if mean is None:
        return MISSING
    return f"{mean:,.0f}" if mean >= 10 or mean == round(mean) else f"{mean:.1f}"
