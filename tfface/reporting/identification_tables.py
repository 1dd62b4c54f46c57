"""Tables and sentences of identification: metrics of an evaluation, results of a gallery query.

The metrics are the dict that `tfface evaluate identification --json` writes, so that reports can
also be made from stored results.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from tfface.errors import shown
from tfface.reporting.format import MISSING, Table, percent
from tfface.reporting.result_columns import SHOWN_FPIRS

_RANKS = (1, 5, 10)
_CMC_RANKS = (1, 2, 3, 5, 10, 20, 50)
_INSUFFICIENT = "* too few non-mated queries to measure this FPIR: the TPIR is at FPIR 0"
_UNKNOWN = "unknown"
_NO_FACE = "no face"


def to_text(metrics: Mapping) -> str:
    """Returns the table and the sentences."""
    return "\n".join([summary_table(metrics).to_text(), *sentences(metrics)])


def summary_table(metrics: Mapping) -> Table:
    """Returns a table with one row: sizes, ranks, and the TPIR at some FPIRs."""
    points = {point["fpir"]: point for point in metrics["tpir_at_fpir"]}
    sizes = ("num_gallery", "num_identities", "num_mated", "num_non_mated")
    return Table(
        [
            *("gallery", "images", "identities", "mated queries", "non-mated"),
            *(f"rank-{rank}" for rank in _RANKS),
            *(f"TPIR@{fpir}" for fpir in SHOWN_FPIRS.values()),
        ],
        [
            [
                metrics["gallery"],
                *(f"{metrics[size]:,}" for size in sizes),
                *(percent(metrics[f"rank{rank}"]) for rank in _RANKS),
                *(_tpir(points.get(fpir)) for fpir in SHOWN_FPIRS),
            ]
        ],
        _notes(metrics),
    )


def closed_set_table(metrics: Mapping) -> Table:
    """Returns the summary without the open set, which has a table of its own in reports."""
    table = summary_table(metrics)
    shown = table.without(*(f"TPIR@{fpir}" for fpir in SHOWN_FPIRS.values()))
    return Table(shown.header, shown.rows)


def open_set_table(metrics: Mapping) -> Table | None:
    """Returns a table with a row for each FPIR; None without non-mated queries."""
    if not metrics["tpir_at_fpir"]:
        return None
    rows = []
    for point in metrics["tpir_at_fpir"]:
        mark = "" if point["sufficient"] else "*"
        rows.append(
            [
                f"{point['fpir']:g}",
                *(percent(point[key]) + mark for key in ("tpir", "fnir", "wrong_name")),
                percent(point["measured_fpir"]),
                f"{point['threshold']:.4f}",
            ]
        )
    note = (
        "At the cosine threshold, at most FPIR of the non-mated queries are accepted. TPIR of the "
        "mated queries get the correct identity; the others get a wrong one or are rejected."
    )
    header = ["FPIR", "TPIR", "FNIR", "wrong identity", "measured FPIR", "cosine >="]
    return Table(header, rows, [note, *_notes(metrics)])


def cmc_table(metrics: Mapping) -> Table:
    """Returns the cumulative match characteristic at some ranks."""
    cmc = metrics["cmc"]
    rows = [[str(rank), percent(cmc[rank - 1])] for rank in _CMC_RANKS if rank <= len(cmc)]
    return Table(["rank", "correct identity up to this rank"], rows)


def key_metrics(metrics: Mapping) -> list[tuple[str, str]]:
    """Returns the most important (label, value)."""
    found = [
        ("rank-1", percent(metrics["rank1"])),
        ("identities in the gallery", f"{metrics['num_identities']:,}"),
        ("queries", f"{metrics['num_queries']:,}"),
    ]
    if threshold := metrics["threshold"]:
        label = f"TPIR at an FPIR of 1 in {round(1 / threshold['fpir']):,}"
        found.insert(1, (label, percent(threshold["tpir"])))
    return found


def sentences(metrics: Mapping) -> list[str]:
    """Returns the recommended threshold, and what to know about the metrics."""
    found = [_threshold_sentence(metrics)]
    index = metrics["index"]
    if index["kind"] != "flat":
        found.append(
            f"The {index['kind']} index ({index['parameters']}) finds "
            f"{percent(index['recall_at_1'])} of the nearest embeddings and "
            f"{percent(index['recall_at_10'])} of the 10 nearest."
        )
    if same := metrics["num_same_images"]:
        found.append(
            f"warning: {same:,} of the {metrics['num_queries']:,} queries are byte-identical to a "
            "gallery image, which inflates the metrics."
        )
    return found


def result_row(model: str, metrics: Mapping) -> dict[str, object]:
    """Returns a row of results/*.csv."""
    points = {point["fpir"]: point for point in metrics["tpir_at_fpir"]}
    threshold = metrics["threshold"]
    row = {
        "model": model,
        "gallery": metrics["gallery"],
        "gallery_size": metrics["num_gallery"],
        "num_identities": metrics["num_identities"],
        "num_mated_queries": metrics["num_mated"],
        "num_nonmated_queries": metrics["num_non_mated"],
        **{f"rank{rank}": metrics[f"rank{rank}"] for rank in _RANKS},
    }
    for fpir, text in SHOWN_FPIRS.items():
        point = points.get(fpir, {})
        row[f"tpir_at_fpir_{text}"] = point.get("tpir")
        row[f"tpir_at_fpir_{text}_sufficient"] = point.get("sufficient")
    return row | {
        "index": metrics["index"]["kind"],
        "threshold_cosine": _rounded_up(threshold["cosine"]) if threshold else None,
    }


def gallery_text(names: Sequence[str], model: str) -> str:
    """Returns `gallery_table` as text."""
    return gallery_table(names, model).to_text()


def gallery_table(names: Sequence[str], model: str) -> Table:
    """Returns how many images of which identities a gallery has.

    Args:
        names: the identity of each image.
        model: that embedded them.
    """
    counts = Counter(names)
    rows = [[name, f"{counts[name]:,}"] for name in sorted(counts)]
    note = f"{len(names):,} images of {len(counts):,} identities, embedded by {shown(model)}"
    return Table(["name", "images"], rows, [note])


def query_text(results: Sequence[Mapping], threshold: float | None) -> str:
    """Returns the identities found for query images, as a table.

    Args:
        results: as `tfface gallery query --json` writes them.
        threshold: minimum cosine of a match; None for none.
    """
    rows = []
    for result in results:
        # A photo without a face shows nobody, not somebody unknown.
        name = _identity(result["name"]) if result["candidates"] else _NO_FACE
        first = [result["image"], name]
        for candidate in result["candidates"]:
            rows.append([*first, candidate["name"], f"{candidate['cosine']:.3f}"])
            first = ["", ""]
        if not result["candidates"]:
            rows.append([*first, MISSING, MISSING])
    note = "Without --threshold, unknown faces are assigned the most similar identity, too."
    notes = [] if threshold is not None else [note]
    return Table(["image", "identity", "most similar", "cosine"], rows, notes).to_text()


def _threshold_sentence(metrics: Mapping) -> str:
    non_mated, threshold = metrics["num_non_mated"], metrics["threshold"]
    if not non_mated:
        return (
            "There are no non-mated queries, so open-set metrics are missing: add queries of "
            "identities that are not in the gallery, or hold some identities out of it "
            "(--open-set-fraction)."
        )
    if threshold is None:
        return (
            f"{non_mated:,} non-mated queries are too few to recommend a threshold: an FPIR of 1 "
            "in 10 needs at least 10, 1 in 100 at least 100."
        )
    cosine, one_in = _rounded_up(threshold["cosine"]), round(1 / threshold["fpir"])
    if cosine > 1:
        return f"No cosine threshold <= 1 has an FPIR of at most 1 in {one_in:,}."
    return (
        f"Accept the most similar identity if cosine >= {cosine:.3f} (squared L2 <= "
        f"{2 - 2 * cosine:.3f}): at most 1 in {one_in:,} non-mated queries is accepted, and "
        f"{percent(threshold['tpir'])} of the mated queries get the correct identity."
    )


def _notes(metrics: Mapping) -> list[str]:
    sufficient = all(point["sufficient"] for point in metrics["tpir_at_fpir"])
    return [] if sufficient else [_INSUFFICIENT]


def _tpir(point: Mapping | None) -> str:
    return MISSING if point is None else percent(point["tpir"]) + "*" * (not point["sufficient"])


def _rounded_up(cosine: float) -> float:
    # Rounding down could accept one non-mated query more than stated.
    return math.ceil(1000 * cosine) / 1000


def _identity(name: str | None) -> str:
    if name is None:
        return _UNKNOWN
    # An identity may have this name.
    return f"'{name}'" if name == _UNKNOWN else name
