"""Freezing, optimizers and schedules."""

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.training import stages
from tfface.training.recognizer import build_recognizer

STEPS = 10


@pytest.fixture
def make(tmp_path):
    def make(*overrides):
        recipe = load_tiny(tmp_path, *overrides)
        recognizer = build_recognizer(recipe.model, (32, 32), 6, tmp_path)
        return recognizer, recipe.training.stages[0]

    return make


def train_a_step(recognizer) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    recognizer.fit(images, np.arange(8, dtype="int32") % 6, batch_size=8, verbose=0)


class TestFreezing:
    def test_a_frozen_backbone_does_not_change_at_all(self, make):
        recognizer, stage = make("training.stages.0.freeze=backbone")
        stages.prepare(recognizer, stage, STEPS)
        before = recognizer.backbone.get_weights()
        train_a_step(recognizer)
        for old, new in zip(before, recognizer.backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_frozen_batch_norms_keep_their_statistics_while_the_rest_trains(self, make):
        recognizer, stage = make("training.stages.0.freeze=backbone_bn")
        stages.prepare(recognizer, stage, STEPS)
        norm = recognizer.backbone.get_layer("batch_norm_0")
        convolution = recognizer.backbone.get_layer("conv_0")
        old_norm, old_convolution = norm.get_weights(), convolution.get_weights()
        train_a_step(recognizer)
        for old, new in zip(old_norm, norm.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        assert not np.array_equal(old_convolution[0], convolution.get_weights()[0])

    def test_a_frozen_embedder_leaves_the_head_to_train(self, make):
        recognizer, stage = make("training.stages.0.freeze=embedder")
        stages.prepare(recognizer, stage, STEPS)
        before = recognizer.embedder.get_weights()
        centers = keras.ops.convert_to_numpy(recognizer.head.trainable_variables[0])
        train_a_step(recognizer)
        for old, new in zip(before, recognizer.embedder.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        after = keras.ops.convert_to_numpy(recognizer.head.trainable_variables[0])
        assert not np.array_equal(centers, after)
        stages.prepare(recognizer, stage.model_copy(update={"freeze": "none"}), STEPS)
        assert len(recognizer.embedder.trainable_variables) > 0

    def test_the_next_stage_unfreezes(self, make):
        recognizer, stage = make("training.stages.0.freeze=backbone")
        stages.prepare(recognizer, stage, STEPS)
        frozen = len(recognizer.trainable_variables)
        stages.prepare(recognizer, stage.model_copy(update={"freeze": "none"}), STEPS)
        assert len(recognizer.trainable_variables) == frozen + 2 * 3
        train_a_step(recognizer)


class TestOptimizers:
    @pytest.mark.parametrize(
        ("overrides", "kind", "options"),
        [
            ("{name: sgd, momentum: 0.8}", "SGD", {"momentum": 0.8}),
            ("{name: sgd, nesterov: true}", "SGD", {"nesterov": True}),
            ("{name: adam, beta_1: 0.8}", "Adam", {"beta_1": 0.8}),
            ("{name: adamw, weight_decay: 0.02}", "AdamW", {"weight_decay": 0.02}),
            ("{name: rmsprop, rho: 0.8, momentum: 0.5}", "RMSprop", {"rho": 0.8, "momentum": 0.5}),
            ("{name: adagrad, epsilon: 0.1}", "Adagrad", {"epsilon": 0.1}),
            ("{name: lamb, weight_decay: 0.03}", "Lamb", {"weight_decay": 0.03}),
            ("{name: lion, weight_decay: 0}", "Lion", {"weight_decay": None}),
        ],
    )
    def test_options_arrive(self, make, overrides, kind, options):
        recognizer, stage = make(f"training.stages.0.optimizer={overrides}")
        stages.prepare(recognizer, stage, STEPS)
        assert type(recognizer.optimizer).__name__ == kind
        for name, value in options.items():
            assert getattr(recognizer.optimizer, name) == value

    def test_weight_decay_spares_biases_and_norms(self, make):
        recognizer, stage = make(
            "training.stages.0.freeze=none",
            "training.stages.0.optimizer={name: sgd, learning_rate: 0.1, momentum: 0, "
            "weight_decay: 0.5}",
        )
        stages.prepare(recognizer, stage, STEPS)
        variables = recognizer.trainable_variables
        for variable in variables:
            variable.assign(np.ones(variable.shape))
        zeros = [keras.ops.zeros(variable.shape) for variable in variables]
        recognizer.optimizer.apply_gradients(zip(zeros, variables, strict=True))
        for variable in variables:
            expected = 1.0 if len(variable.shape) < 2 else 0.95
            np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, rtol=1e-6)
        assert any(len(variable.shape) < 2 for variable in variables)


class TestSchedules:
    def rates(self, make, schedule: str, steps, *overrides) -> list[float]:
        recognizer, stage = make(
            f"training.stages.0.schedule={schedule}",
            "training.stages.0.epochs=4",
            "training.stages.0.optimizer={name: sgd, learning_rate: 0.1}",
            *overrides,
        )
        stages.prepare(recognizer, stage, STEPS)
        schedule = recognizer.optimizer._learning_rate
        return [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]

    def test_constant(self, make):
        np.testing.assert_allclose(self.rates(make, "constant", [0, 17, 39]), 0.1, rtol=1e-6)

    def test_step(self, make):
        rates = self.rates(make, "{name: step, every_epochs: 2, gamma: 0.1}", [0, 19, 20, 39])
        np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01], rtol=1e-6)

    def test_step_by_any_factor(self, make):
        rates = self.rates(make, "{name: step, every_epochs: 1, gamma: 0.8}", [9, 10, 39])
        np.testing.assert_allclose(rates, [0.1, 0.08, 0.1 * 0.8**3], rtol=1e-6)

    @pytest.mark.parametrize("epochs", ["[1, 3]", "[3, 1]"])
    def test_multi_step(self, make, epochs):
        schedule = f"{{name: multi_step, epochs: {epochs}, gamma: 0.5}}"
        rates = self.rates(make, schedule, [0, 9, 10, 29, 30, 39])
        np.testing.assert_allclose(rates, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025], rtol=1e-6)

    def test_exponential(self, make):
        rates = self.rates(make, "{name: exponential, gamma: 0.81}", [0, 5, 10, 20])
        np.testing.assert_allclose(rates, [0.1, 0.09, 0.081, 0.06561], rtol=1e-6)

    def test_polynomial(self, make):
        schedule = "{name: polynomial, power: 2, min_lr_ratio: 0.2}"
        rates = self.rates(make, schedule, [0, 20, 40, 50])
        np.testing.assert_allclose(rates, [0.1, 0.02 + 0.08 / 4, 0.02, 0.02], rtol=1e-6)

    def test_cosine(self, make):
        rates = self.rates(make, "{name: cosine, min_lr_ratio: 0.2}", [0, 20, 40])
        np.testing.assert_allclose(rates, [0.1, 0.06, 0.02], rtol=1e-6)

    def test_warm_up_rises_linearly_to_the_schedule(self, make):
        rates = self.rates(make, "constant", [0, 4, 9, 10], "training.stages.0.lr_warmup_epochs=1")
        np.testing.assert_allclose(rates, [0.01, 0.05, 0.1, 0.1], rtol=1e-6)


class TestClipping:
    @pytest.mark.parametrize("global_clipnorm", ["0.01", "1e6"])
    def test_the_gradient_of_all_weights_is_at_most_so_long(self, make, global_clipnorm):
        recognizer, stage = make(
            "training.stages.0.freeze=none",
            "training.stages.0.optimizer={name: sgd, learning_rate: 1, momentum: 0}",
            f"training.stages.0.global_clipnorm={global_clipnorm}",
            "model.neck.dropout=0",
        )
        stages.prepare(recognizer, stage, STEPS)
        before = [keras.ops.convert_to_numpy(v) for v in recognizer.trainable_variables]
        train_a_step(recognizer)
        change = [
            np.sum(np.square(keras.ops.convert_to_numpy(new) - old, dtype="float64"))
            for new, old in zip(recognizer.trainable_variables, before, strict=True)
        ]
        norm = np.sqrt(sum(change))
        if global_clipnorm == "0.01":
            np.testing.assert_allclose(norm, 0.01, rtol=1e-3)
        else:
            assert norm > 0.02


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.stages.1.optimizer.learning_rate=1e39", "learning_rate: .*1000000"),
        ("training.stages.1.optimizer.learning_rate=0", "learning_rate: .*greater than 0"),
        (f"model.backbone.channels={[8] * 500}", "channels: .*32"),
        (f"model.backbone={{name: simple_cnn, channels: {[8] * 33}}}", "channels: .*32"),
    ],
)
def test_values_that_no_model_can_have(tmp_path, override, message):
    with pytest.raises(InputError, match=message) as caught:
        load_tiny(tmp_path, override)
    assert "\n" not in str(caught.value)
