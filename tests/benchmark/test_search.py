"""The measurement of indexes measures."""

import benchmark
import pytest

from tfface.benchmark.drawn_embeddings import DrawnEmbeddings
from tfface.benchmark.search import as_text, measure_search
from tfface.errors import InputError
from tfface.report.results import read_rows


def test_measurement():
    said = []
    drawn = DrawnEmbeddings(size=5000, dimension=32, num_queries=60)
    rows = measure_search(drawn, ["ivf", "hnsw"], num_threads=2, say=said.append)
    assert [row["index"] for row in rows] == ["flat", *["ivf"] * 2, *["hnsw"] * 3]
    for row in rows:
        assert (row["embeddings"], row["numbers"]) == ("5,000", "32")
        assert float(row["build s"]) < 60
        assert float(row["peak MiB"].replace(",", "")) > 50
        for key in ("queries/s 1 thread", "queries/s 2 threads", "one query ms"):
            assert float(row[key].replace(",", "")) > 0
        for key in ("recall@1", "recall@10", "rank-1"):
            assert 0 < float(row[key].rstrip("%")) <= 100
    assert rows[0]["recall@1"] == rows[0]["recall@10"] == "100.00%"
    assert said[0] == "drawing 5,000 embeddings of 1,250 people and 60 queries, 32 numbers each"
    assert "of the same person" in said[1]
    assert any(line.startswith("ivf: learned from") for line in said)
    text = as_text(rows)
    assert text.splitlines()[0].split()[0] == "index"
    assert "M 32, efConstruction 40, efSearch 128" in text
    recalls = [float(row["recall@10"].rstrip("%")) for row in rows]
    assert recalls[1] <= recalls[2]
    assert recalls[3] <= recalls[4] <= recalls[5]


def test_tool(tmp_path, capsys):
    arguments = ["search", "--gallery-size", "400", "--dimension", "16", "--queries", "20"]
    results = tmp_path / "search.csv"
    benchmark.main([*arguments, "--index", "flat", "--results", str(results)])
    [row] = read_rows(results)
    assert row["embeddings"] == "400"
    assert row["faiss-cpu"]
    assert capsys.readouterr().out.splitlines()[-1] == str(results)
    with pytest.raises(InputError, match="--queries 200: more than the 100 people of 400"):
        benchmark.main([*arguments[:-1], "200"])


@pytest.mark.parametrize(
    "arguments", [[], ["search", "--dimension", "1"], ["convert", "--scale", "2"]]
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(arguments)
    assert "usage: " in capsys.readouterr().err
