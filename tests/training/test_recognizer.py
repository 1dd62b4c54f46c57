"""The recognizer: what it is made of, and that it learns on any backend."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.recipes import ONE_STAGE, load_tiny
from tfface.errors import InputError
from tfface.heads import ArcFace, CurricularFace, SigmoidHead, SoftmaxHead
from tfface.recipe import load
from tfface.training import stages
from tfface.training.recognizer import Recognizer, build_recognizer, check_batch_norms
from tfface.training.registries import REGISTRIES
from tfface.training.run import train


def make(tmp_path, *overrides, image_size=(32, 32), num_identities=6):
    keras.utils.set_random_seed(1)
    return build_recognizer(
        load_tiny(tmp_path, *overrides).model, image_size, num_identities, tmp_path
    )


def num_weights(weights) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def test_embeddings_are_float32_of_the_asked_size(tmp_path):
    embeddings = make(tmp_path)(np.zeros((3, 32, 32, 3), "uint8"))
    assert embeddings.shape == (3, 8)
    assert keras.backend.standardize_dtype(embeddings.dtype) == "float32"


def test_transfer_learning_with_one_sigmoid_unit_trains_1281_parameters(tmp_path):
    """MobileNetV2, average pooling, one sigmoid unit: 1,280 weights and a bias."""
    root = Path(__file__).resolve().parents[2]
    recipe = load(
        root / "recipes" / "mobilenetv2_transfer.yaml", REGISTRIES, ["model.backbone.weights=none"]
    )
    recognizer = build_recognizer(recipe.model, (96, 96), 2, tmp_path)
    stage = recipe.training.stages[0]
    stages.prepare(recognizer, stage, steps_per_epoch=1)
    assert num_weights(recognizer.trainable_weights) == 1_281
    assert "1,281 of 2,259,265 parameters trainable" in stages.describe(recognizer, stage)


def test_input_batch_norm_flatten_and_hidden_layers(tmp_path):
    recognizer = make(
        tmp_path,
        "model.neck={pooling: flatten, input_batch_norm: true, dropout: 0.5, "
        "hidden_units: [16, 4]}",
        "model.embedding_size=none",
    )
    names = [layer.name for layer in recognizer.embedder.layers]
    assert names.index("neck_input_batch_norm") < names.index("neck_flatten")
    assert names.index("neck_flatten") < names.index("neck_hidden_0") < names.index("neck_hidden_1")
    assert recognizer.embedder.output_shape == (None, 4)


@pytest.mark.parametrize(
    ("hidden", "dropouts"),
    [
        ("[]", ["neck_dropout"]),
        ("[16, 8]", ["neck_hidden_dropout_0", "neck_hidden_dropout_1"]),
    ],
)
def test_dropout_is_behind_each_hidden_layer_or_the_pooling(tmp_path, hidden, dropouts):
    embedder = make(tmp_path, f"model.neck.hidden_units={hidden}").embedder
    found = [layer.name for layer in embedder.layers if isinstance(layer, keras.layers.Dropout)]
    assert found == dropouts


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_gives_float32_embeddings(tmp_path, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        recognizer = make(tmp_path)
    finally:
        keras.config.set_dtype_policy(before)
    embeddings = recognizer(np.zeros((2, 32, 32, 3), "uint8"))
    assert keras.backend.standardize_dtype(embeddings.dtype) == "float32"
    assert recognizer.backbone.compute_dtype == policy.removeprefix("mixed_")


def test_the_saved_embedder_loads_without_tfface(tmp_path):
    """It is made of Keras' own layers, the normalization included, and takes uint8 or float RGB."""
    recognizer = make(tmp_path)
    recognizer.embedder.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    expected = keras.ops.convert_to_numpy(recognizer.embedder(images))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(images)), expected)
    assert {type(layer).__module__.partition(".")[0] for layer in loaded.layers} == {"keras"}


def test_embedding_l2_is_added_to_loss_and_gradient_of_training(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype="uint8")
    labels = np.arange(6)
    losses, val_losses, kernels = [], [], []
    for override in ([], ["model.neck.embedding_l2=0.1"]):
        recognizer = make(tmp_path, *override)
        kernel = recognizer.embedder.get_layer("embedding").kernel
        before = keras.ops.convert_to_numpy(kernel)
        recognizer.compile(optimizer=keras.optimizers.SGD(0.5))
        val_losses.append(recognizer.test_on_batch(images, labels, return_dict=True)["loss"])
        losses.append(recognizer.train_on_batch(images, labels, return_dict=True)["loss"])
        kernels.append(keras.ops.convert_to_numpy(kernel))
    assert val_losses[0] == val_losses[1]
    np.testing.assert_allclose(losses[1] - losses[0], 0.1 * np.sum(before**2), rtol=1e-4)
    np.testing.assert_allclose(kernels[1] - kernels[0], -0.5 * 2 * 0.1 * before, atol=1e-6)


def test_a_model_trained_with_embedding_l2_loads_without_tfface(tmp_path):
    make(tmp_path, "model.neck.embedding_l2=0.1").embedder.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded(np.zeros((1, 32, 32, 3), "uint8")).shape == (1, 8)


def test_it_can_learn_a_few_images_by_heart(tmp_path):
    recognizer = make(tmp_path, "model.neck.dropout=0")
    recognizer.compile(optimizer=keras.optimizers.Adam(1e-2))
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    identities = np.arange(12, dtype="int32") % 6
    history = recognizer.fit(
        np.tile(images, (10, 1, 1, 1)),
        np.tile(identities, 10),
        batch_size=12,
        epochs=6,
        verbose=0,
        shuffle=False,
    ).history
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < history["loss"][0] / 4
    # A user of Keras sees what Keras' own models have.
    assert sorted(history) == ["accuracy", "loss"]
    found = recognizer.evaluate(images, identities, verbose=0, return_dict=True)
    assert sorted(found) == ["accuracy", "loss"]


def test_a_run_sees_each_step(tmp_path):
    recognizer = make(tmp_path)
    recognizer.reports_steps = True
    recognizer.compile(optimizer="sgd")
    images, identities = np.zeros((6, 32, 32, 3), "uint8"), np.arange(6, dtype="int32")
    history = recognizer.fit(images, identities, batch_size=6, verbose=0).history
    assert sorted(history) == ["accuracy", "loss", "nonfinite", "step_loss"]
    # One batch an epoch: the mean over the epoch is the loss of the step.
    np.testing.assert_allclose(history["step_loss"], history["loss"], rtol=1e-4)


class TestLabels:
    def recognizer(self, head) -> Recognizer:
        keras.utils.set_random_seed(3)
        images = keras.Input((4,))
        recognizer = Recognizer(keras.Model(images, keras.layers.Dense(3)(images)), head)
        recognizer.compile("sgd")
        return recognizer

    @pytest.mark.parametrize("head", [ArcFace, SoftmaxHead])
    def test_of_any_usual_form(self, head):
        recognizer = self.recognizer(head(num_identities=3))
        images, labels = np.eye(4, dtype="float32"), np.array([0, 2, 1, 0])
        flat, column, floats = (
            recognizer.evaluate(images, given, verbose=0, return_dict=True)["loss"]
            for given in (labels, labels[:, None], labels.astype("float32"))
        )
        assert flat == column == floats

    @pytest.mark.parametrize("head", [ArcFace, SoftmaxHead, CurricularFace])
    def test_one_hot_labels_are_refused(self, head):
        recognizer = self.recognizer(head(num_identities=3))
        with pytest.raises(ValueError, match=r"whole numbers from 0 to 2, of shape \[batch\], got"):
            recognizer.fit(np.eye(4, dtype="float32"), np.eye(4)[:, :3], verbose=0)

    @pytest.mark.parametrize("which", ["identities", "others"])
    def test_nor_in_mixed_images(self, which):
        recognizer = self.recognizer(SigmoidHead(num_identities=2))
        embeddings, good = np.eye(4, 3, dtype="float32"), np.array([0, 1, 1, 0], "int32")
        labels = {"identities": good, "others": good, "shares": np.full(4, 0.5, "float32")}
        losses, _ = recognizer.losses_and_correct(embeddings, labels, training=False)
        assert np.isfinite(losses).all()
        labels[which] = np.array([0, 1, 2, 0], "int32")
        losses, _ = recognizer.losses_and_correct(embeddings, labels, training=False)
        assert np.isnan(losses).tolist() == [False, False, True, False]

    def test_weights_of_examples_are_not_for_penalties(self):
        images = keras.Input((4,))
        layer = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(1.0))
        recognizer = Recognizer(keras.Model(images, layer(images)), SoftmaxHead(num_identities=3))
        recognizer.compile(keras.optimizers.SGD(0.0))
        penalty = float(np.sum(layer.get_weights()[0] ** 2))
        given = np.eye(4, dtype="float32"), np.array([0, 2, 1, 0])
        without, *weighted = (
            recognizer.fit(*given, sample_weight=weight, verbose=0).history["loss"][0]
            for weight in (None, np.zeros(4), np.ones(4), np.full(4, 10.0))
        )
        of_head = without - penalty
        expected = [penalty, without, 10 * of_head + penalty]
        np.testing.assert_allclose(weighted, expected, rtol=1e-5)

    # In int32 the last two would be 1 and 0. JAX cuts labels to 32 bits before anybody sees them.
    @pytest.mark.parametrize(
        "bad", [-1, 3, 1.5] + ([2**32] if keras.backend.backend() == "tensorflow" else [])
    )
    @pytest.mark.parametrize("head", [ArcFace, SoftmaxHead, SigmoidHead])
    def test_what_is_no_class_is_no_number_or_an_error(self, head, bad):
        num_identities = 2 if head is SigmoidHead else 3
        recognizer = self.recognizer(head(num_identities=num_identities))
        labels = np.array([0, 1, bad, 0])
        if keras.backend.backend() == "tensorflow" and head is not SigmoidHead:
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"not in|outside the valid"):
                recognizer.fit(np.eye(4, dtype="float32"), labels, verbose=0)
        else:
            history = recognizer.fit(np.eye(4, dtype="float32"), labels, verbose=0).history
            assert np.isnan(history["loss"]).all()


@pytest.mark.parametrize(
    "given",
    [{"loss": "mse"}, {"metrics": ["mae"]}, {"loss_weights": [2]}, {"weighted_metrics": ["mae"]}],
)
def test_the_head_has_the_loss_and_the_metrics(tmp_path, given):
    with pytest.raises(ValueError, match="leave loss, loss_weights, metrics and weighted_metrics"):
        make(tmp_path).compile("adam", **given)


def test_it_comes_back_from_its_file_compiled(tmp_path):
    images = keras.Input((4,))
    made = Recognizer(
        keras.Model(images, keras.layers.Dense(3)(images)), SoftmaxHead(num_identities=3)
    )
    made.compile(keras.optimizers.SGD(0.25, momentum=0.5))
    pictures, labels = np.eye(4, dtype="float32"), np.array([0, 2, 1, 0])
    made.fit(pictures, labels, verbose=0)
    made.save(tmp_path / "recognizer.keras")
    loaded = keras.saving.load_model(tmp_path / "recognizer.keras")
    assert float(loaded.optimizer.learning_rate) == 0.25
    for one in (made, loaded):
        one.fit(pictures, labels, shuffle=False, verbose=0)
    for before, after in zip(made.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"model\.backbone\.weights: .*no\.weights\.h5: no such"):
        make(tmp_path, "model.backbone.weights=no.weights.h5")


def test_a_backbone_without_published_weights(tmp_path):
    with pytest.raises(InputError, match="plain_cnn has no 'imagenet' weights"):
        make(tmp_path, "model.backbone.weights=imagenet")


class TestOneImageInABatch:
    def check(self, folder, *overrides, num_images=1) -> None:
        recipe = load_tiny(folder, *overrides)
        recognizer = build_recognizer(recipe.model, recipe.data.image_size, 6, folder)
        check_batch_norms(recognizer.embedder, recipe.training, num_images)

    def test_a_norm_on_vectors(self, tmp_path):
        with pytest.raises(
            InputError, match=r"^data\.batch_size: neck_batch_norm is a batch norm on"
        ):
            self.check(tmp_path)
        self.check(tmp_path, num_images=2)
        self.check(tmp_path, "model.neck.batch_norm=false")

    def test_a_norm_on_a_feature_map_of_one_place(self, tmp_path):
        """32 pixels are one place after five halvings."""
        own = ("model.neck={input_batch_norm: true, batch_norm: false}",)
        self.check(tmp_path, *own)
        five = "model.backbone={name: plain_cnn, channels: [4, 4, 4, 4, 4]}"
        with pytest.raises(InputError, match="neck_input_batch_norm"):
            self.check(tmp_path, *own, five)

    @pytest.mark.slow
    def test_in_the_backbone(self, tmp_path):
        own = (
            "model.backbone={name: mobilenet_v2}",
            "model.neck.batch_norm=false",
            "training.stages=[{name: a, freeze: backbone, epochs: 1, optimizer: adam}]",
        )
        self.check(tmp_path, *own)
        with pytest.raises(InputError, match=r"block_\d+_\w+ is a batch norm on vectors"):
            self.check(tmp_path, *own, "training.stages.0.freeze=none")

    def test_a_run_refuses_it(self, tmp_path):
        recipe = load_tiny(tmp_path, *ONE_STAGE, "data.batch_size=1")
        with pytest.raises(InputError, match="makes the same of every image"):
            train(recipe, tmp_path / "run", tmp_path)
