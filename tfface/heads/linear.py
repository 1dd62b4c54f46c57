"""Heads that are a dense layer: softmax for any number of identities, sigmoid for two."""

from keras import layers, ops

from tfface.errors import InputError
from tfface.heads.head import Head, LabelSmoothing, is_best, softmax_loss
from tfface.heads.sampled_classes import Candidates
from tfface.typing import Tensor


class SoftmaxHead(Head):
    """Dense layer and softmax cross-entropy.

    Args:
        label_smoothing: in [0, 1); see `softmax_loss`.
        num_identities: int >= 2.
    """

    def __init__(self, label_smoothing: LabelSmoothing = 0.0, *, num_identities: int):
        super().__init__(name="head")
        self.label_smoothing = label_smoothing
        self.dense = layers.Dense(num_identities, dtype="float32", name="classifier")

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        self.dense.build(embeddings_shape)

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.dense(ops.cast(embeddings, "float32"))

    def loss_and_accuracy(
        self,
        embeddings: Tensor,
        identities: Tensor,
        training: bool = False,
        update_state: bool = True,
        candidates: Candidates | None = None,
    ) -> tuple[Tensor, Tensor]:
        logits = self.logits(embeddings)
        losses = softmax_loss(logits, identities, self.label_smoothing)
        return losses, is_best(logits, identities)


class SigmoidHead(Head):
    """One unit and binary cross-entropy: is it the identity with label 1 (the second by name)?

    Args:
        label_smoothing: in [0, 1): share of the target that is spread evenly over the two.
        num_identities: must be 2.
    Raises InputError: any other number of identities.
    """

    def __init__(self, label_smoothing: LabelSmoothing = 0.0, *, num_identities: int):
        if num_identities != 2:
            raise InputError(
                f"model.head: sigmoid tells two identities apart, and the training data has "
                f"{num_identities}; use softmax or arcface, or a folder of two"
            )
        super().__init__(name="head")
        self.label_smoothing = label_smoothing
        self.dense = layers.Dense(1, dtype="float32", name="classifier")

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        self.dense.build(embeddings_shape)

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.dense(ops.cast(embeddings, "float32"))

    def probabilities(self, embeddings: Tensor) -> Tensor:
        logits = self.logits(embeddings)
        # 1 - sigmoid(x) would round small ones to 0.
        return ops.concatenate([ops.sigmoid(-logits), ops.sigmoid(logits)], axis=-1)

    def loss_and_accuracy(
        self,
        embeddings: Tensor,
        identities: Tensor,
        training: bool = False,
        update_state: bool = True,
        candidates: Candidates | None = None,
    ) -> tuple[Tensor, Tensor]:
        logits = self.logits(embeddings)[:, 0]
        is_second = ops.cast(identities, "float32")
        targets = (1 - self.label_smoothing) * is_second + self.label_smoothing / 2
        # log(1 + exp(logit)) - target * logit: the cross-entropy without an overflowing exp.
        losses = ops.softplus(logits) - targets * logits
        return losses, ops.cast(ops.equal(logits > 0, is_second > 0.5), "float32")
