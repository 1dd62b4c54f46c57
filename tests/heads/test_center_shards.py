"""Class centers with rows that are nobody's, as devices that share them need."""

import keras
import numpy as np
import pytest
from keras import ops

from tfface.heads.arcface import ArcFaceHead
from tfface.heads.curricularface import CurricularFaceHead
from tfface.heads.subcenter_arcface import SubcenterArcFaceHead

NUM_IDENTITIES, SIZE = 7, 5


def make(kind, **options):
    keras.utils.set_random_seed(3)
    head = kind(num_identities=NUM_IDENTITIES, **options)
    # 7 identities become 8 places.
    head.center_shards = 4
    head.build((None, SIZE))
    whole = kind(num_identities=NUM_IDENTITIES, **options)
    whole.build((None, SIZE))
    whole.class_centers.assign(head.class_centers[: head.num_centers])
    return head, whole


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ArcFaceHead, {"scale": 4.0}),
        (ArcFaceHead, {"scale": 4.0, "label_smoothing": 0.3}),
        (CurricularFaceHead, {}),
        (SubcenterArcFaceHead, {"scale": 4.0}),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_nobody_changes_nothing(kind, options, training):
    head, whole = make(kind, **options)
    assert head.class_centers.shape[0] * 7 == whole.class_centers.shape[0] * 8
    embeddings = np.random.default_rng(0).normal(size=(6, SIZE)).astype("float32")
    # Away from all centers: nobody's cosine of 0 would be the best.
    embeddings[0] = -np.sum(ops.convert_to_numpy(whole.class_centers), axis=0)
    identities = np.arange(6, dtype="int32")
    for found, expected in zip(
        head.loss_and_accuracy(embeddings, identities, training=training),
        whole.loss_and_accuracy(embeddings, identities, training=training),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert head.logits(embeddings).shape == (6, NUM_IDENTITIES)
    np.testing.assert_allclose(
        head.logits(embeddings), whole.logits(embeddings), rtol=1e-5, atol=1e-5
    )


def test_the_first_rows_are_drawn_as_without_the_others():
    def centers(shards: int) -> np.ndarray:
        keras.utils.set_random_seed(3)
        head = ArcFaceHead(num_identities=NUM_IDENTITIES)
        head.center_shards = shards
        head.build((None, SIZE))
        return ops.convert_to_numpy(head.class_centers)

    np.testing.assert_array_equal(centers(4)[:NUM_IDENTITIES], centers(1))
    np.testing.assert_array_equal(centers(4)[NUM_IDENTITIES:], 0)


def test_a_step_leaves_nobody_where_it_is():
    """Zeros stay zeros, so that a run may go on with another number of devices."""
    head, _ = make(ArcFaceHead)
    images = keras.Input((SIZE,))
    model = keras.Model(images, keras.layers.Dense(SIZE)(images))

    class Trained(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = model, head

        def call(self, inputs):
            return self.inner(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(self.head.loss_and_accuracy(y_pred, y, training=training)[0])

    trained = Trained()
    trained.compile(optimizer=keras.optimizers.Adam(0.1))
    before = ops.convert_to_numpy(head.class_centers).copy()
    embeddings = np.random.default_rng(0).normal(size=(6, SIZE)).astype("float32")
    trained.fit(embeddings, np.arange(6, dtype="int32"), batch_size=6, verbose=0)
    after = ops.convert_to_numpy(head.class_centers)
    assert not np.array_equal(after[:NUM_IDENTITIES], before[:NUM_IDENTITIES])
    np.testing.assert_array_equal(after[NUM_IDENTITIES:], 0)
