"""Tables and sentences of identification."""

import pytest

from tests.reporting.sample_metrics import identification
from tfface.reporting.identification_tables import (
    cmc_table,
    gallery_text,
    open_set_table,
    query_text,
    result_row,
    sentences,
    to_text,
)

HNSW = {"kind": "hnsw", "parameters": "M 32", "recall_at_1": 0.991, "recall_at_10": 0.95}


def test_text():
    header, row, note, recommendation = to_text(identification()).splitlines()
    assert header.split()[:3] == ["gallery", "images", "identities"]
    assert row.split() == [
        *("staff", "1,234", "12", "1,000", "500", "97.00%", "99.00%", "100.00%"),
        *("96.00%", "93.10%", "90.00%*"),
    ]
    assert note == "* too few non-mated queries to measure this FPIR: the TPIR is at FPIR 0"
    assert recommendation == (
        "Accept the most similar identity if cosine >= 0.406 (squared L2 <= 1.188): at most 1 in "
        "100 non-mated queries is accepted, and 93.10% of the mated queries get the correct "
        "identity."
    )


def test_without_non_mated_queries():
    metrics = identification(tpir_at_fpir=[], threshold=None, num_non_mated=0)
    text = to_text(metrics)
    assert text.splitlines()[1].split()[-3:] == ["-", "-", "-"]
    assert "There are no non-mated queries" in text
    assert "--open-set-fraction" in text
    assert "*" not in text
    assert open_set_table(metrics) is None


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"threshold": None, "num_non_mated": 7}, "7 non-mated queries are too few to recommend"),
        (
            {"threshold": {"cosine": 1.0000001, "squared_l2": 0, "fpir": 0.1, "tpir": 0}},
            "No cosine threshold <= 1 has an FPIR of at most 1 in 10.",
        ),
        ({"num_same_images": 3}, "3 of the 1,500 queries are byte-identical to a gallery image"),
        ({"index": HNSW}, "hnsw index (M 32) finds 99.10% of the nearest embeddings and 95.00%"),
    ],
)
def test_sentences(others, sentence):
    assert sentence in "\n".join(sentences(identification(**others)))


def test_tables_of_reports():
    table = open_set_table(identification())
    assert table.rows[2] == ["0.001", "90.00%*", "10.00%*", "0.40%*", "0.10%", "0.5000"]
    assert table.notes[1].startswith("* too few non-mated queries")
    assert cmc_table(identification()).rows[-1] == ["10", "100.00%"]


def test_result_row():
    row = result_row("mine", identification())
    assert row["model"] == "mine"
    assert row["rank1"] == 0.97
    assert (row["gallery_size"], row["num_mated_queries"]) == (1234, 1000)
    assert (row["tpir_at_fpir_1e-3"], row["tpir_at_fpir_1e-3_sufficient"]) == (0.9, False)
    # 0.40561 rounded down would accept a non-mated query.
    assert (row["index"], row["threshold_cosine"]) == ("flat", 0.406)
    closed = result_row("mine", identification(threshold=None, tpir_at_fpir=[]))
    assert closed["threshold_cosine"] is closed["tpir_at_fpir_1e-1"] is None
    assert list(closed) == list(row)


def test_gallery():
    lines = gallery_text(["bob", "ann", "bob"], "faces").splitlines()
    assert [line.split() for line in lines[:3]] == [["name", "images"], ["ann", "1"], ["bob", "2"]]
    assert lines[3] == "3 images of 2 identities, embedded by faces"


def test_names_cannot_control_a_terminal():
    lines = gallery_text(["bob\x1b[31m\nann 99", "ann"], "faces").splitlines()
    assert [line.split() for line in lines[1:3]] == [["ann", "1"], ["bob?[31m?ann", "99", "1"]]
    candidates = [{"name": "b\rc", "cosine": 0.6}]
    result = {"image": "a\x1b[2J.jpg", "name": "b\rc", "candidates": candidates}
    assert "a?[2J.jpg       b?c" in query_text([result], 0.5)


def test_an_identity_named_unknown_differs_from_no_identity():
    candidates = [{"name": "unknown", "cosine": 0.6}]
    results = [
        {"image": "1.jpg", "name": "unknown", "candidates": candidates},
        {"image": "2.jpg", "name": None, "candidates": candidates},
    ]
    lines = [line.split() for line in query_text(results, 0.5).splitlines()]
    assert [line[1] for line in lines[1:]] == ["'unknown'", "unknown"]


def test_query_results():
    candidates = [{"name": "ann", "cosine": 0.61234}, {"name": "bob", "cosine": 0.2}]
    results = [
        {"image": "1.jpg", "name": "ann", "candidates": candidates},
        {"image": "2.jpg", "name": None, "candidates": candidates[1:]},
        {"image": "3.jpg", "name": None, "candidates": []},
    ]
    lines = [line.split() for line in query_text(results, 0.5).splitlines()]
    assert lines == [
        ["image", "identity", "most", "similar", "cosine"],
        ["1.jpg", "ann", "ann", "0.612"],
        ["bob", "0.200"],
        ["2.jpg", "unknown", "bob", "0.200"],
        ["3.jpg", "no", "face", "-", "-"],
    ]
    assert query_text(results, None).splitlines()[-1].startswith("Without --threshold, unknown")
