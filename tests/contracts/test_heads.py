"""What every head promises, run over the table."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.contracts.gradients import gradient
from tfface.heads import HEADS, Head
from tfface.heads.head_file import load_head, save_head

NUM_IDENTITIES = {"sigmoid": 2}
MARGIN_HEADS = ["arcface"]
SIZE = 8


def make(name: str, **options) -> Head:
    keras.utils.set_random_seed(3)
    head = HEADS[name](num_identities=NUM_IDENTITIES.get(name, 5), **options)
    head.build((None, SIZE))
    return head


def example(name: str, batch: int = 6):
    rng = np.random.default_rng(7)
    embeddings = rng.normal(size=(batch, SIZE)).astype("float32")
    identities = rng.integers(0, NUM_IDENTITIES.get(name, 5), batch).astype("int32")
    return embeddings, identities


@pytest.mark.parametrize("name", HEADS)
class TestEveryHead:
    def test_shapes_and_ranges(self, name):
        embeddings, identities = example(name)
        losses, found = make(name).loss_and_accuracy(embeddings, identities)
        assert losses.shape == found.shape == (6,)
        assert np.all(ops.convert_to_numpy(losses) >= 0)
        assert set(ops.convert_to_numpy(found)) <= {0.0, 1.0}

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_is_float32_under_mixed_precision(self, name, policy):
        embeddings, identities = example(name)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            head = make(name)
        finally:
            keras.config.set_dtype_policy(before)
        half = ops.cast(embeddings, policy.removeprefix("mixed_"))
        losses, found = head.loss_and_accuracy(half, identities)
        assert keras.backend.standardize_dtype(losses.dtype) == "float32"
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        assert keras.backend.standardize_dtype(head.logits(half).dtype) == "float32"

    def test_one_example_does_not_touch_another(self, name):
        embeddings, identities = example(name)
        head = make(name)
        together = ops.convert_to_numpy(head.loss_and_accuracy(embeddings, identities)[0])
        for i in range(len(identities)):
            alone = head.loss_and_accuracy(embeddings[i : i + 1], identities[i : i + 1])[0]
            np.testing.assert_allclose(ops.convert_to_numpy(alone)[0], together[i], rtol=1e-4)

    def test_probabilities_say_what_training_judges(self, name):
        embeddings, _ = example(name)
        head = make(name)
        found = ops.convert_to_numpy(head.probabilities(embeddings))
        num_identities = NUM_IDENTITIES.get(name, 5)
        assert found.shape == (6, num_identities)
        assert found.dtype == np.float32
        assert np.all(found >= 0)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        for identity in range(num_identities):
            _, right = head.loss_and_accuracy(embeddings, np.full(6, identity, "int32"))
            np.testing.assert_array_equal(
                found.argmax(axis=1) == identity, ops.convert_to_numpy(right) == 1
            )

    def test_comes_back_from_its_file(self, name, tmp_path):
        embeddings, _ = example(name)
        head = make(name)
        num_identities = NUM_IDENTITIES.get(name, 5)
        path = tmp_path / "run" / "head.npz"
        save_head(
            path,
            head,
            name=name,
            options={},
            num_identities=num_identities,
            embedding_size=SIZE,
        )
        keras.utils.set_random_seed(4)
        trained = load_head(path)
        assert type(trained.head) is type(head)
        assert (trained.num_identities, trained.embedding_size) == (num_identities, SIZE)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(trained.head.probabilities(embeddings)),
            ops.convert_to_numpy(head.probabilities(embeddings)),
        )

    def test_calling_it_gives_the_logits(self, name):
        embeddings, _ = example(name)
        head = make(name)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(head(embeddings)), ops.convert_to_numpy(head.logits(embeddings))
        )


@pytest.mark.parametrize("name", MARGIN_HEADS)
class TestMarginHeads:
    def test_zero_margin_is_scaled_softmax_in_value_and_gradient(self, name):
        embeddings, identities = example(name)
        head = make(name, margin=0.0, scale=16.0)
        centers = ops.convert_to_numpy(head.class_centers)
        centers = centers / np.linalg.norm(centers, axis=1, keepdims=True)

        def loss(x):
            return ops.sum(head.loss_and_accuracy(x, identities)[0])

        def scaled_softmax(x):
            unit = x / ops.norm(x, axis=-1, keepdims=True)
            logits = 16.0 * ops.matmul(unit, centers.T)
            picked = ops.sum(logits * ops.one_hot(identities, 5), axis=-1)
            return ops.sum(ops.logsumexp(logits, axis=-1) - picked)

        np.testing.assert_allclose(float(loss(embeddings)), float(scaled_softmax(embeddings)), 1e-5)
        np.testing.assert_allclose(
            gradient(loss, embeddings), gradient(scaled_softmax, embeddings), atol=1e-4
        )

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_gradients_are_finite_along_the_center(self, name, sign):
        head = make(name)
        embeddings = sign * ops.convert_to_numpy(head.class_centers)
        identities = np.arange(5, dtype="int32")

        def loss(x):
            return ops.sum(head.loss_and_accuracy(x, identities)[0])

        assert np.isfinite(float(loss(embeddings)))
        assert np.all(np.isfinite(gradient(loss, embeddings)))

    def test_the_length_of_an_embedding_does_not_count(self, name):
        embeddings, identities = example(name)
        head = make(name)
        once = ops.convert_to_numpy(head.loss_and_accuracy(embeddings, identities)[0])
        tenfold = ops.convert_to_numpy(head.loss_and_accuracy(10 * embeddings, identities)[0])
        np.testing.assert_allclose(once, tenfold, rtol=1e-4)

    def test_margin_makes_the_loss_larger(self, name):
        embeddings, identities = example(name)
        without = make(name, margin=0.0).loss_and_accuracy(embeddings, identities)[0]
        with_margin = make(name, margin=0.5).loss_and_accuracy(embeddings, identities)[0]
        assert np.all(ops.convert_to_numpy(with_margin) > ops.convert_to_numpy(without))
