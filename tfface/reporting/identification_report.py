"""report.html of an identification."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.reporting import page
from tfface.reporting.format import percent
from tfface.reporting.identification_table import (
    FOOTNOTE,
    HEADER,
    needs_footnote,
    sentences,
    table_row,
)

_POINTS = ("FPIR", "TPIR", "FNIR", "wrong name", "measured FPIR", "cosine >=")
_SHOWN_RANKS = (1, 2, 3, 5, 10, 20, 50)


def write_identification_report(
    path: Path,
    figures: Mapping,
    *,
    model: str,
    pictures: Sequence[page.Picture],
    environment: Mapping[str, object],
    warnings: Sequence[str] = (),
) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        figures: as `eval_identification --json` writes them.
        model: what was evaluated.
        pictures: in order; they are copied into the page.
        environment: versions and hardware; a value may be any JSON value.
        warnings: what a reader has to know before any figure.
    Raises InputError: a picture can't be read, or the page can't be written.
    """
    page.write_page(
        path,
        f"Identification: {model} on {figures['gallery']}",
        [
            page.warnings(warnings),
            page.summary(_tiles(figures)),
            identification_section(figures),
            page.section("Pictures", *page.shown(pictures)),
            page.environment_section(environment),
        ],
    )


def identification_section(figures: Mapping) -> str:
    """Returns the tables, and from which similarity on to name a face."""
    # The open set has a table of its own.
    closed = [place for place, column in enumerate(HEADER) if not column.startswith("TPIR")]
    row = table_row(figures)
    parts = [
        page.table([HEADER[place] for place in closed], [[row[place] for place in closed]]),
        page.items(sentences(figures)),
    ]
    if points := figures["tpir_at_fpir"]:
        parts.append(page.table(_POINTS, map(_point, points)))
        parts.append(
            page.note(
                "FPIR of the strangers get a name from this cosine on; TPIR of the known faces get "
                "the right one, some a wrong one, and the rest none."
            )
        )
    if needs_footnote(figures):
        parts.append(page.note(FOOTNOTE))
    cmc = figures["cmc"]
    ranks = [rank for rank in _SHOWN_RANKS if rank <= len(cmc)]
    parts.append(page.table(["rank", "right identity found"], _cmc_rows(cmc, ranks)))
    return page.section("Identification", *parts)


def _tiles(figures: Mapping) -> Sequence[tuple[str, str]]:
    tiles = [
        ("right name first (rank-1)", percent(figures["rank1"])),
        ("identities in the gallery", f"{figures['num_identities']:,}"),
        ("queries", f"{figures['num_queries']:,}"),
    ]
    if threshold := figures["threshold"]:
        one_of = round(1 / threshold["fpir"])
        tiles.insert(1, (f"TPIR, 1 of {one_of:,} strangers named", percent(threshold["tpir"])))
    return tiles


def _point(point: Mapping) -> list[str]:
    mark = "" if point["sufficient"] else "*"
    return [
        f"{point['fpir']:g}",
        percent(point["tpir"]) + mark,
        percent(point["fnir"]) + mark,
        percent(point["wrong_name"]) + mark,
        percent(point["measured_fpir"]),
        f"{point['threshold']:.4f}",
    ]


def _cmc_rows(cmc: Sequence[float], ranks: Sequence[int]) -> list[list[str]]:
    return [[str(rank), percent(cmc[rank - 1])] for rank in ranks]
