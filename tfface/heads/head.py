"""What a head is: what turns embeddings and identities into a loss, and tells who is who."""

import abc
from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from tfface.heads.sampled_classes import Candidates
from tfface.typing import Tensor

# A logit so low that nothing of a softmax is its.
NOBODY = -1e9

LabelSmoothing = Annotated[float, Field(ge=0, lt=1)]


class Head(keras.layers.Layer, abc.ABC):
    """Base of all heads.

    Training uses `loss_and_accuracy`, classification `logits` and `probabilities`. A head computes
    in float32 under any precision policy.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)

    @abc.abstractmethod
    def logits(self, embeddings: Tensor) -> Tensor:
        """Returns the scores of all identities, without margin.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_logits].
        """

    def candidates(self, identities: Tensor) -> Candidates | None:
        """Returns the `Candidates` that a step of training compares with; None if that is all.

        Args:
            identities: int32 [n], all that the step will ask for.
        """
        return None

    @property
    def weights_changed_by_rows(self) -> list[keras.Variable]:
        """The weights of which a step may look at some rows only, and changes these."""
        return []

    @abc.abstractmethod
    def loss_and_accuracy(
        self,
        embeddings: Tensor,
        identities: Tensor,
        training: bool = False,
        update_state: bool = True,
        candidates: Candidates | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the loss of each example and whether its identity was found.

        Args:
            embeddings: float [batch, embedding_size].
            identities: int32 [batch].
            training: whether this is a step of training; only then may a head change what it
                keeps from step to step.
            update_state: False for a further look at a step's batch, which is judged as in
                training but changes nothing.
            candidates: what `candidates` returned, for several looks at one step; by default a step
                of training asks for its own.
        Returns: float32 [batch] losses, float32 [batch] of 0 and 1 (judged without margin).
        """

    def check_classifies(self) -> None:
        """Raises InputError: the head has no classes."""

    def probabilities(self, embeddings: Tensor) -> Tensor:
        """Returns how likely each identity is.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_identities]; the sum of each row is 1.
        """
        return ops.softmax(self.logits(embeddings), axis=-1)

    def call(self, embeddings: Tensor) -> Tensor:
        return self.logits(embeddings)


def softmax_loss(
    logits: Tensor,
    identities: Tensor,
    label_smoothing: float = 0.0,
    num_identities: int | None = None,
) -> Tensor:
    """Cross-entropy of each row of logits [batch, num_identities] with its identity: [batch].

    Args:
        num_identities: how many there are, where further logits follow that are NOBODY.
        label_smoothing: share of the target that is spread evenly over all identities; 0.1 in
            Szegedy et al., arXiv:1512.00567.
    """
    losses = ops.sparse_categorical_crossentropy(identities, logits, from_logits=True)
    if not label_smoothing:
        return losses
    positions = ops.expand_dims(ops.cast(identities, "int32"), -1)
    targets = ops.take_along_axis(logits, positions, axis=-1)[:, 0]
    mean = ops.mean(logits, axis=-1)
    if num_identities is not None and num_identities < logits.shape[-1]:
        somebody = ops.arange(logits.shape[-1]) < num_identities
        mean = ops.sum(ops.where(somebody, logits, 0.0), axis=-1) / num_identities
    # What the smoothed target's cross-entropy has more, without making that target.
    return losses + label_smoothing * (targets - mean)


def is_best(logits: Tensor, identities: Tensor) -> Tensor:
    """1.0 where the identity has the highest logit, else 0.0: float32 [batch]."""
    best = ops.argmax(logits, axis=-1)
    return ops.cast(ops.equal(ops.cast(best, identities.dtype), identities), "float32")
