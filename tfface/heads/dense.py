"""Heads that are a dense layer: softmax for any number of identities, sigmoid for two."""

from keras import layers, ops

from tfface.errors import InputError
from tfface.heads.head import Head, is_best, softmax_loss


class SoftmaxHead(Head):
    """Dense layer and softmax cross-entropy.

    Args:
        num_identities: int >= 2.
    """

    def __init__(self, *, num_identities: int):
        super().__init__(name="head")
        self.dense = layers.Dense(num_identities, dtype="float32", name="classifier")

    def build(self, embeddings_shape):
        self.dense.build(embeddings_shape)

    def logits(self, embeddings):
        return self.dense(ops.cast(embeddings, "float32"))

    def loss_and_accuracy(self, embeddings, identities, training=False):
        logits = self.logits(embeddings)
        return softmax_loss(logits, identities), is_best(logits, identities)


class SigmoidHead(Head):
    """One unit and binary cross-entropy: is it the identity with label 1 (the second by name)?

    Args:
        num_identities: must be 2.
    Raises InputError: any other number of identities.
    """

    def __init__(self, *, num_identities: int):
        if num_identities != 2:
            raise InputError(
                f"model.head: sigmoid tells two identities apart, and the training data has "
                f"{num_identities}; use softmax or arcface, or a folder of two"
            )
        super().__init__(name="head")
        self.dense = layers.Dense(1, dtype="float32", name="classifier")

    def build(self, embeddings_shape):
        self.dense.build(embeddings_shape)

    def logits(self, embeddings):
        return self.dense(ops.cast(embeddings, "float32"))

    def probabilities(self, embeddings):
        logits = self.logits(embeddings)
        # 1 - sigmoid(x) would round small ones to 0.
        return ops.concatenate([ops.sigmoid(-logits), ops.sigmoid(logits)], axis=-1)

    def loss_and_accuracy(self, embeddings, identities, training=False):
        logits = self.logits(embeddings)[:, 0]
        targets = ops.cast(identities, "float32")
        # log(1 + exp(logit)) - target * logit: the cross-entropy without an overflowing exp.
        losses = ops.softplus(logits) - targets * logits
        return losses, ops.cast(ops.equal(logits > 0, targets > 0.5), "float32")
