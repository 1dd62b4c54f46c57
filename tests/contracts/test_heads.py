"""What every head promises, run over the table."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests.contracts.gradients import gradient
from tfface.errors import InputError
from tfface.heads import HEADS, Head, MarginSoftmax, TripletHead
from tfface.heads.head_file import load_head, save_head
from tfface.registry import build_from_config
from tfface.training.recognizer import Recognizer

NUM_IDENTITIES = {"sigmoid": 2}
SIZE = 8

# Heads that do not promise everything, and why.
WITHOUT_CLASSES = ["triplet"]  # compares images with each other
LOOKS_AT_THE_BATCH = ["triplet"]  # an example's loss is a matter of the others
NORM_COUNTS = ["adaface", "magface"]  # the margin depends on the embedding's norm

# Of five. JAX cuts labels to 32 bits before anybody sees them.
NO_CLASSES = [-1, 5, 1.5] + ([2**32] if keras.backend.backend() == "tensorflow" else [])

# The options with which a margin head has no margin.
NEUTRAL = {
    "arcface": {"margin": 0.0},
    "cosface": {"margin": 0.0},
    "sphereface": {"margin": 1.0},
    "combined": {"m1": 1.0, "m2": 0.0, "m3": 0.0},
    "curricularface": {"margin": 0.0},
    "adaface": {"margin": 0.0},
    "magface": {"lower_margin": 0.0, "upper_margin": 0.0, "lambda_g": 0.0},
    "subcenter_arcface": {"margin": 0.0},
}


def make(name: str, **options) -> Head:
    keras.utils.set_random_seed(3)
    head = unbuilt(name, **options)
    head.build((None, SIZE))
    return head


def unbuilt(name: str, steps_per_epoch: int | None = None, **options) -> Head:
    return build_from_config(
        HEADS[name],
        options,
        Path(),
        num_identities=NUM_IDENTITIES.get(name, 5),
        steps_per_epoch=steps_per_epoch,
    )


def example(name: str, batch: int = 6):
    rng = np.random.default_rng(7)
    embeddings = rng.normal(size=(batch, SIZE)).astype("float32")
    labels = rng.integers(0, NUM_IDENTITIES.get(name, 5), batch).astype("int32")
    return embeddings, labels


def losses_of(head: Head, embeddings, labels, **how) -> np.ndarray:
    return ops.convert_to_numpy(head.losses_and_correct(embeddings, labels, **how)[0])


def state_of(head: Head) -> dict[str, np.ndarray]:
    return {w.name: ops.convert_to_numpy(w) for w in head.non_trainable_weights}


# A linear one, a margin, one with a state, one without classes; the others are in the slow tier.
_DIFFERENT = ("softmax", "arcface", "curricularface", "triplet")


def in_its_tier(name: str, is_compiled: bool = False):
    """Those that are compiled, and all on JAX, are only some by default."""
    by_default = name in _DIFFERENT or not (is_compiled or keras.backend.backend() == "jax")
    return pytest.param(name, marks=[] if by_default else pytest.mark.slow)


def test_the_tables_of_this_test_know_all_heads():
    assert set(NEUTRAL) == {name for name in HEADS if isinstance(unbuilt(name), MarginSoftmax)}
    assert {*WITHOUT_CLASSES, *LOOKS_AT_THE_BATCH, *NORM_COUNTS} <= set(HEADS)


@pytest.mark.parametrize("name", [in_its_tier(name) for name in HEADS])
class TestEveryHead:
    def test_shapes_and_ranges(self, name):
        embeddings, labels = example(name)
        losses, correct = make(name).losses_and_correct(embeddings, labels)
        assert losses.shape == correct.shape == (6,)
        assert np.all(ops.convert_to_numpy(losses) >= 0)
        assert set(ops.convert_to_numpy(correct)) <= {0.0, 1.0}

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_is_float32_under_mixed_precision(self, name, policy):
        embeddings, labels = example(name)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            head = make(name, steps_per_epoch=2)
        finally:
            keras.config.set_dtype_policy(before)
        half = ops.cast(embeddings, policy.removeprefix("mixed_"))
        losses, correct = head.losses_and_correct(half, labels, training=True)
        results = [losses, correct]
        if name not in WITHOUT_CLASSES:
            results.append(head.logits(half))
        for result in [*results, *(w for w in head.weights if w.name != "steps")]:
            assert keras.backend.standardize_dtype(result.dtype) == "float32"

    @pytest.mark.parametrize("training", [False, True])
    def test_state_changes_in_training_only(self, name, training):
        embeddings, labels = example(name)
        head = make(name, steps_per_epoch=2)
        before = state_of(head)
        head.losses_and_correct(embeddings, labels, training=training, update_state=False)
        for key, value in state_of(head).items():
            np.testing.assert_array_equal(value, before[key])
        head.losses_and_correct(embeddings, labels, training=training)
        for key, value in state_of(head).items():
            assert np.array_equal(value, before[key]) != training, key

    def test_one_example_does_not_touch_another(self, name):
        embeddings, labels = example(name)
        head = make(name)
        together = losses_of(head, embeddings, labels)
        alone = [losses_of(head, embeddings[i : i + 1], labels[i : i + 1]) for i in range(6)]
        if name in LOOKS_AT_THE_BATCH:
            assert not np.allclose(np.concatenate(alone), together)
        else:
            np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-4)

    def test_probabilities_say_what_training_judges(self, name):
        embeddings, _ = example(name)
        head = make(name)
        if name in WITHOUT_CLASSES:
            for method in (head.probabilities, head.logits, head):
                with pytest.raises(InputError, match="has no classes, so it can't classify: "):
                    method(embeddings)
            return
        found = ops.convert_to_numpy(head.probabilities(embeddings))
        num_identities = NUM_IDENTITIES.get(name, 5)
        assert found.shape == (6, num_identities)
        assert found.dtype == np.float32
        assert np.all(found >= 0)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        for identity in range(num_identities):
            _, right = head.losses_and_correct(embeddings, np.full(6, identity, "int32"))
            np.testing.assert_array_equal(
                found.argmax(axis=1) == identity, ops.convert_to_numpy(right) == 1
            )

    def test_comes_back_from_its_file(self, name, tmp_path):
        embeddings, labels = example(name)
        head = make(name, steps_per_epoch=2)
        head.losses_and_correct(embeddings, labels, training=True)
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
        for loaded, saved in zip(
            trained.head.trainable_weights, head.trainable_weights, strict=True
        ):
            np.testing.assert_array_equal(ops.convert_to_numpy(loaded), ops.convert_to_numpy(saved))
        if name not in WITHOUT_CLASSES:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(trained.head.probabilities(embeddings)),
                ops.convert_to_numpy(head.probabilities(embeddings)),
            )

    def test_calling_it_gives_the_logits(self, name):
        embeddings, _ = example(name)
        head = make(name)
        if name in WITHOUT_CLASSES:
            return  # refused, see test_probabilities_say_what_training_judges
        np.testing.assert_array_equal(
            ops.convert_to_numpy(head(embeddings)), ops.convert_to_numpy(head.logits(embeddings))
        )


@pytest.mark.parametrize("name", [in_its_tier(name, is_compiled=True) for name in HEADS])
class TestEveryHeadInAModel:
    def test_fits_under_the_trainer_of_the_backend(self, name):
        """Traced once: weights and state change from step to step."""
        head = unbuilt(name, steps_per_epoch=2)
        images = keras.Input((SIZE,))
        features = keras.layers.Dense(SIZE, name="backbone")(images)
        recognizer = Recognizer(keras.Model(images, features), head)
        recognizer.compile(optimizer=keras.optimizers.SGD(1e-3))
        before = state_of(head)
        embeddings, labels = example(name, batch=12)
        recognizer.fit(embeddings, labels, batch_size=4, epochs=1, verbose=0)
        after = state_of(head)
        assert all(not np.array_equal(after[key], before[key]) for key in after)
        if name in NEUTRAL:
            assert after["steps"] == 3
        recognizer.evaluate(embeddings, labels, batch_size=4, verbose=0)
        assert state_of(head) == after

    def test_trains_as_a_layer_of_any_model_and_comes_back_from_its_file(self, name, tmp_path):
        embeddings, labels = example(name)
        head = unbuilt(name, steps_per_epoch=2)
        model = model_with(head)
        before = [ops.convert_to_numpy(weight) for weight in model.weights]
        targets = None if name in WITHOUT_CLASSES else labels
        model.fit([embeddings, labels], targets, batch_size=6, epochs=2, verbose=0)
        for weight, old in zip(model.weights, before, strict=True):
            assert not np.array_equal(ops.convert_to_numpy(weight), old), weight.path

        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        again = loaded.get_layer(head.name)
        assert type(again) is type(head)
        assert again.get_config() == head.get_config()
        assert [v.path for v in again.variables] == [v.path for v in head.variables]
        for one, other in zip(again.variables, head.variables, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
        for training in (False, True):
            found, expected = (
                ops.convert_to_numpy(one([embeddings, labels], training=training))
                for one in (loaded, model)
            )
            np.testing.assert_array_equal(found, expected)


def model_with(head: Head) -> keras.Model:
    """A plain Keras model, as a user may write it."""
    images, labels = keras.Input((SIZE,)), keras.Input((), dtype="int32")
    outputs = head(keras.layers.Dense(SIZE, use_bias=False)(images), labels)
    model = keras.Model([images, labels], outputs)
    if isinstance(head, TripletHead):
        loss = None  # its loss is the layer's own
    elif outputs.shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


@pytest.mark.parametrize("name", [in_its_tier(name) for name in NEUTRAL])
class TestMarginHeads:
    def test_no_margin_is_scaled_softmax_in_value_and_gradient(self, name):
        embeddings, labels = example(name)
        head = make(name, **NEUTRAL[name], scale=16.0)
        centers = ops.convert_to_numpy(head.class_centers)
        centers = centers / np.linalg.norm(centers, axis=1, keepdims=True)
        if name == "curricularface":
            # Hard negatives count otherwise than in softmax: have none.
            labels = np.argmax(embeddings @ centers.T, axis=1).astype("int32")

        def loss(x):
            return ops.sum(head.losses_and_correct(x, labels)[0])

        def scaled_softmax(x):
            unit = x / ops.norm(x, axis=-1, keepdims=True)
            cosines = ops.reshape(ops.matmul(unit, centers.T), (len(labels), 5, -1))
            logits = 16.0 * ops.max(cosines, axis=-1)
            picked = ops.sum(logits * ops.one_hot(labels, 5), axis=-1)
            return ops.sum(ops.logsumexp(logits, axis=-1) - picked)

        np.testing.assert_allclose(float(loss(embeddings)), float(scaled_softmax(embeddings)), 1e-5)
        np.testing.assert_allclose(
            gradient(loss, embeddings), gradient(scaled_softmax, embeddings), atol=1e-4
        )

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_gradients_are_finite_along_the_center(self, name, sign):
        head = make(name)
        every = head.centers.centers_per_class
        embeddings = sign * ops.convert_to_numpy(head.class_centers)[::every]
        labels = np.arange(5, dtype="int32")

        def loss(x):
            return ops.sum(head.losses_and_correct(x, labels)[0])

        assert np.isfinite(float(loss(embeddings)))
        assert np.all(np.isfinite(gradient(loss, embeddings)))

    def test_the_norm_of_an_embedding_counts_only_where_it_should(self, name):
        embeddings, labels = example(name)
        head = make(name)
        once = losses_of(head, embeddings, labels)
        tenfold = losses_of(head, 10 * embeddings, labels)
        assert np.allclose(once, tenfold, rtol=1e-4) == (name not in NORM_COUNTS)

    def test_margin_makes_the_loss_larger(self, name):
        embeddings, labels = example(name)
        heads = [make(name, **NEUTRAL[name]), make(name)]
        if name == "curricularface":
            # At first hard negatives count for less than in softmax, in the end for more.
            for head in heads:
                head.statistics["mean_cosine"].assign(1.0)
        without, with_margin = (losses_of(head, embeddings, labels) for head in heads)
        scales = [head.scale for head in heads]
        assert scales[0] == scales[1]
        assert np.all(with_margin > without)

    @pytest.mark.parametrize("bad", NO_CLASSES)
    def test_as_a_layer_it_has_no_logits_for_what_is_no_class(self, name, bad):
        """The loss of Keras would be 0 for these on JAX."""
        head = make(name)
        embeddings, labels = example(name)
        labels = labels.astype(type(bad))
        labels[2] = bad
        if bad == 5 and keras.backend.backend() == "tensorflow":
            # On a CPU it refuses to look up the cosine.
            with pytest.raises(tf.errors.InvalidArgumentError, match="not in"):
                head(embeddings, labels)
            return
        logits = ops.convert_to_numpy(head(embeddings, labels))
        assert np.isnan(logits).any(axis=1).tolist() == [False, False, True, False, False, False]

    def test_warm_up_leads_from_no_margin_to_the_full_one(self, name):
        embeddings, labels = example(name)
        head = make(name, margin_warmup_epochs=2.5, steps_per_epoch=4)

        def at(step: int, training: bool = True) -> np.ndarray:
            head.steps.assign(step)
            return losses_of(head, embeddings, labels, training=training, update_state=False)

        without = losses_of(make(name, **NEUTRAL[name]), embeddings, labels)
        full = losses_of(make(name, margin_warmup_epochs=0.0), embeddings, labels)
        np.testing.assert_allclose(at(0), without, rtol=1e-4)
        np.testing.assert_allclose(at(10), full, rtol=1e-4)
        np.testing.assert_allclose(at(1000), full, rtol=1e-4)
        # Between them, and full in evaluation at every step.
        assert not np.allclose(at(5), without, rtol=1e-2)
        assert not np.allclose(at(5), full, rtol=1e-2)
        np.testing.assert_allclose(at(0, training=False), full, rtol=1e-4)

    def test_without_a_number_of_steps_the_margin_is_full_at_once(self, name):
        embeddings, labels = example(name)
        for head in (make(name, margin_warmup_epochs=5.0), make(name, margin_warmup_epochs=0.0)):
            np.testing.assert_allclose(
                losses_of(head, embeddings, labels, training=True, update_state=False),
                losses_of(head, embeddings, labels),
                rtol=1e-5,
            )


# One center for each identity, and several; the other margins are in the slow tier.
_SAMPLED_BY_DEFAULT = ("arcface", "subcenter_arcface")


@pytest.mark.parametrize(
    "name",
    [
        in_its_tier(name)
        if name in _SAMPLED_BY_DEFAULT
        else pytest.param(name, marks=pytest.mark.slow)
        for name in NEUTRAL
    ],
)
class TestSampling:
    def test_a_sample_of_all_is_the_full_head_in_value_and_gradients(self, name):
        embeddings, labels = example(name)
        # Norms to which AdaFace and MagFace give margins between their ends.
        embeddings *= 15
        found = []
        for share in (1.0, 0.99):
            head = make(name, sample_rate=share)
            assert (head.sample_classes(labels) is None) == (share == 1.0)

            def loss(x, head=head):
                losses, _ = head.losses_and_correct(x, labels, training=True, update_state=False)
                return ops.sum(losses)

            centers = ops.convert_to_numpy(head.class_centers)
            found.append([float(loss(embeddings)), gradient(loss, embeddings)])
            # A step of plain gradient descent at rate 1 is the gradient.
            images = keras.Input((SIZE,))
            recognizer = Recognizer(keras.Model(images, keras.layers.Identity()(images)), head)
            recognizer.compile(optimizer=keras.optimizers.SGD(1.0))
            recognizer.fit(embeddings, labels, batch_size=6, verbose=0)
            found[-1].append(centers - ops.convert_to_numpy(head.class_centers))
            assert np.any(found[-1][-1] != 0)
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)

    def test_the_loss_is_that_of_a_head_of_the_sampled_classes_alone(self, name):
        embeddings, _ = example(name, batch=3)
        labels = np.array([4, 1, 4], "int32")
        head = make(name, sample_rate=0.6)
        sampled = head.sample_classes(labels)
        drawn = ops.convert_to_numpy(sampled.classes)
        assert len(drawn) == 3
        assert {1, 4} < set(drawn)
        alone = build_from_config(HEADS[name], {}, Path(), num_identities=3)
        alone.build((None, SIZE))
        every = head.centers.centers_per_class
        centers = ops.convert_to_numpy(head.class_centers).reshape(5, every, SIZE)
        alone.class_centers.assign(centers[drawn].reshape(3 * every, SIZE))
        for one, other in zip(
            head.losses_and_correct(embeddings, labels, training=True, sampled=sampled),
            alone.losses_and_correct(
                embeddings, np.searchsorted(drawn, labels).astype("int32"), training=True
            ),
            strict=True,
        ):
            np.testing.assert_allclose(
                ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-5
            )

    def test_evaluation_compares_with_all(self, name):
        embeddings, labels = example(name)
        full, sampled = make(name), make(name, sample_rate=0.2)
        np.testing.assert_array_equal(
            losses_of(sampled, embeddings, labels), losses_of(full, embeddings, labels)
        )


def test_a_sampling_head_with_subcenters_comes_back_from_a_model_file(tmp_path):
    """All but the state of its random generator, which Keras saves of no layer."""
    embeddings, labels = example("subcenter_arcface")
    head = unbuilt("subcenter_arcface", sample_rate=0.6, centers_per_class=2)
    model = model_with(head)
    model.train_on_batch([embeddings, labels], labels)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").get_layer(head.name)
    assert again.get_config() == head.get_config()
    assert [v.path for v in again.variables] == [v.path for v in head.variables]
    for one, other in zip(again.weights, head.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles all or nothing")
@pytest.mark.parametrize(
    "name",
    [
        # Heads that keep something from step to step, and one of the others.
        name
        if name in ("arcface", "curricularface", "adaface")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in HEADS
    ],
)
def test_training_in_a_graph_is_training_eagerly(name):
    """Compiled, the loss, its gradients and what the head keeps from step to step are the same."""
    import tensorflow as tf

    rng = np.random.default_rng(5)
    batches = [
        (
            (20 * rng.normal(size=(6, SIZE))).astype("float32"),
            rng.integers(0, NUM_IDENTITIES.get(name, 5), 6).astype("int32"),
        )
        for _ in range(3)
    ]

    def step(head, embeddings, labels):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses, correct = head.losses_and_correct(embeddings, labels, training=True)
            loss = tf.reduce_mean(losses)
        weights = [weight.value for weight in head.trainable_weights]
        return losses, correct, *tape.gradient(loss, [embeddings, *weights])

    results = []
    for wrap in (lambda function: function, tf.function):
        head = make(name, steps_per_epoch=2)
        run = wrap(lambda *tensors, head=head: step(head, *tensors))
        found = [tf.nest.flatten(run(*map(tf.constant, batch))) for batch in batches]
        results.append([*tf.nest.flatten(found), *head.get_weights()])
    assert len(results[0]) == len(results[1])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
