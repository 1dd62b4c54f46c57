"""Identification figures in words: the table and the sentences of a terminal and of a report.

The figures are the dict that `eval_identification --json` writes, so that a page can be made from
results that were stored.
"""

import math
from collections.abc import Mapping

from tfface.reporting.format import MISSING, align, percent

_RANKS = (1, 5, 10)
_FPIRS = {1e-1: "1e-1", 1e-2: "1e-2", 1e-3: "1e-3"}

HEADER = [
    *("gallery", "images", "identities", "known queries", "strangers"),
    *(f"rank-{rank}" for rank in _RANKS),
    *(f"TPIR@{fpir}" for fpir in _FPIRS.values()),
]
FOOTNOTE = "* too few strangers for this FPIR: the TPIR is that of no stranger named at all"


def table_row(figures: Mapping) -> list[str]:
    """Returns a row of text under `HEADER`."""
    points = {point["fpir"]: point for point in figures["tpir_at_fpir"]}
    return [
        figures["gallery"],
        *(
            f"{figures[key]:,}"
            for key in ("num_gallery", "num_identities", "num_mated", "num_non_mated")
        ),
        *(percent(figures[f"rank{rank}"]) for rank in _RANKS),
        *(_tpir(points.get(fpir)) for fpir in _FPIRS),
    ]


def as_text(figures: Mapping) -> str:
    """Returns the table, its footnote where one is due, and what a user needs to know."""
    lines = [align(HEADER, [table_row(figures)])]
    if needs_footnote(figures):
        lines.append(FOOTNOTE)
    return "\n".join([*lines, *sentences(figures)])


def needs_footnote(figures: Mapping) -> bool:
    """Whether a TPIR is marked as resting on too few queries of strangers."""
    return any(not point["sufficient"] for point in figures["tpir_at_fpir"])


def sentences(figures: Mapping) -> list[str]:
    """Returns from which similarity on to name a face, and what has to be known of the figures."""
    said = [_advice(figures)]
    index = figures["index"]
    if index["kind"] != "flat":
        said.append(
            f"{index['kind']} ({index['parameters']}) finds {percent(index['recall_at_1'])} of "
            f"the nearest embeddings and {percent(index['recall_at_10'])} of the 10 nearest."
        )
    if same := figures["num_same_images"]:
        said.append(
            f"warning: {same:,} of the {figures['num_queries']:,} queries are, byte for byte, in "
            "the gallery: they flatter the figures."
        )
    return said


def result_row(model: str, figures: Mapping) -> dict[str, object]:
    """Returns a row of results."""
    points = {point["fpir"]: point for point in figures["tpir_at_fpir"]}
    threshold = figures["threshold"]
    row = {
        "model": model,
        "gallery": figures["gallery"],
        "gallery_size": figures["num_gallery"],
        "num_identities": figures["num_identities"],
        "num_mated_queries": figures["num_mated"],
        "num_nonmated_queries": figures["num_non_mated"],
        **{f"rank{rank}": figures[f"rank{rank}"] for rank in _RANKS},
    }
    for fpir, text in _FPIRS.items():
        point = points.get(fpir, {})
        row[f"tpir_at_fpir_{text}"] = point.get("tpir")
        row[f"tpir_at_fpir_{text}_sufficient"] = point.get("sufficient")
    return row | {
        "index": figures["index"]["kind"],
        "threshold_cosine": _rounded_up(threshold["cosine"]) if threshold else None,
    }


def _advice(figures: Mapping) -> str:
    strangers, threshold = figures["num_non_mated"], figures["threshold"]
    if not strangers:
        return (
            "no query is of a stranger, so nothing is known about faces that should get no name: "
            "add queries of people who are not in the gallery, or keep some out of it (--unknown)."
        )
    if threshold is None:
        return (
            f"{strangers:,} queries of strangers are too few to advise a threshold: 10 tell what "
            "lets 1 of 10 get a name, 100 what lets 1 of 100."
        )
    cosine, one_of = _rounded_up(threshold["cosine"]), round(1 / threshold["fpir"])
    if cosine > 1:
        return f"no cosine up to 1 lets so few as 1 of {one_of:,} strangers get a name."
    return (
        f"name a face when its cosine >= {cosine:.3f} (squared L2 <= {2 - 2 * cosine:.3f}): then "
        f"at most 1 of {one_of:,} strangers gets a name, and {percent(threshold['tpir'])} of the "
        "known faces get the right one."
    )


def _rounded_up(cosine: float) -> float:
    # Rounded down it could let one stranger more in than is promised.
    return math.ceil(1000 * cosine) / 1000


def _tpir(point: Mapping | None) -> str:
    return MISSING if point is None else percent(point["tpir"]) + "*" * (not point["sufficient"])
