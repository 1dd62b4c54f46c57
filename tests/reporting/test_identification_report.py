"""What a terminal and a page say of an identification are the figures it was given."""

import pytest

from tests.reporting.made_identification import figures
from tests.reporting.page_parser import read_page
from tfface.reporting import identification_table
from tfface.reporting.identification_report import write_identification_report
from tfface.reporting.identification_table import as_text, result_row, sentences
from tfface.reporting.page import Picture
from tfface.reporting.plots.identification import draw_cmc

HNSW = {"kind": "hnsw", "parameters": "M 32", "recall_at_1": 0.991, "recall_at_10": 0.95}


def test_text():
    header, row, footnote, advice = as_text(figures()).splitlines()
    assert header.split()[:3] == ["gallery", "images", "identities"]
    assert row.split() == [
        *("staff", "1,234", "12", "1,000", "500", "97.00%", "99.00%", "100.00%"),
        *("96.00%", "93.10%", "90.00%*"),
    ]
    assert footnote == "* " + identification_table.FOOTNOTE[2:]
    assert advice == (
        "name a face when its cosine >= 0.406 (squared L2 <= 1.188): then at most 1 of 100 "
        "strangers gets a name, and 93.10% of the known faces get the right one."
    )


def test_without_strangers():
    text = as_text(figures(tpir_at_fpir=[], threshold=None, num_non_mated=0))
    assert text.splitlines()[1].split()[-3:] == ["-", "-", "-"]
    assert "no query is of a stranger" in text
    assert "--unknown" in text
    assert "*" not in text


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"threshold": None, "num_non_mated": 7}, "7 queries of strangers are too few"),
        (
            {"threshold": {"cosine": 1.0000001, "squared_l2": 0, "fpir": 0.1, "tpir": 0}},
            "no cosine up to 1 lets so few as 1 of 10 strangers get a name",
        ),
        ({"num_same_images": 3}, "3 of the 1,500 queries are, byte for byte, in the gallery"),
        ({"index": HNSW}, "hnsw (M 32) finds 99.10% of the nearest embeddings and 95.00%"),
    ],
)
def test_what_has_to_be_known(others, says):
    assert says in "\n".join(sentences(figures(**others)))


def test_result_row():
    row = result_row("mine", figures())
    assert row["model"] == "mine"
    assert row["rank1"] == 0.97
    assert (row["gallery_size"], row["num_mated_queries"]) == (1234, 1000)
    assert (row["tpir_at_fpir_1e-3"], row["tpir_at_fpir_1e-3_sufficient"]) == (0.9, False)
    # 0.40561 rounded down would let a stranger in.
    assert (row["index"], row["threshold_cosine"]) == ("flat", 0.406)
    no_strangers = result_row("mine", figures(threshold=None, tpir_at_fpir=[]))
    assert no_strangers["threshold_cosine"] is no_strangers["tpir_at_fpir_1e-1"] is None
    assert list(no_strangers) == list(row)


def test_page(tmp_path):
    draw_cmc(tmp_path / "cmc.png", {"staff": figures()["cmc"]})
    write_identification_report(
        tmp_path / "report.html",
        figures(num_same_images=3),
        model="faces & <names>",
        pictures=[Picture(tmp_path / "cmc.png", "the right <identity>'s rank")],
        environment={"python": "3.11"},
    )
    text = read_page(tmp_path / "report.html")
    for words in (
        "Identification: faces & <names> on staff",
        "TPIR, 1 of 100 strangers named",
        "93.10%",
        "90.00%*",
        "6.90%",
        "0.4056",
        "cosine >= 0.406",
        "too few strangers",
        "byte for byte",
        "right identity found",
        "the right <identity>'s rank",
        "3.11",
    ):
        assert words in text


def test_page_without_strangers(tmp_path):
    write_identification_report(
        tmp_path / "report.html",
        figures(tpir_at_fpir=[], threshold=None, num_non_mated=0),
        model="m",
        pictures=[],
        environment={},
    )
    text = read_page(tmp_path / "report.html")
    assert "FPIR" not in text.replace("TPIR at an FPIR", "")
    assert "no query is of a stranger" in text
