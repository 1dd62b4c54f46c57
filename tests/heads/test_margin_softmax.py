"""Margin softmax: the centers' gradient, label smoothing, warm-up, and use as a layer."""

import math

import keras
import numpy as np
import pytest

from tests.heads.reference import (
    CENTERS,
    EMBEDDINGS,
    LABELS,
    central_differences,
    check,
    cross_entropy,
    unit,
    with_centers,
)
from tfface.errors import InputError
from tfface.heads import ArcFace, ArcFaceMargin, ClassCenters, MagFaceMargin, MarginSoftmax
from tfface.heads.class_centers import PADDING_LOGIT
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
    for row, label in zip(cosines, LABELS, strict=True):
        row[label] = math.cos(math.acos(row[label]) + margin)
        losses.append(cross_entropy(8.0 * row, label))
    return float(np.mean(losses))


def test_golden_gradient_of_the_centers():
    """A step of plain gradient descent at rate 1 is the gradient."""
    head = ArcFace(margin=0.5, scale=8.0, num_identities=4)
    recognizer = recognizer_of(head)
    recognizer.compile(optimizer=keras.optimizers.SGD(1.0))
    recognizer.fit(EMBEDDINGS.astype("float32"), LABELS, batch_size=5, verbose=0)
    golden = central_differences(lambda centers: arcface_loss(centers, 0.5), CENTERS)
    found = CENTERS - keras.ops.convert_to_numpy(head.class_centers)
    np.testing.assert_allclose(found, golden, rtol=1e-3, atol=1e-5)


def test_a_warm_up_needs_to_know_how_long_an_epoch_is():
    with pytest.raises(ValueError, match="ArcFace: margin_warmup_epochs needs steps_per_epoch"):
        ArcFace(num_identities=4, margin_warmup_epochs=5)
    assert ArcFace(num_identities=4, margin_warmup_epochs=0).warmup_steps == 0
    assert ArcFace(num_identities=4).warmup_steps == 0
    assert ArcFace(num_identities=4, steps_per_epoch=10).warmup_steps == 50


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_label_smoothing(share):
    def loss(cosines, label, *_):
        cosines[label] = math.cos(math.acos(cosines[label]) + 0.5)
        target = np.full(4, share / 4)
        target[label] += 1 - share
        return sum(t * cross_entropy(8.0 * cosines, j) for j, t in enumerate(target))

    head = ArcFace(scale=8.0, label_smoothing=share, num_identities=4)
    check(with_centers(head), loss)


def test_the_margin_of_each_step_of_a_training():
    """Six steps of a trace that is made once, at a rate of 0: only the margin moves."""
    head = ArcFace(
        margin=0.5, scale=8.0, margin_warmup_epochs=2.0, num_identities=4, steps_per_epoch=2
    )
    recognizer = recognizer_of(head)
    recognizer.compile(optimizer=keras.optimizers.SGD(0.0))
    images = EMBEDDINGS.astype("float32")
    losses = []
    for _ in range(6):
        recognizer.fit(images, LABELS, batch_size=5, verbose=0)
        losses.append(float(recognizer.step_loss.result()))
    margins = [0.0, 0.125, 0.25, 0.375, 0.5, 0.5]
    np.testing.assert_allclose(losses, [arcface_loss(CENTERS, m) for m in margins], rtol=1e-4)
    full = recognizer.evaluate(images, LABELS, batch_size=5, verbose=0, return_dict=True)
    assert full["loss"] == pytest.approx(arcface_loss(CENTERS, 0.5), rel=1e-4)


def test_mixed_images_are_judged_by_the_margin_of_their_step_and_counted_once():
    head = ArcFace(
        margin=0.5, scale=8.0, margin_warmup_epochs=2.0, num_identities=4, steps_per_epoch=1
    )
    recognizer = recognizer_of(head)
    labels = {
        "identities": LABELS,
        "others": LABELS,
        "shares": np.full(len(LABELS), 0.3, "float32"),
    }
    for step, margin in enumerate([0.0, 0.25, 0.5]):
        assert int(head.steps) == step
        losses, _ = recognizer.losses_and_correct(
            EMBEDDINGS.astype("float32"), labels, training=True
        )
        mean = float(keras.ops.mean(losses))
        assert mean == pytest.approx(arcface_loss(CENTERS, margin), rel=1e-4)


# ------------------------------------------------------------------------------------ as a layer
SINGLE = EMBEDDINGS.astype("float32")


def head_of(margin=ArcFaceMargin(0.5), **options):  # noqa: B008
    centers = ClassCenters(4, **options)
    return with_centers(MarginSoftmax(margin, centers, scale=8.0, warmup_steps=2))


def cosines_with_margin(margin: float) -> np.ndarray:
    cosines = unit(EMBEDDINGS) @ unit(CENTERS).T
    own = np.arange(len(LABELS)), LABELS
    cosines[own] = np.cos(np.arccos(cosines[own]) + margin)
    return cosines


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("int64")])
def test_logits_have_the_margin_of_the_labels(labels):
    head = head_of()
    # Full in evaluation; in training it rises over two steps.
    steps = [(False, 0.5), (True, 0.0), (True, 0.25), (True, 0.5), (True, 0.5)]
    for training, margin in steps:
        logits = keras.ops.convert_to_numpy(head(SINGLE, labels, training=training))
        np.testing.assert_allclose(logits, 8.0 * cosines_with_margin(margin), rtol=1e-5, atol=1e-5)
    assert int(head.steps) == 4


def test_without_labels_there_is_no_margin_in_inference_and_an_error_in_training():
    head = head_of()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(head(SINGLE)), 8.0 * cosines_with_margin(0.0), atol=1e-5
    )
    with pytest.raises(ValueError, match="head: in training the margin needs labels: call the he"):
        head(SINGLE, training=True)


def test_a_model_without_labels_does_not_train_without_the_margin():
    images = keras.Input((3,))
    model = keras.Model(images, head_of()(images))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="in training the margin needs labels: call the head with"):
        model.fit(SINGLE, LABELS, verbose=0)
    assert np.isfinite(model.evaluate(SINGLE, LABELS, verbose=0))


def model_of(head) -> keras.Model:
    images, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    model = keras.Model([images, labels], head(images, labels))
    model.compile(
        keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


@pytest.mark.parametrize("margin", [ArcFaceMargin(0.5), MagFaceMargin(upper_norm=35.0)])
def test_a_model_with_the_layer_has_the_loss_of_the_head(margin):
    """In evaluation, and, by a step of gradient descent, in its gradient."""
    head, reference = head_of(margin), head_of(margin)
    model, recognizer = model_of(head), recognizer_of(reference)
    recognizer.compile(optimizer=keras.optimizers.SGD(1.0))
    losses = reference.losses_and_correct(SINGLE, LABELS)[0]
    found = model.evaluate([SINGLE, LABELS], LABELS, batch_size=5, verbose=0)
    assert found == pytest.approx(float(keras.ops.mean(losses)), rel=1e-5)
    for _ in range(2):
        model.fit([SINGLE, LABELS], LABELS, batch_size=5, verbose=0)
        recognizer.fit(SINGLE, LABELS, batch_size=5, verbose=0)
    centers = [keras.ops.convert_to_numpy(one.class_centers) for one in (head, reference)]
    assert not np.allclose(centers[1], CENTERS, atol=1e-3)
    np.testing.assert_allclose(*centers, rtol=1e-4, atol=1e-6)


def test_sampled_logits_are_of_all_classes():
    head = head_of(sample_rate=0.5)
    images, labels = SINGLE[:2], np.array([0, 3], "int32")
    head.steps.assign(2)
    logits = keras.ops.convert_to_numpy(head(images, labels, training=True))
    expected = 8.0 * cosines_with_margin(0.5)[:2]
    expected[:, [1, 2]] = PADDING_LOGIT
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    before = keras.ops.convert_to_numpy(head.class_centers)
    model_of(head).train_on_batch([images, labels], labels)
    moved = np.any(keras.ops.convert_to_numpy(head.class_centers) != before, axis=1)
    np.testing.assert_array_equal(moved, [True, False, False, True])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles each size")
def test_sampling_needs_batches_of_a_fixed_size():
    model = model_of(head_of(sample_rate=0.5))
    with pytest.raises(ValueError, match="needs batches of a fixed size: make them with drop_rem"):
        # Two of three, and one.
        model.fit([SINGLE[:3], LABELS[:3]], LABELS[:3], batch_size=2, verbose=0)


def test_variables_are_in_the_order_of_checkpoints():
    head = ArcFace(sample_rate=0.5, num_identities=4, steps_per_epoch=2)
    head.build((None, 3))
    assert [v.name for v in head.weights] == ["class_centers", "steps"]
    assert [v.name for v in head.variables] == ["class_centers", "steps", "seed_generator_state"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, r"MarginSoftmax\(scale=0\.0\): input should be greater than 0"),
        ({"margin": 0.5}, r"MarginSoftmax\(margin=0\.5\): input should be an instance of Margin"),
        ({"warmup_steps": -1.0}, r"warmup_steps=-1\.0\): input should be greater than or equal"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        MarginSoftmax(**{"margin": ArcFaceMargin(), "centers": ClassCenters(4), **options})


def test_options_of_a_recipe_are_those_of_the_parts():
    head = ArcFace(
        margin=0.3,
        scale=16.0,
        label_smoothing=0.1,
        margin_warmup_epochs=2.0,
        sample_rate=0.5,
        num_identities=9,
        steps_per_epoch=3,
    )
    assert head.margin == ArcFaceMargin(0.3)
    compared = ArcFace(margin=0.3, gradient="straight_through", num_identities=9)
    assert compared.margin == ArcFaceMargin(0.3, gradient="straight_through")
    assert (head.scale, head.label_smoothing, head.warmup_steps) == (16.0, 0.1, 6.0)
    assert (head.centers.num_classes, head.centers.sample_rate) == (9, 0.5)
    with pytest.raises(InputError, match="ArcFace has no argument 'centers_per_class'"):
        ArcFace(centers_per_class=2, num_identities=9)
