"""Estimated steps on many devices, compared with results by hand and with the docs."""

from pathlib import Path

import pytest
import scaling
from scaling import (
    Network,
    Rates,
    as_text,
    center_bytes,
    compute_step,
    compute_steps,
)

from tfface.reporting.results import read_rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "distributed.md"
# Round numbers: a step of one device takes 3 * 4 * 10 / 100 = 1.2 s in the backbone.
RATES = Rates(
    flops_per_second=100.0,
    memory_bytes_per_second=1000.0,
    inside_bytes_per_second=50.0,
    between_bytes_per_second=10.0,
)
NETWORK = Network(parameters=25, forward_flops=10.0, embedding_size=2, images_per_device=4)


def test_one_device():
    step = compute_step("data_parallel", 5, 1, 1, RATES, NETWORK)
    assert step.communication_bytes == step.communication_seconds == 0
    assert step.efficiency == 1
    # Centers 5 x 2 x 4 bytes; logits 4 x 5 x 4 bytes, each three times.
    assert (step.center_state_bytes, step.logit_bytes) == (120, 240)
    # 1.2 s backbone; 6 x 4 x 5 x 2 / 100 = 2.4 s centers; 5 x 40 / 1000 = 0.2 s update.
    assert step.compute_seconds == pytest.approx(3.8)


def test_data_parallel_sends_both_gradients():
    step = compute_step("data_parallel", 5, 1, 4, RATES, NETWORK)
    # 2 x 3/4 of 100 bytes of the backbone and 40 of the centers.
    assert step.communication_bytes == pytest.approx(210)
    assert step.communication_seconds == pytest.approx(4.2)
    assert step.compute_seconds == pytest.approx(3.8)
    assert step.efficiency == pytest.approx(3.8 / 8.0)


def test_model_parallel_sends_embeddings_instead_of_centers():
    step = compute_step("model_parallel", 5, 1, 4, RATES, NETWORK)
    # 150 of the backbone; 16 images: 3/4 x 128 bytes twice; two numbers, 2 x 3/4 x 64 bytes each.
    assert step.communication_bytes == pytest.approx(150 + 192 + 192)
    assert step.center_state_bytes == 30
    # The products stay: 16 images with a quarter of the centers. The update takes a quarter.
    assert step.compute_seconds == pytest.approx(1.2 + 2.4 + 0.05)
    assert (
        compute_step("model_parallel", 10**6, 1, 4, RATES, NETWORK).communication_bytes
        == step.communication_bytes
    )


def test_between_machines_the_slower_link_counts():
    inside = compute_step("data_parallel", 5, 1, 4, RATES, NETWORK)
    between = compute_step("data_parallel", 5, 2, 2, RATES, NETWORK)
    assert between.communication_bytes == inside.communication_bytes
    assert between.communication_seconds == pytest.approx(5 * inside.communication_seconds)


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode must be one of"):
        compute_step("both", 5, 1, 1)


def test_the_page_shows_what_is_computed():
    page = PAGE.read_text(encoding="utf-8")
    assert as_text(compute_steps(clusters=((1, 1), (1, 8), (2, 8), (8, 8)))) in page
    centers = center_bytes(85_742)
    row = (centers, 3 * centers, 3 * centers / 8, 3 * centers / 64)
    assert f"| 85,742 | {' | '.join(f'{number / 1e6:.1f} MB' for number in row)} |" in page


def test_the_tool(capsys, tmp_path):
    csv = tmp_path / "scaling.csv"
    scaling.main(f"--num-identities 1000 --between-bytes-per-second 1e9 --results {csv}".split())
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Computed, not measured:"
    steps = compute_steps([1000], rates=Rates(between_bytes_per_second=1e9))
    assert said[1:-1] == as_text(steps).splitlines()
    written = read_rows(csv)
    assert len(written) == len(steps)
    assert float(written[0]["compute_ms"]) == pytest.approx(
        1e3 * steps[0].compute_seconds, rel=1e-5
    )
    assert written[0]["scaling_efficiency"] == "1"


def test_a_rate_of_zero(capsys):
    with pytest.raises(SystemExit):
        scaling.main(["--flops-per-second", "0"])
    assert "must be a number above 0, as 25e9; got '0'" in capsys.readouterr().err
