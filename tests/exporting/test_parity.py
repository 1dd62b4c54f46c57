"""How near a file has to be to the original."""

import numpy as np
import pytest

from tests.exporting.made import images, network
from tfface.errors import InputError
from tfface.exporting.options import ExportOptions
from tfface.exporting.parity import (
    LIMITS,
    Original,
    check_accuracy,
    check_parity,
    measure_parity,
)

EMBEDDINGS = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)


def test_limits_are_those_of_the_guide(request):
    guide = request.config.rootpath / "docs" / "guides" / "export.md"
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in guide.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and line.split("|")[1].strip().split(",")[0] in LIMITS
    ]
    for names, cosine, relative, loss in rows:
        for name in names.split(", "):
            limits = LIMITS[name]
            assert float(cosine) == limits.cosine
            assert (float(relative) if relative else None) == limits.relative_error
            assert loss == f"{100 * limits.accuracy_loss:g} %"
    assert sum(len(row[0].split(", ")) for row in rows) == len(LIMITS)


def test_equal_embeddings():
    parity = measure_parity(EMBEDDINGS, EMBEDDINGS, "noise")
    assert (parity.cosine_min, parity.relative_error) == (pytest.approx(1), 0)
    check_parity(parity, "float32")


@pytest.mark.parametrize("precision", LIMITS)
def test_one_image_is_enough_to_fail(precision):
    """The least cosine counts, not the mean."""
    limit = LIMITS[precision].cosine
    for cosine, fails in ((limit + 1e-5, False), (limit - 1e-5, True)):
        other = EMBEDDINGS.astype(np.float64)
        across = np.roll(other[3], 1)
        across -= across @ other[3] / (other[3] @ other[3]) * other[3]
        across *= np.linalg.norm(other[3]) / np.linalg.norm(across)
        other[3] = cosine * other[3] + np.sqrt(1 - cosine**2) * across
        parity = measure_parity(EMBEDDINGS, other, "noise")
        assert parity.cosine_min == pytest.approx(cosine, abs=1e-7)
        if fails:
            with pytest.raises(InputError, match=f"{precision} needs {limit} or more"):
                check_parity(parity, precision)
        elif LIMITS[precision].relative_error is None:
            check_parity(parity, precision)


def test_a_longer_embedding_is_another():
    """Of float32: a scale that is lost is no rounding."""
    parity = measure_parity(EMBEDDINGS, 1.001 * EMBEDDINGS, "noise")
    assert parity.cosine_min == pytest.approx(1)
    with pytest.raises(InputError, match=r"by up to 1\.0e-03 of an embedding's norm"):
        check_parity(parity, "float32")
    check_parity(parity, "float16")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite(value):
    broken = EMBEDDINGS.copy()
    broken[2, 5] = value
    with pytest.raises(InputError, match=r"returns NaN or infinity for 1 of \d+ images \(noise\)"):
        measure_parity(EMBEDDINGS, broken, "noise")
    with pytest.raises(InputError, match=r"\(noise\); values of float16 end at 65,504\. Nothing"):
        measure_parity(EMBEDDINGS, broken, "noise", "float16")
    with pytest.raises(InputError, match="there is nothing to export"):
        measure_parity(broken, EMBEDDINGS, "noise")


def test_what_to_try_next():
    """Where 8 bits are too few; the other precisions have no layers to leave out."""
    parity = measure_parity(EMBEDDINGS, np.roll(EMBEDDINGS, 1, axis=1), "noise")
    for float_layers, next_ones in [(0, 4), (4, 8), (5, 10)]:
        with pytest.raises(InputError, match=f"Try --float-layers {next_ones}, which leaves"):
            check_parity(parity, "int8", float_layers)
        with pytest.raises(InputError, match=f"Try --float-layers {next_ones}, which leaves"):
            check_accuracy(0.99, 0.9, "lfw", "weights-int8", float_layers)
    with pytest.raises(InputError, match=r"Nothing was written$"):
        check_parity(parity, "float16")


def test_another_size():
    with pytest.raises(InputError, match=r"the file returns \[20, 8\], and the model \[20, 16\]"):
        measure_parity(EMBEDDINGS, EMBEDDINGS[:, :8], "noise")


def test_accuracy_may_fall_a_little():
    check_accuracy(0.99, 0.9895, "lfw", "float32")
    # One pair of a thousand.
    check_accuracy(0.724, 0.723, "lfw", "float32")
    check_accuracy(0.99, 1.0, "lfw", "float32")
    message = r"accuracy on lfw falls from 99\.00% to 97\.90%; int8 allows a loss of 1\.0%"
    with pytest.raises(InputError, match=message):
        check_accuracy(0.99, 0.979, "lfw", "int8")


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
def test_the_original_does_what_a_file_is_to_do(flip, normalized):
    model, given = network(), images(3)
    plain = model.predict_on_batch(given.astype(np.float32))
    mirrored = model.predict_on_batch(given[:, :, ::-1].astype(np.float32))

    def unit(embeddings):
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    options = ExportOptions(flip=flip, normalized=normalized)
    inside = plain + mirrored if flip else plain
    expected = unit(inside) if normalized else inside
    found = Original(model, "a", options).embed(given)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if not flip:
        expected = expected + (unit(mirrored) if normalized else mirrored)
    summed = Original(model, "a", options, flip=True).embed(given)
    np.testing.assert_allclose(summed, expected, rtol=1e-4, atol=1e-5)
