"""What a head is: what turns embeddings and identities into a loss, and tells who is who."""

import abc

import keras
from keras import ops


class Head(keras.layers.Layer, abc.ABC):
    """Base of all heads.

    Training uses `loss_and_accuracy`, classification `logits` and `probabilities`. A head computes
    in float32 under any precision policy.
    """

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **kwargs)

    @abc.abstractmethod
    def logits(self, embeddings):
        """Returns the scores of all identities, without margin.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_logits].
        """

    @abc.abstractmethod
    def loss_and_accuracy(self, embeddings, identities, training=False):
        """Returns the loss of each example and whether its identity was found.

        Args:
            embeddings: float [batch, embedding_size].
            identities: int32 [batch].
            training: whether this is a step of training; only then may a head change what it
                keeps from step to step.
        Returns: float32 [batch] losses, float32 [batch] of 0 and 1 (judged without margin).
        """

    def probabilities(self, embeddings):
        """Returns how likely each identity is.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_identities]; the sum of each row is 1.
        """
        return ops.softmax(self.logits(embeddings), axis=-1)

    def call(self, embeddings):
        return self.logits(embeddings)


def softmax_loss(logits, identities):
    """Cross-entropy of each row of logits [batch, num_identities] with its identity: [batch]."""
    return ops.sparse_categorical_crossentropy(identities, logits, from_logits=True)


def is_best(logits, identities):
    """1.0 where the identity has the highest logit, else 0.0: float32 [batch]."""
    best = ops.argmax(logits, axis=-1)
    return ops.cast(ops.equal(ops.cast(best, identities.dtype), identities), "float32")
