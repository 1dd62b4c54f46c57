"""The model that is trained: backbone and neck compute embeddings, the head computes the loss."""

import dataclasses
import math
from pathlib import Path

import keras
from keras import layers, ops

from tfface.backbones import BACKBONES
from tfface.backbones.backbone import INPUT_NORMALIZATIONS
from tfface.backbones.neck import build_neck
from tfface.backbones.weights.loading import is_published_h5, load_initial_weights
from tfface.backbones.weights.published import download
from tfface.errors import InputError, note
from tfface.heads import HEADS, Head, MarginSoftmax
from tfface.heads.head import class_labels, only_for_classes
from tfface.kernels.batch_norm import use_fast_batch_norms
from tfface.kernels.convolutions import use_fast_convolutions
from tfface.kernels.keras_internals import flatten_layers
from tfface.paths import expanded
from tfface.recipe import Recipe
from tfface.recipe.schema import DistillationConfig, ModelConfig, TrainingConfig
from tfface.registry import build_from_config
from tfface.training.distillation import Distillation
from tfface.training.nonfinite import NonFiniteCounter
from tfface.training.warm_start import read_warm_start


@keras.saving.register_keras_serializable("tfface")
class Recognizer(keras.Model):
    """Embedder and head, trained together with `fit` on any Keras backend.

    Calling it returns embeddings; the head computes the loss of these, so `compile` takes an
    optimizer and no loss. It works on any backend, so the same recipe trains on TensorFlow and on
    JAX. `fit` takes images in 0..255 and int labels. Callbacks of Keras that monitor `val_accuracy`
    need `mode="max"`.

    Example:
        >>> import tfface
        >>> embedder = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=16)
        >>> head = tfface.heads.ArcFace(num_identities=3)
        >>> recognizer = tfface.Recognizer(embedder, head)
        >>> recognizer.compile("adam")
        >>> faces = {"source": "synthetic", "num_identities": 3, "images_per_identity": 4}
        >>> dataset = tfface.image_dataset(faces, image_size=32, batch_size=4)
        >>> history = recognizer.fit(dataset, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']

    Args:
        embedder: keras.Model, images [batch, height, width, 3] in 0..255 -> embeddings.
        head: Head; None to learn from a teacher alone.
        distillation: how the embeddings of a teacher are imitated. The labels of batches are then a
            dict of `teacher`, its embeddings of the images, and, with a head, `identities`.

    Attributes:
        augmentation: for batches ((images, seeds), labels), the function
            (images, labels, seeds) -> (images, labels) that augments within a training step; on
            TensorFlow.

    Example:
        >>> import numpy as np
        >>> from tfface.heads import SoftmaxHead
        >>> images = keras.Input((8, 8, 3))
        >>> embedder = keras.Model(images, layers.Dense(4)(layers.Flatten()(images)))
        >>> recognizer = Recognizer(embedder, SoftmaxHead(num_identities=3))
        >>> recognizer.compile("sgd")
        >>> batch, labels = np.ones((6, 8, 8, 3), "float32"), np.arange(6, dtype="int32") % 3
        >>> history = recognizer.fit(batch, labels, epochs=2, verbose=0).history
        >>> sorted(history)
        ['accuracy', 'loss']
    """

    augmentation = None
    # A run watches the loss of each step, and counts the steps that are not finite. To `fit` and
    # its callbacks they would be two more metrics.
    reports_steps = False

    def __init__(
        self,
        embedder: keras.Model,
        head: Head | None,
        distillation: Distillation | None = None,
    ):
        super().__init__(name="recognizer")
        if head is None and distillation is None:
            raise ValueError("A Recognizer needs a head or a Distillation to learn from.")
        self.embedder = embedder
        self.head = head
        self.distillation = distillation
        if head is not None:
            if not head.built:
                head.build(embedder.output_shape)
                head.built = True
            self.accuracy = keras.metrics.Mean(name="accuracy")
        if distillation is not None:
            self.distillation_loss = keras.metrics.Mean(name="distillation_loss")
        self._mean_loss = MeanLoss()
        # The loss that Keras reports is the mean since the epoch began; this is that of the step.
        self.step_loss = LastValue(name="step_loss")
        self.nonfinite = NonFiniteCounter()
        use_fast_batch_norms(embedder)
        use_fast_convolutions(embedder)
        self.build(embedder.input_shape)

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **options,
    ):
        """As `keras.Model.compile`, without a loss and metrics: the head has its own.

        Raises ValueError: one is given.
        """
        if not (loss is None and loss_weights is None) or metrics or weighted_metrics:
            raise ValueError(
                "Recognizer.compile: the head computes the loss and the accuracy: leave loss, "
                "loss_weights, metrics and weighted_metrics out"
            )
        super().compile(optimizer=optimizer, **options)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def build(self, images_shape):
        self.built = True

    def call(self, images, training=None):
        return self.embedder(images, training=training)

    def train_step(self, *given):
        if self.augmentation is None:
            return super().train_step(*given)
        [((images, seeds), labels)] = given
        if self.distillation is None:
            return super().train_step(self.augmentation(images, labels, seeds))
        images, identities = self.augmentation(images, labels["identities"], seeds)
        return super().train_step((images, {**labels, "identities": identities}))

    def get_metrics_result(self):
        results = super().get_metrics_result()
        if not self.reports_steps:
            for metric in (self.step_loss, self.nonfinite):
                results.pop(metric.name, None)
        return results

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if y is None:
            raise ValueError("Recognizer: images without labels: give (images, labels)")
        if self.distillation is not None:
            imitation = self.distillation.losses(y_pred, y["teacher"])
            self.distillation_loss.update_state(imitation, sample_weight)
            losses = self.distillation.weight * imitation
            y = y.get("identities")
        if self.head is not None:
            of_head, correct = self.losses_and_correct(y_pred, y, training)
            self.accuracy.update_state(correct, sample_weight)
            losses = of_head if self.distillation is None else of_head + losses
        penalties = self.losses if training else []
        penalty = ops.sum(ops.stack(penalties)) if penalties else None
        # Added to each example, so that each device's part of the mean has its part of it.
        penalized = losses if penalty is None else losses + penalty
        loss = ops.mean(penalized)
        self.step_loss.update_state(loss)
        if training:
            self.nonfinite.update_state(loss, self._sentinel_weight())
        if penalty is None or sample_weight is None:
            return self._mean_loss(penalized, penalized, sample_weight)
        # The weights are for the examples' losses alone.
        of_examples = ops.broadcast_to(penalty, ops.shape(losses))
        weighted = self._mean_loss(losses, losses, sample_weight)
        return weighted + self._mean_loss(of_examples, of_examples)

    def losses_and_correct(self, embeddings, labels, training: bool):
        """Returns the loss of each example, and whether its identity has the largest logit.

        Args:
            embeddings: float [batch, embedding_size].
            labels: int32 [batch] identities; or, for mixed images, a dict of `identities` and
                `others`, int32 [batch], and `shares`, float32 [batch]: the part of the image that
                belongs to `identities`. The loss is the mean of both, weighted by it.
            training: whether state such as running statistics is updated.
        """
        if not isinstance(labels, dict):
            num_classes = self.head.num_classes
            labels = class_labels(labels, num_classes, self.head.name)
            losses, correct = self.head.losses_and_correct(embeddings, labels, training=training)
            if num_classes is not None:
                losses = only_for_classes(losses, labels, num_classes)
            return losses, correct
        sampled = None
        if training:
            wanted = ops.concatenate([labels["identities"], labels["others"]])
            sampled = self.head.sample_classes(wanted)
        # First, so that both see the head as it was before this step.
        others, _ = self.head.losses_and_correct(
            embeddings,
            labels["others"],
            training=training,
            update_state=False,
            sampled=sampled,
        )
        losses, correct = self.head.losses_and_correct(
            embeddings, labels["identities"], training=training, sampled=sampled
        )
        shares = labels["shares"]
        losses = shares * losses + (1 - shares) * others
        if (num_classes := self.head.num_classes) is not None:
            for which in ("identities", "others"):
                losses = only_for_classes(losses, labels[which], num_classes)
        return losses, correct

    def weights_are_finite(self) -> bool:
        """Returns whether all gradients so far were finite."""
        return bool(ops.all(ops.isfinite(ops.convert_to_tensor(self._sentinel_weight()))))

    def _sentinel_weight(self) -> keras.Variable:
        """Returns a small weight of the first layer: a NaN in any layer's gradient reaches it."""
        return min(self.trainable_variables[:2], key=lambda variable: math.prod(variable.shape))

    @property
    def backbone(self) -> keras.Model:
        return self.embedder.get_layer("backbone")

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        config = {"embedder": serialize(self.embedder), "head": serialize(self.head)}
        if self.distillation is not None:
            config["distillation"] = dataclasses.asdict(self.distillation)
        return config

    @classmethod
    def from_config(cls, config):
        load = keras.saving.deserialize_keras_object
        distillation = config.get("distillation")
        return cls(
            embedder=load(config["embedder"]),
            head=load(config["head"]),
            distillation=None if distillation is None else Distillation(**distillation),
        )


class MeanLoss(keras.losses.Loss):
    """The (weighted) mean of losses, as the losses of Keras compute it.

    Under tf.distribute it is the device's part of the mean, which Keras sums.

    Example:
        >>> losses = ops.convert_to_tensor([1.0, 3.0])
        >>> float(MeanLoss()(losses, losses))
        2.0
    """

    def call(self, y_true, y_pred):
        return y_pred


class LastValue(keras.metrics.Metric):
    """The value of the last update.

    Example:
        >>> metric = LastValue("loss")
        >>> for loss in (3.0, 2.0):
        ...     metric.update_state(loss)
        >>> float(metric.result())
        2.0
    """

    def __init__(self, name):
        super().__init__(name=name, dtype="float32")
        self.value = self.add_variable((), initializer="zeros", aggregation="mean", name="value")

    def update_state(self, value):
        self.value.assign(value)

    def result(self):
        return ops.convert_to_tensor(self.value)


def build_recognizer(
    recipe: ModelConfig,
    image_size: tuple[int, int],
    num_identities: int,
    data_dir: Path,
    steps_per_epoch: int | None = None,
    center_shards: int = 1,
    distillation: DistillationConfig | None = None,
) -> Recognizer:
    """Builds the model of a recipe's `model` section, with its initial weights.

    Those of `init_from` are assigned later, by `WarmStart.fill`.

    Args:
        recipe: the section.
        image_size: (height, width).
        num_identities: of the head.
        data_dir: where relative paths start.
        steps_per_epoch: of the training, for options of the head that count epochs.
        center_shards: number of parts into which the class centers are divided.
        distillation: the recipe's section `training.distillation`.

    Raises:
        InputError: a part can't be built for this size, the weights file doesn't match, or the
            head has no class centers to divide.
    """
    embedder = build_embedder(recipe, image_size, data_dir)
    imitation = None
    if distillation is not None:
        imitation = Distillation(distillation.loss, distillation.weight)
    if recipe.head is None:
        if center_shards > 1:
            raise InputError(
                "training.distribution: model_parallel divides class centers, and model.head is "
                "null; use data_parallel"
            )
        return Recognizer(embedder, None, imitation)
    head = build_from_config(
        HEADS[recipe.head.name],
        recipe.head.options,
        data_dir,
        num_identities=num_identities,
        steps_per_epoch=steps_per_epoch,
    )
    if center_shards > 1:
        if not isinstance(head, MarginSoftmax):
            raise InputError(
                f"training.distribution: model_parallel divides class centers, and the head "
                f"{recipe.head.name} has none; use data_parallel, or a head with a margin"
            )
        head.centers.num_shards = center_shards
    return Recognizer(embedder, head, imitation)


def check_batch_norms(embedder: keras.Model, training: TrainingConfig, num_images: int) -> None:
    """Checks for batch norms whose output would be the same for every image.

    A single value is normalized to beta, whatever it is: nothing behind it can learn.

    Args:
        embedder: as `build_embedder` makes it.
        training: a recipe's `training` section.
        num_images: over how many images a batch norm computes its statistics.

    Raises:
        InputError: there is one.
    """
    if num_images > 1:
        return
    backbone = embedder.get_layer("backbone")
    learning = [layer for layer in embedder.layers if layer is not backbone]
    # Otherwise its batch norms are in inference mode in every stage.
    if any(stage.freeze == "none" for stage in training.stages):
        learning += flatten_layers(backbone)
    for layer in learning:
        if not isinstance(layer, layers.BatchNormalization):
            continue
        # One value a channel: a vector, or a feature map of size 1x1.
        if all(size == 1 for size in layer.input.shape[1:-1]):
            raise InputError(
                f"data.batch_size: {layer.name} is a batch norm on vectors, which makes the same "
                "of every image when a device has one image of a batch: give two or more to each, "
                "or leave the batch norm out (model.neck.batch_norm: false)"
            )


def build_starting_embedder(recipe: Recipe, data_dir: Path) -> keras.Model:
    """Builds the embedder as it is before training, as a baseline."""
    start = read_warm_start(recipe.model, data_dir)
    keras.utils.set_random_seed(recipe.training.seed)
    embedder = build_embedder(recipe.model, recipe.data.image_size, data_dir)
    if start is not None:
        note(start.fill(embedder))
    return embedder


def build_embedder(recipe: ModelConfig, image_size: tuple[int, int], data_dir: Path) -> keras.Model:
    """Builds images -> embeddings from plain Keras layers: loading its file needs no tfface.

    It has its initial weights, except those of `init_from` (`WarmStart.fill`).
    """
    part = recipe.backbone
    # `init_from` replaces them.
    weights = "none" if recipe.init_from is not None else part.weights
    published = None
    if is_published_h5(weights) and hasattr(BACKBONES[part.name], "takes_published_file"):
        published = data_dir / expanded(weights)
    backbone = build_from_config(
        BACKBONES[part.name],
        part.options,
        data_dir,
        image_size=image_size,
        weights=published or ("imagenet" if weights == "imagenet" else None),
    )
    images = keras.Input((*image_size, 3), name="images")
    features = backbone.network(
        INPUT_NORMALIZATIONS[recipe.input_normalization or backbone.input_normalization](images)
    )
    embeddings = build_neck(features, recipe.neck, recipe.embedding_size, backbone.neck_epsilon)
    embedder = keras.Model(images, embeddings, name="embedder")
    checkpoint = None
    if published is None and weights not in ("imagenet", "none"):
        checkpoint = data_dir / expanded(weights)
    elif weights == "imagenet" and backbone.imagenet_url is not None:
        checkpoint = download(backbone.imagenet_url)
    if checkpoint is not None:
        loaded = load_initial_weights(checkpoint, backbone, embedder)
        if loaded is not None:
            note(loaded)
    return embedder
