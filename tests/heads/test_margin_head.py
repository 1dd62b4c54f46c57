"""What margin heads share: the centers' gradient, label smoothing, and the warm-up."""

import math

import keras
import numpy as np
import pytest

from tests.heads.reference import (
    CENTERS,
    EMBEDDINGS,
    IDENTITIES,
    central_differences,
    check,
    cross_entropy,
    unit,
    with_centers,
)
from tfface.heads.arcface import ArcFaceHead
from tfface.training.recognizer import Recognizer


def recognizer_of(head) -> Recognizer:
    """One that gives its images back as embeddings."""
    images = keras.Input((CENTERS.shape[1],))
    recognizer = Recognizer(keras.Model(images, keras.layers.Identity()(images)), head)
    head.class_centers.assign(CENTERS)
    return recognizer


def arcface_loss(centers: np.ndarray, margin: float) -> float:
    """The mean over the examples."""
    cosines = unit(EMBEDDINGS) @ unit(centers).T
    losses = []
    for row, identity in zip(cosines, IDENTITIES, strict=True):
        row[identity] = math.cos(math.acos(row[identity]) + margin)
        losses.append(cross_entropy(8.0 * row, identity))
    return float(np.mean(losses))


def test_golden_gradient_of_the_centers():
    """A step of plain gradient descent at rate 1 is the gradient."""
    head = ArcFaceHead(0.5, 8.0, warmup_epochs=0.0, num_identities=4)
    recognizer = recognizer_of(head)
    recognizer.compile(optimizer=keras.optimizers.SGD(1.0))
    recognizer.fit(EMBEDDINGS.astype("float32"), IDENTITIES, batch_size=5, verbose=0)
    golden = central_differences(lambda centers: arcface_loss(centers, 0.5), CENTERS)
    found = CENTERS - keras.ops.convert_to_numpy(head.class_centers)
    np.testing.assert_allclose(found, golden, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_label_smoothing(share):
    def loss(cosines, identity, *_):
        cosines[identity] = math.cos(math.acos(cosines[identity]) + 0.5)
        target = np.full(4, share / 4)
        target[identity] += 1 - share
        return sum(t * cross_entropy(8.0 * cosines, j) for j, t in enumerate(target))

    head = ArcFaceHead(scale=8.0, label_smoothing=share, num_identities=4)
    check(with_centers(head), loss)


def test_the_margin_of_each_step_of_a_training():
    """Six steps of a trace that is made once, at a rate of 0: only the margin moves."""
    head = ArcFaceHead(0.5, 8.0, warmup_epochs=2.0, num_identities=4, steps_per_epoch=2)
    recognizer = recognizer_of(head)
    recognizer.compile(optimizer=keras.optimizers.SGD(0.0))
    images = EMBEDDINGS.astype("float32")
    losses = []
    for _ in range(6):
        recognizer.fit(images, IDENTITIES, batch_size=5, verbose=0)
        losses.append(float(recognizer.step_loss.result()))
    margins = [0.0, 0.125, 0.25, 0.375, 0.5, 0.5]
    np.testing.assert_allclose(losses, [arcface_loss(CENTERS, m) for m in margins], rtol=1e-4)
    full = recognizer.evaluate(images, IDENTITIES, batch_size=5, verbose=0, return_dict=True)
    assert full["loss"] == pytest.approx(arcface_loss(CENTERS, 0.5), rel=1e-4)


def test_mixed_images_are_judged_by_the_margin_of_their_step_and_counted_once():
    head = ArcFaceHead(0.5, 8.0, warmup_epochs=2.0, num_identities=4, steps_per_epoch=1)
    recognizer = recognizer_of(head)
    labels = {
        "identities": IDENTITIES,
        "others": IDENTITIES,
        "shares": np.full(len(IDENTITIES), 0.3, "float32"),
    }
    for step, margin in enumerate([0.0, 0.25, 0.5]):
        assert int(head.steps) == step
        losses, _ = recognizer.losses_and_correct(
            EMBEDDINGS.astype("float32"), labels, training=True
        )
        mean = float(keras.ops.mean(losses))
        assert mean == pytest.approx(arcface_loss(CENTERS, margin), rel=1e-4)
