"""Drawing the identities that a step compares with, and training with them."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.heads.reference import CENTERS, EMBEDDINGS
from tfface.heads.arcface import ArcFaceHead
from tfface.heads.sampled_classes import draw_identities
from tfface.kernels import optimizers as fast_optimizers
from tfface.kernels.rows import use_sparse_updates
from tfface.training.recognizer import Recognizer


def draw(wanted, share: float, num_identities: int, seed) -> np.ndarray:
    return ops.convert_to_numpy(
        draw_identities(np.array(wanted, "int32"), share, num_identities, seed)
    )


@pytest.mark.parametrize(
    ("wanted", "share", "num_identities", "num_drawn"),
    [
        ([7, 3, 3], 0.2, 20, 4),
        ([7, 3, 5, 3, 19, 0], 0.2, 20, 6),  # more than the share of all
        ([1, 2, 1, 2, 1], 0.5, 3, 3),  # more than there are
        ([0], 0.001, 20, 1),
        ([0], 0.99, 10, 10),
    ],
)
def test_distinct_rising_and_with_the_wanted(wanted, share, num_identities, num_drawn):
    seed = keras.random.SeedGenerator(1)
    for _ in range(20):
        drawn = draw(wanted, share, num_identities, seed)
        assert drawn.shape == (num_drawn,)
        assert np.all(np.diff(drawn) > 0)
        assert 0 <= drawn[0] <= drawn[-1] < num_identities
        assert set(wanted) <= set(drawn)


def test_all_others_are_equally_likely():
    seed = keras.random.SeedGenerator(2)
    times = np.zeros(40)
    for _ in range(500):
        times[draw([5, 11], 0.3, 40, seed)] += 1
    assert times[5] == times[11] == 500
    others = np.delete(times, [5, 11]) / 500
    # 10 of 38; the deviation of a share of 500 is 0.0197, and 38 of them are looked at.
    np.testing.assert_allclose(others, 10 / 38, atol=4 * 0.0197)


def trained(labels, seed: int = 3):
    """Returns where the centers of 40 identities were before a step and are after, and momenta."""
    keras.utils.set_random_seed(seed)
    head = ArcFaceHead(scale=8.0, sampled_centers=0.2, num_identities=40)
    images = keras.Input((CENTERS.shape[1],))
    recognizer = Recognizer(keras.Model(images, keras.layers.Dense(3)(images)), head)
    optimizer = fast_optimizers.sgd(0.1, momentum=0.9, weight_decay=0.01)
    for variable in head.weights_changed_by_rows:
        use_sparse_updates(optimizer, variable)
    optimizer.exclude_from_weight_decay(var_list=head.weights_changed_by_rows)
    recognizer.compile(optimizer=optimizer)
    before = ops.convert_to_numpy(head.class_centers)
    recognizer.fit(EMBEDDINGS.astype("float32"), labels, batch_size=5, verbose=0)
    return (
        before,
        ops.convert_to_numpy(head.class_centers),
        ops.convert_to_numpy(optimizer.momentums[-1]),
    )


def test_only_the_candidates_move():
    before, after, momenta = trained(np.array([7, 7, 31, 31, 31], "int32"))
    moved = np.any(after != before, axis=1)
    assert np.count_nonzero(moved) == 8
    assert np.all(moved[[7, 31]])
    np.testing.assert_array_equal(np.any(momenta != 0, axis=1), moved)


def test_the_seed_decides_what_is_drawn():
    labels = np.array([0, 1, 0, 1, 0], "int32")
    one, again, other = (trained(labels, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_mixed_images_are_compared_with_the_identities_of_both():
    keras.utils.set_random_seed(0)
    head = ArcFaceHead(scale=8.0, sampled_centers=0.5, num_identities=4, warmup_epochs=0.0)
    images = keras.Input((CENTERS.shape[1],))
    recognizer = Recognizer(keras.Model(images, keras.layers.Identity()(images)), head)
    head.class_centers.assign(CENTERS)
    embeddings = EMBEDDINGS[:1].astype("float32")
    for share in (0.0, 0.3, 1.0):
        labels = {
            "identities": np.array([0], "int32"),
            "others": np.array([3], "int32"),
            "shares": np.array([share], "float32"),
        }
        losses, _ = recognizer.losses_and_correct(embeddings, labels, training=True)
        # Two of four: the two that are wanted.
        pair = ArcFaceHead(scale=8.0, num_identities=2, warmup_epochs=0.0)
        pair.build((None, 3))
        pair.class_centers.assign(CENTERS[[0, 3]])
        first, second = (
            float(pair.loss_and_accuracy(embeddings, np.array([i], "int32"))[0][0]) for i in (0, 1)
        )
        assert float(losses[0]) == pytest.approx(share * first + (1 - share) * second, rel=1e-5)
