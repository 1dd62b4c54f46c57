"""Class centers: cosine logits, sub-centers, sampling, and padding for devices that share them."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.contracts.gradients import gradient
from tests.heads.reference import CENTERS, EMBEDDINGS, central_differences, unit
from tfface.heads import (
    ArcFace,
    ArcFaceMargin,
    ClassCenters,
    CurricularFace,
    MarginSoftmax,
    SubcenterArcFace,
)
from tfface.heads.class_centers import PADDING_LOGIT, SampledClasses, cosine_logits, sample_classes
from tfface.kernels import optimizers as fast_optimizers
from tfface.kernels.rows import use_sparse_updates
from tfface.training.recognizer import Recognizer

SINGLE = EMBEDDINGS.astype("float32")


class TestCosineLogits:
    UNIT = unit(EMBEDDINGS)
    WEIGHTS = np.cos(np.arange(20.0)).reshape(5, 4)

    def loss(self, embeddings, centers):
        return float(np.sum(self.WEIGHTS * (embeddings @ unit(centers).T)))

    def test_values(self):
        cosines = cosine_logits(self.UNIT.astype("float32"), CENTERS.astype("float32"))
        expected = self.UNIT @ unit(CENTERS).T
        np.testing.assert_allclose(ops.convert_to_numpy(cosines), expected, atol=1e-6)

    def test_gradients(self):
        embeddings, centers = self.UNIT.astype("float32"), CENTERS.astype("float32")
        weights = self.WEIGHTS.astype("float32")
        of_embeddings = gradient(lambda x: ops.sum(weights * cosine_logits(x, centers)), embeddings)
        of_centers = gradient(lambda w: ops.sum(weights * cosine_logits(embeddings, w)), centers)
        expected = central_differences(lambda x: self.loss(x, CENTERS), self.UNIT)
        np.testing.assert_allclose(of_embeddings, expected, rtol=1e-4, atol=1e-5)
        expected = central_differences(lambda w: self.loss(self.UNIT, w), CENTERS)
        np.testing.assert_allclose(of_centers, expected, rtol=1e-4, atol=1e-5)

    def test_a_center_of_norm_0(self):
        centers = np.zeros((2, 3), "float32")
        found = gradient(lambda x: ops.sum(cosine_logits(x, centers)), self.UNIT.astype("float32"))
        np.testing.assert_array_equal(found, 0)


def test_the_layer_gives_the_cosine_with_the_nearest_center_of_each_class():
    centers = ClassCenters(num_classes=2, centers_per_class=2)
    centers.build((None, 3))
    centers.class_centers.assign(CENTERS)
    cosines = unit(EMBEDDINGS) @ unit(CENTERS).T
    expected = np.stack([cosines[:, :2].max(axis=1), cosines[:, 2:].max(axis=1)], axis=1)
    np.testing.assert_allclose(ops.convert_to_numpy(centers(SINGLE)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, r"ClassCenters\(num_classes=0\): input should be greater than 0"),
        ({"sample_rate": 1.5}, r"sample_rate=1\.5\): input should be less than or equal to 1"),
        ({"num_shards": 0}, r"num_shards=0\): input should be greater than 0"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        ClassCenters(**{"num_classes": 3, **options})


def test_ms1m_size_and_first_loss():
    """85,742 classes of 512: 43,899,904 weights, and a loss of about 46.0 at random embeddings."""
    keras.utils.set_random_seed(0)
    head = MarginSoftmax(ArcFaceMargin(), ClassCenters(85_742))
    head.build((None, 512))
    assert math.prod(head.class_centers.shape) == 43_899_904
    rng = np.random.default_rng(0)
    losses, _ = head.losses_and_correct(
        rng.normal(size=(16, 512)).astype("float32"), rng.integers(0, 85_742, 16).astype("int32")
    )
    assert float(ops.mean(losses)) == pytest.approx(46.0, abs=1.0)


# ------------------------------------------------------------------------------------- sampling
def sample(required, sample_rate: float, num_classes: int, seed) -> np.ndarray:
    required = np.array(required, "int32")
    return ops.convert_to_numpy(sample_classes(required, sample_rate, num_classes, seed))


@pytest.mark.parametrize(
    ("required", "sample_rate", "num_classes", "num_sampled"),
    [
        ([7, 3, 3], 0.2, 20, 4),
        ([7, 3, 5, 3, 19, 0], 0.2, 20, 6),  # more than that share of all
        ([1, 2, 1, 2, 1], 0.5, 3, 3),  # more than there are
        ([0], 0.001, 20, 1),
        ([0], 0.99, 10, 10),
    ],
)
def test_samples_are_distinct_ascending_and_include_the_required(
    required, sample_rate, num_classes, num_sampled
):
    seed = keras.random.SeedGenerator(1)
    for _ in range(20):
        classes = sample(required, sample_rate, num_classes, seed)
        assert classes.shape == (num_sampled,)
        assert np.all(np.diff(classes) > 0)
        assert 0 <= classes[0] <= classes[-1] < num_classes
        assert set(required) <= set(classes)


def test_all_other_classes_are_equally_likely():
    seed = keras.random.SeedGenerator(2)
    counts = np.zeros(40)
    for _ in range(500):
        counts[sample([5, 11], 0.3, 40, seed)] += 1
    assert counts[5] == counts[11] == 500
    others = np.delete(counts, [5, 11]) / 500
    # 10 of 38; the standard deviation of a share of 500 is 0.0197, and 38 are compared.
    np.testing.assert_allclose(others, 10 / 38, atol=4 * 0.0197)


def test_sampled_logits_among_all_classes():
    classes = SampledClasses(np.array([1, 2, 5], "int32"), None)
    logits = np.array([[0.5, -1.0, 3.0], [1.0, 2.0, 4.0]], "float32")
    expected = np.full((2, 7), PADDING_LOGIT, "float32")
    expected[:, [1, 2, 5]] = logits
    np.testing.assert_array_equal(ops.convert_to_numpy(classes.to_all_classes(logits, 7)), expected)


def trained(labels, seed: int = 3):
    """Returns the centers of 40 classes before and after a training step, and their momenta."""
    keras.utils.set_random_seed(seed)
    head = ArcFace(scale=8.0, sample_rate=0.2, num_identities=40)
    images = keras.Input((CENTERS.shape[1],))
    recognizer = Recognizer(keras.Model(images, keras.layers.Dense(3)(images)), head)
    optimizer = fast_optimizers.sgd(0.1, momentum=0.9, weight_decay=0.01)
    for variable in head.sparse_variables:
        use_sparse_updates(optimizer, variable)
    optimizer.exclude_from_weight_decay(var_list=head.sparse_variables)
    recognizer.compile(optimizer=optimizer)
    before = ops.convert_to_numpy(head.class_centers)
    recognizer.fit(SINGLE, labels, batch_size=5, verbose=0)
    return (
        before,
        ops.convert_to_numpy(head.class_centers),
        ops.convert_to_numpy(optimizer.momentums[-1]),
    )


def test_only_sampled_centers_move():
    before, after, momenta = trained(np.array([7, 7, 31, 31, 31], "int32"))
    moved = np.any(after != before, axis=1)
    assert np.count_nonzero(moved) == 8
    assert np.all(moved[[7, 31]])
    np.testing.assert_array_equal(np.any(momenta != 0, axis=1), moved)


def test_the_seed_decides_which_classes_are_sampled():
    labels = np.array([0, 1, 0, 1, 0], "int32")
    one, again, other = (trained(labels, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_mixed_images_are_compared_with_the_identities_of_both():
    keras.utils.set_random_seed(0)
    head = ArcFace(scale=8.0, sample_rate=0.5, num_identities=4)
    images = keras.Input((CENTERS.shape[1],))
    recognizer = Recognizer(keras.Model(images, keras.layers.Identity()(images)), head)
    head.class_centers.assign(CENTERS)
    for share in (0.0, 0.3, 1.0):
        labels = {
            "identities": np.array([0], "int32"),
            "others": np.array([3], "int32"),
            "shares": np.array([share], "float32"),
        }
        losses, _ = recognizer.losses_and_correct(SINGLE[:1], labels, training=True)
        # Two of four: the two that are required.
        pair = ArcFace(scale=8.0, num_identities=2)
        pair.build((None, 3))
        pair.class_centers.assign(CENTERS[[0, 3]])
        first, second = (
            float(pair.losses_and_correct(SINGLE[:1], np.array([i], "int32"))[0][0]) for i in (0, 1)
        )
        assert float(losses[0]) == pytest.approx(share * first + (1 - share) * second, rel=1e-5)


# -------------------------------------------------------------------------------------- padding
NUM_CLASSES, SIZE = 7, 5


def padded_and_plain(constructor, **options):
    keras.utils.set_random_seed(3)
    padded = constructor(num_identities=NUM_CLASSES, **options)
    # 7 classes are padded to 8.
    padded.centers.num_shards = 4
    padded.build((None, SIZE))
    plain = constructor(num_identities=NUM_CLASSES, **options)
    plain.build((None, SIZE))
    plain.class_centers.assign(padded.class_centers[: padded.num_centers])
    return padded, plain


@pytest.mark.parametrize(
    ("constructor", "options"),
    [
        (ArcFace, {"scale": 4.0}),
        (ArcFace, {"scale": 4.0, "label_smoothing": 0.3}),
        (CurricularFace, {}),
        (SubcenterArcFace, {"scale": 4.0}),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(constructor, options, training):
    padded, plain = padded_and_plain(constructor, **options)
    assert padded.class_centers.shape[0] * 7 == plain.class_centers.shape[0] * 8
    embeddings = np.random.default_rng(0).normal(size=(6, SIZE)).astype("float32")
    # Away from all centers: the padding's cosine of 0 would be the best.
    embeddings[0] = -np.sum(ops.convert_to_numpy(plain.class_centers), axis=0)
    labels = np.arange(6, dtype="int32")
    for found, expected in zip(
        padded.losses_and_correct(embeddings, labels, training=training),
        plain.losses_and_correct(embeddings, labels, training=training),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for arguments in ((embeddings,), (embeddings, labels)):
        logits = padded(*arguments)
        assert logits.shape == (6, NUM_CLASSES)
        np.testing.assert_allclose(logits, plain(*arguments), rtol=1e-5, atol=1e-5)


def test_the_first_rows_start_as_without_padding():
    def centers(num_shards: int) -> np.ndarray:
        keras.utils.set_random_seed(3)
        centers = ClassCenters(NUM_CLASSES, num_shards=num_shards)
        centers.build((None, SIZE))
        return ops.convert_to_numpy(centers.class_centers)

    np.testing.assert_array_equal(centers(4)[:NUM_CLASSES], centers(1))
    np.testing.assert_array_equal(centers(4)[NUM_CLASSES:], 0)


def test_padding_stays_zero_in_training():
    """So a run may resume with another number of devices."""
    head, _ = padded_and_plain(ArcFace)
    images = keras.Input((SIZE,))
    model = keras.Model(images, keras.layers.Dense(SIZE)(images))

    class Trained(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = model, head

        def call(self, inputs):
            return self.inner(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(self.head.losses_and_correct(y_pred, y, training=training)[0])

    trained = Trained()
    trained.compile(optimizer=keras.optimizers.Adam(0.1))
    before = ops.convert_to_numpy(head.class_centers).copy()
    embeddings = np.random.default_rng(0).normal(size=(6, SIZE)).astype("float32")
    trained.fit(embeddings, np.arange(6, dtype="int32"), batch_size=6, verbose=0)
    after = ops.convert_to_numpy(head.class_centers)
    assert not np.array_equal(after[:NUM_CLASSES], before[:NUM_CLASSES])
    np.testing.assert_array_equal(after[NUM_CLASSES:], 0)
