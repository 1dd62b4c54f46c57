"""Gallery indexes are built, searched and compared."""

import importlib.metadata

import pytest
import search
from search import as_text, measure_search
from synthetic_embeddings import SyntheticEmbeddings

from tfface.errors import InputError
from tfface.reporting.results import read_rows


def test_measurement():
    said = []
    synthetic = SyntheticEmbeddings(size=5000, dimension=32, num_queries=60)
    rows = measure_search(synthetic, ["ivf", "hnsw"], num_threads=2, say=said.append)
    assert [row["index"] for row in rows] == ["flat", *["ivf"] * 2, *["hnsw"] * 3]
    for row in rows:
        assert (row["gallery_size"], row["embedding_size"]) == (5000, 32)
        assert row["num_threads"] == 2
        assert row["peak_memory_mib"] > 50
        for key in ("build_s", "queries_per_s_1_thread", "queries_per_s", "query_ms"):
            assert row[key] > 0
        for key in ("recall_at_1", "recall_at_10", "rank1"):
            assert 0 < row[key] <= 1
    assert rows[0]["recall_at_1"] == rows[0]["recall_at_10"] == 1
    assert said[0] == "5,000 synthetic embeddings of 1,250 identities and 60 queries, dimension 32"
    assert "of the same identity" in said[1]
    assert any(line.startswith("ivf: trained on") for line in said)
    text = as_text(rows)
    assert text.splitlines()[0].split()[0] == "Index"
    assert "M 32, efConstruction 40, efSearch 128" in text
    recalls = [row["recall_at_10"] for row in rows]
    assert recalls[1] <= recalls[2]
    assert recalls[3] <= recalls[4] <= recalls[5]


def test_tool(tmp_path, capsys):
    arguments = ["--gallery-size", "400", "--dimension", "16", "--num-queries", "20"]
    results = tmp_path / "search.csv"
    search.main([*arguments, "--index", "flat", "--results", str(results)])
    [row] = read_rows(results)
    assert row["gallery_size"] == "400"
    assert row["index_parameters"] == ""
    assert row["faiss"] == importlib.metadata.version("faiss-cpu")
    assert capsys.readouterr().out.splitlines()[-1] == f"results: {results}"
    with pytest.raises(InputError, match="--num-queries 200: more than the 100 identities of 400"):
        search.main([*arguments[:-1], "200"])
