"""Heads that are a dense layer: softmax for any number of identities, sigmoid for two."""

from typing import Any

import keras
from keras import layers, ops

from tfface.errors import InputError
from tfface.heads.class_centers import SampledClasses
from tfface.heads.head import Head, LabelSmoothing, softmax_loss, top1_correct
from tfface.registry import check_arguments
from tfface.typing import Tensor


class _LinearHead(Head):
    """A dense layer with bias.

    Args:
        num_units: width of the layer.
        num_identities: classes that it tells apart.
    """

    def __init__(self, num_units: int, label_smoothing: float, num_identities: int, **kwargs: Any):
        super().__init__(**kwargs)
        check_arguments(type(self), label_smoothing=label_smoothing)
        self.label_smoothing = label_smoothing
        self.num_identities = num_identities
        self.dense = layers.Dense(num_units, dtype="float32", name="classifier")

    @property
    def num_classes(self) -> int:
        return self.num_identities

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        self.dense.build(embeddings_shape)

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.dense(ops.cast(embeddings, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "num_identities": self.num_identities,
        }


@keras.saving.register_keras_serializable("tfface")
class SoftmaxHead(_LinearHead):
    """Dense layer and softmax cross-entropy.

    Args:
        label_smoothing: in [0, 1); see `softmax_loss`.
        num_identities: int >= 2.
        **kwargs: of `Head`.

    Example:
        >>> import numpy as np
        >>> from tfface.heads import SoftmaxHead
        >>> head = SoftmaxHead(num_identities=3)
        >>> tuple(head(np.ones((2, 8), "float32")).shape)
        (2, 3)
    """

    is_named_only = True

    def __init__(
        self, label_smoothing: LabelSmoothing = 0.0, *, num_identities: int, **kwargs: Any
    ):
        super().__init__(num_identities, label_smoothing, num_identities, **kwargs)

    def losses_and_correct(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool = False,
        update_state: bool = True,
        sampled: SampledClasses | None = None,
    ) -> tuple[Tensor, Tensor]:
        logits = self.logits(embeddings)
        losses = softmax_loss(logits, labels, self.label_smoothing)
        return losses, top1_correct(logits, labels)


@keras.saving.register_keras_serializable("tfface")
class SigmoidHead(_LinearHead):
    """One unit and binary cross-entropy: is it the identity with label 1 (the second by name)?

    Args:
        label_smoothing: in [0, 1): share of the target that is spread evenly over the two.
        num_identities: must be 2.
        **kwargs: of `Head`.
    Raises InputError: any other number of identities.

    Example:
        >>> import numpy as np
        >>> from tfface.heads import SigmoidHead
        >>> head = SigmoidHead(num_identities=2)
        >>> tuple(head.probabilities(np.ones((4, 8), "float32")).shape)
        (4, 2)
    """

    is_named_only = True

    def __init__(
        self, label_smoothing: LabelSmoothing = 0.0, *, num_identities: int, **kwargs: Any
    ):
        if num_identities != 2:
            raise InputError(
                f"model.head: sigmoid tells two identities apart, and the training data has "
                f"{num_identities}; use softmax or arcface, or a folder of two"
            )
        super().__init__(1, label_smoothing, num_identities, **kwargs)

    def probabilities(self, embeddings: Tensor) -> Tensor:
        logits = self.logits(embeddings)
        # 1 - sigmoid(x) would round small ones to 0.
        return ops.concatenate([ops.sigmoid(-logits), ops.sigmoid(logits)], axis=-1)

    def losses_and_correct(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool = False,
        update_state: bool = True,
        sampled: SampledClasses | None = None,
    ) -> tuple[Tensor, Tensor]:
        logits = self.logits(embeddings)[:, 0]
        is_second = ops.cast(labels, "float32")
        targets = (1 - self.label_smoothing) * is_second + self.label_smoothing / 2
        # log(1 + exp(logit)) - target * logit: the cross-entropy without an overflowing exp.
        losses = ops.softplus(logits) - targets * logits
        return losses, ops.cast(ops.equal(logits > 0, is_second > 0.5), "float32")
