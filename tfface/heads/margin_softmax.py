"""Margin softmax: softmax over scaled cosines to class centers, with a margin on the own center."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import keras
from keras import initializers, ops
from pydantic import Field

from tfface.heads.class_centers import (
    LABELS,
    LOGITS,
    PADDING_LOGIT,
    ClassCenters,
    SampledClasses,
    SampleRate,
    with_sharding_constraint,
)
from tfface.heads.head import (
    Head,
    LabelSmoothing,
    check_named,
    class_labels,
    only_for_classes,
    softmax_loss,
    top1_correct,
)
from tfface.heads.margins import Margin
from tfface.registry import check_arguments
from tfface.typing import Tensor

Scale = Annotated[float, Field(gt=0)]


@keras.saving.register_keras_serializable("tfface")
class MarginSoftmax(Head):
    """Classifier of ArcFace, CosFace and their relatives; used in training only.

    With unit embedding e, unit class center w_j and the cosine c_j = w_j . e:
        logit_y = scale * margin.apply(c_y)
        logit_j = scale * c_j                for j != y, unless the margin adjusts negatives
        loss = cross-entropy(logits, y)

    Warm-up: from random weights an embedding is at about 90 degrees to all centers. With the full
    margin its own center is then the farthest, and a network may never get out of that. So the
    margin rises linearly from 0 to full over the first `warmup_steps` training steps. In evaluation
    (training=False) the margin is full from the beginning, so that losses can be compared from
    epoch to epoch.

    Called as a layer, in any keras.Model:
        head(embeddings) returns scaled cosines without margin, for inference. In training it is an
            error: the margin needs labels.
        head(embeddings, labels) returns logits with the margin, for a cross-entropy from logits. A
            margin's extra loss goes to `add_loss`. Label smoothing is up to your loss.

    Args:
        margin: Margin.
        centers: ClassCenters; with its sampling, a training step's loss and accuracy are those
            among the sampled classes, and the logits of all others are PADDING_LOGIT.
        scale: factor on the cosines, above 0; 64 in most papers.
        label_smoothing: in [0, 1); see `softmax_loss`. It works on logits with the margin.
        warmup_steps: 0 or more; 0 applies the full margin at once.
        name, **kwargs: of keras.layers.Layer.
    Call arguments:
        embeddings: float [batch, embedding_size], of any norm.
        labels: int [batch] or [batch, 1], each in [0, num_classes).
    Returns: float32 logits [batch, num_classes].
    Weights: those of `centers`; `steps`, int32, the training steps so far, with a warm-up only; the
        margin's running statistics, float32 scalars.
    Raises ValueError: an argument is out of range.

    Example:
        >>> import keras
        >>> from tfface.heads import ArcFaceMargin, ClassCenters, MarginSoftmax
        >>> images = keras.Input((32,), name="images")
        >>> labels = keras.Input((), dtype="int32", name="labels")
        >>> embeddings = keras.layers.Dense(8)(images)
        >>> head = MarginSoftmax(ArcFaceMargin(margin=0.5), ClassCenters(num_classes=10))
        >>> model = keras.Model([images, labels], head(embeddings, labels))
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss)
        >>> model.output_shape
        (None, 10)
    """

    def __init__(
        self,
        margin: Margin,
        centers: ClassCenters,
        scale: Scale = 64.0,
        label_smoothing: LabelSmoothing = 0.0,
        warmup_steps: Annotated[float, Field(ge=0)] = 0.0,
        name: str = "head",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        check_arguments(
            MarginSoftmax,
            margin=margin,
            centers=centers,
            scale=scale,
            label_smoothing=label_smoothing,
            warmup_steps=warmup_steps,
        )
        self.margin = margin
        self.centers = centers
        self.scale = scale
        self.label_smoothing = label_smoothing
        self.warmup_steps = warmup_steps

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        # They may be in use already.
        if not self.centers.built:
            self.centers.build(embeddings_shape)
        if self.warmup_steps:
            self.steps = self.add_weight(
                name="steps",
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        self.statistics = {
            name: self.add_weight(
                name=name,
                shape=(),
                initializer=initializers.Constant(value),
                trainable=False,
                aggregation="mean",
            )
            for name, value in self.margin.initial_statistics.items()
        }

    @property
    def class_centers(self) -> keras.Variable:
        return self.centers.class_centers

    @property
    def num_centers(self) -> int:
        return self.centers.num_centers

    @property
    def sparse_variables(self) -> list[keras.Variable]:
        return [self.class_centers] if self.centers.sample_rate < 1 else []

    # Checkpoints of version 0.1 hold variables by position, and the class centers come first in
    # them; Keras would put a layer's own variables before those of its sublayers.
    @property
    def variables(self) -> list[keras.Variable]:
        return _centers_first(super().variables)

    @property
    def weights(self) -> list[keras.Variable]:
        return _centers_first(super().weights)

    @property
    def num_classes(self) -> int:
        return self.centers.num_classes

    def sample_classes(self, labels: Tensor) -> SampledClasses | None:
        return self.centers.sample(labels)

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.scale * self.centers.call(embeddings)

    def losses_and_correct(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool = False,
        update_state: bool = True,
        sampled: SampledClasses | None = None,
    ) -> tuple[Tensor, Tensor]:
        if training and sampled is None:
            sampled = self.sample_classes(labels)
        scores = self._scores(embeddings, labels, training, update_state, sampled)
        num_classes = self.num_classes if sampled is None else scores.logits.shape[-1]
        losses = softmax_loss(scores.logits, scores.labels, self.label_smoothing, num_classes)
        if scores.extra_loss is not None:
            losses = losses + scores.extra_loss
        return losses, top1_correct(scores.cosines, scores.labels)

    def call(
        self, embeddings: Tensor, labels: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        if labels is None:
            if training:
                raise ValueError(
                    f"{self.name}: in training the margin needs labels: call the head with "
                    "(embeddings, labels), or with training=False for logits without margin"
                )
            return self.logits(embeddings)
        labels = class_labels(labels, self.num_classes, self.name)
        embeddings = only_for_classes(embeddings, labels, self.num_classes)
        sampled = self.sample_classes(labels) if training else None
        scores = self._scores(embeddings, labels, bool(training), True, sampled)
        if scores.extra_loss is not None:
            self.add_loss(ops.mean(scores.extra_loss))
        if sampled is not None:
            return sampled.to_all_classes(scores.logits, self.num_classes)
        return scores.logits[:, : self.num_classes]

    def _scores(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool,
        update_state: bool,
        sampled: SampledClasses | None,
    ) -> "_Scores":
        embeddings = ops.cast(embeddings, "float32")
        cosines = self.centers.cosines(embeddings, sampled)
        if sampled is not None:
            labels = sampled.to_local_index(labels)
        labels = with_sharding_constraint(labels, LABELS)
        positions = ops.expand_dims(ops.cast(labels, "int32"), -1)
        target_cosines = ops.take_along_axis(cosines, positions, axis=-1)
        norms = l2_norms(embeddings)
        factor = self.margin_factor() if training else 1.0
        if training and update_state:
            self._update_state(target_cosines, norms)
        with_margin = self.margin.apply(target_cosines, norms, factor, self.statistics)
        logits = self.scale * ops.where(
            ops.equal(ops.arange(cosines.shape[-1], dtype="int32"), positions),
            with_margin,
            self.margin.adjust_negatives(cosines, with_margin, self.statistics),
        )
        if sampled is None:
            logits = self.centers.mask_padding(logits, PADDING_LOGIT)
            logits = with_sharding_constraint(logits, LOGITS)
        return _Scores(logits, cosines, labels, self.margin.extra_loss(norms, factor))

    def margin_factor(self) -> Tensor | float:
        """Returns the share of the margin that the next training step applies, 0 to 1."""
        if not self.warmup_steps:
            return 1.0
        return ops.minimum(ops.cast(self.steps, "float32") / self.warmup_steps, 1.0)

    def _update_state(self, cosines: Tensor, norms: Tensor) -> None:
        # Counted here, as batch norms update their statistics, and not by a callback: so the margin
        # warms up under every trainer.
        if self.warmup_steps:
            self.steps.assign(self.steps + 1)
        updated = self.margin.update_statistics(self.statistics, cosines, norms)
        for name, value in updated.items():
            self.statistics[name].assign(value)

    def get_config(self) -> dict[str, Any]:
        centers = keras.saving.serialize_keras_object(self.centers)
        # The head builds them: so variables have the same paths in a loaded model.
        centers.pop("build_config", None)
        return {
            **super().get_config(),
            "margin": keras.saving.serialize_keras_object(self.margin),
            "centers": centers,
            "scale": self.scale,
            "label_smoothing": self.label_smoothing,
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MarginSoftmax":
        parts = {
            key: keras.saving.deserialize_keras_object(config[key]) for key in ("margin", "centers")
        }
        return cls(**{**config, **parts})


class _Scores(NamedTuple):
    """What a margin softmax computes of a batch.

    Attributes:
        logits: float32 [batch, columns], with the margin.
        cosines: float32 [batch, columns], without it.
        labels: int32 [batch], as columns.
        extra_loss: float32 [batch], or None.
    """

    logits: Tensor
    cosines: Tensor
    labels: Tensor
    extra_loss: Tensor | None


def l2_norms(embeddings: Tensor) -> Tensor:
    """Returns the norms of float32 [batch, size] as [batch, 1], with a gradient also at 0.

    Args:
        embeddings: float32 [batch, size].
    """
    return ops.sqrt(ops.maximum(ops.sum(ops.square(embeddings), axis=-1, keepdims=True), 1e-24))


def _centers_first(variables: list[keras.Variable]) -> list[keras.Variable]:
    return sorted(variables, key=lambda variable: variable.name != "class_centers")


# ------------------------------------------------------------------------------- heads of recipes
def _from_options(
    margin: Margin,
    scale: Scale = 64.0,
    centers_per_class: Annotated[int, Field(ge=1, le=1000)] = 1,
    label_smoothing: LabelSmoothing = 0.0,
    # Chosen by measurement: docs/guides/recipe-model.md, "If the loss does not fall".
    margin_warmup_epochs: Annotated[float, Field(ge=0)] = 5.0,
    sample_rate: SampleRate = 1.0,
    *,
    num_identities: int,
    steps_per_epoch: int | None = None,
) -> MarginSoftmax:
    """Builds a margin softmax from the options that all margins share.

    Args:
        margin: the margin.
        scale: factor on the cosines.
        centers_per_class: centers of each identity; the nearest one counts.
        label_smoothing: share of the target that is spread evenly over all identities.
        margin_warmup_epochs: epochs over which the margin rises linearly from none to full;
            fractions allowed, 0 for the full margin at once.
        sample_rate: share of the class centers that a training step compares with, as Partial FC
            does; 1 for all.
        num_identities: rows of the classifier.
        steps_per_epoch: None for no warm-up.
    """
    return MarginSoftmax(
        margin,
        ClassCenters(num_identities, centers_per_class, sample_rate),
        scale,
        label_smoothing,
        warmup_steps=margin_warmup_epochs * (steps_per_epoch or 0),
    )


def margin_head(
    margin: type[Margin], summary: str = "", **defaults: Any
) -> Callable[..., MarginSoftmax]:
    """Returns a function that builds the margin softmax of a margin from one list of options.

    Its signature has the margin's numbers, then `scale`, `label_smoothing`, `margin_warmup_epochs`
    and `sample_rate`, then the margin's other fields, and by keyword what the program knows:
    `num_identities`, and `steps_per_epoch`, without which there is no warm-up.

    Args:
        summary: first line of the docstring, in place of the margin's.
        **defaults: other defaults of these options; `centers_per_class` (sub-centers) is an option
            only if it is given here.

    Example:
        >>> from tfface.heads import ArcFaceMargin
        >>> from tfface.heads.margin_softmax import margin_head
        >>> arcface = margin_head(ArcFaceMargin, scale=30.0)
        >>> head = arcface(margin=0.3, num_identities=1000)
        >>> head.margin, head.scale, head.num_centers
        (ArcFaceMargin(margin=0.3, gradient='exact'), 30.0, 1000)
    """
    fields = inspect.signature(margin, eval_str=True).parameters
    shared = dict(inspect.signature(_from_options).parameters)
    del shared["margin"]
    if "centers_per_class" not in defaults:
        del shared["centers_per_class"]
    for name, default in defaults.items():
        shared[name] = shared[name].replace(default=default)
    numbers = {name: field for name, field in fields.items() if type(field.default) is float}
    others = [field for name, field in fields.items() if name not in numbers]
    options = list(shared.values())
    first_of_program = next(
        place for place, option in enumerate(options) if option.kind is option.KEYWORD_ONLY
    )
    signature = inspect.Signature(
        [*numbers.values(), *options[:first_of_program], *others, *options[first_of_program:]]
    )

    name = margin.__name__.removesuffix("Margin")

    def head(*arguments: Any, **options: Any) -> MarginSoftmax:
        check_named(name, signature, arguments, options)
        given = dict(options)
        # None is given by who wants no warm-up.
        if given.get("margin_warmup_epochs") and "steps_per_epoch" not in given:
            raise ValueError(
                f"{name}: margin_warmup_epochs needs steps_per_epoch, the number of batches in an "
                "epoch; without both, the margin is full from the first step"
            )
        of_margin = {name: given.pop(name) for name in fields if name in given}
        return _from_options(margin(**of_margin), **{**defaults, **given})

    head.__name__ = head.__qualname__ = name
    head.__signature__ = signature  # type: ignore[attr-defined]
    head.__doc__ = margin.__doc__
    if summary:
        head.__doc__ = "\n\n".join([summary, *(margin.__doc__ or "").split("\n\n")[1:]])
    # Where `registry.options_schema` finds the other options described.
    head.documented_by = (_from_options,)  # type: ignore[attr-defined]
    return head
