"""The baselines give the results of tfface's metrics, and both are measured."""

import baseline_verification
import numpy as np
import pytest
import verification as script
from verification import (
    TemplateShape,
    measure_verification,
    synthetic_embeddings,
    synthetic_pair_set,
    write_pairs,
)

from tfface.data.int_table import read_number_lines
from tfface.metrics.templates import TemplatePool, pair_similarities
from tfface.metrics.verification import metrics_from_scores, verification
from tfface.reporting.results import text_table

SMALL = TemplateShape(20_000, num_galleries=40, num_probes=120)


def test_baseline_of_the_pair_set():
    pair_set = synthetic_pair_set()
    result = verification(**pair_set, num_replicates=0)
    assert result.num_pairs == 6000
    assert result.num_genuine == 3000
    assert 0.9 < result.accuracy.mean < 1
    pairs = [pair_set[name] for name in ("embeddings", "first", "second", "is_genuine")]
    assert baseline_verification.fold_accuracies(*pairs) == pytest.approx(result.accuracy.folds)
    far, tar = baseline_verification.rates_by_threshold(result.similarity, result.is_genuine, 101)
    index = 70
    accepted = result.similarity >= np.linspace(-1, 1, 101)[index]
    assert far[index] == np.mean(accepted[~result.is_genuine])
    assert tar[index] == np.mean(accepted[result.is_genuine])
    is_correct = (result.similarity >= result.threshold.cosine) == result.is_genuine
    low, high = baseline_verification.intervals(
        result.similarity, result.is_genuine, is_correct, 100
    )
    by_pair = verification(**(pair_set | {"identities": None}))
    assert [low[2], high[2]] == pytest.approx(by_pair.auc_interval, abs=1e-3)


def test_baseline_of_templates(tmp_path):
    write_pairs(tmp_path / "pairs.txt", SMALL)
    columns = read_number_lines(tmp_path / "pairs.txt", 3, "three numbers")
    for column, expected in zip(
        columns, baseline_verification.read_pairs(tmp_path / "pairs.txt"), strict=True
    ):
        assert np.array_equal(column, expected)
    first, second, labels = columns
    # By chance 1 in 40 pairs is genuine here, and 1 in 800 on purpose.
    assert 400 < np.count_nonzero(labels) < 700

    media = np.arange(SMALL.num_images) // SMALL.num_frames
    templates = media // SMALL.num_media
    embeddings = np.concatenate(list(synthetic_embeddings(SMALL)))
    pool = TemplatePool(np.arange(SMALL.num_images), templates, media)
    pool.add(embeddings)
    pooled = pool.templates()
    np.testing.assert_allclose(
        pooled, baseline_verification.pool(embeddings, templates, media), atol=1e-6
    )
    similarity = pair_similarities(pooled, first, second)
    np.testing.assert_allclose(
        similarity, baseline_verification.similarities(pooled, first, second), atol=1e-6
    )
    result = metrics_from_scores(similarity, labels == 1, embedding_norm=1)
    tar_at_fars, auc = baseline_verification.tar_at_fars(similarity, labels == 1)
    assert tar_at_fars == [point.tar for point in result.tar_at_far]
    assert auc == pytest.approx(result.auc, abs=1e-12)


@pytest.mark.slow
def test_measurement(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "_IJB_C", SMALL)
    said = []
    rows = measure_verification(20_000, tmp_path, num_runs=1, say=said.append)
    assert [row["operation"] for row in rows] == [
        "pair set, without intervals",
        "pair set, with intervals",
        "templates: read the list of pairs",
        "templates: pool images",
        "templates: similarities",
        "templates: figures",
        "templates: all",
    ]
    assert said == [
        "pairs of images",
        "writing 20,000 pairs of templates",
        "pairs of templates",
        "pairs of templates, baseline",
    ]
    assert all(row["time_ms"] > 0 for row in rows)
    assert all(row["speedup"] == pytest.approx(row["baseline_ms"] / row["time_ms"]) for row in rows)
    assert rows[-1]["baseline_peak_memory_mib"] > 0
    assert rows[0]["baseline_peak_memory_mib"] is None
    # What it wrote is gone.
    assert not list(tmp_path.iterdir())
    assert len(text_table(rows).splitlines()) == 8
