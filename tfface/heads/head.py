"""The base of all heads: embeddings and labels to a loss, embeddings to logits."""

import abc
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import keras
from keras import ops
from pydantic import Field

from tfface.errors import InputError, did_you_mean
from tfface.typing import Tensor

if TYPE_CHECKING:
    from tfface.heads.class_centers import SampledClasses

LabelSmoothing = Annotated[
    float,
    Field(ge=0, lt=1, description="Share of the target that is spread evenly over all identities."),
]


# What every layer of Keras takes.
_OF_LAYERS = ("name", "dtype", "trainable", "autocast", "activity_regularizer")


def check_named(
    name: str,
    signature: inspect.Signature,
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    more: Collection[str] = (),
) -> None:
    """Checks that a head is built with arguments that it has, each by its name.

    Args:
        name: of the head.
        signature: of what builds it.
        arguments, options: as given: by position and by name.
        more: other names that it takes.

    Raises:
        InputError: one is given by position, unknown or missing.

    Example:
        >>> import tfface
        >>> tfface.heads.SoftmaxHead(num_identites=3)
        Traceback (most recent call last):
        tfface.errors.InputError: SoftmaxHead has no argument 'num_identites'; did you mean
        'num_identities'?
    """
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = {key: one for key, one in signature.parameters.items() if one.kind in kinds}
    names = ", ".join(known)
    if arguments:
        raise InputError(
            f"{name} takes its arguments by name ({names}); got {len(arguments)} without a name"
        )
    for key in options:
        if key not in known and key not in more:
            near = did_you_mean(key, known) or f"; it takes {names}"
            raise InputError(f"{name} has no argument '{key}'{near}")
    missing = [
        key
        for key, one in known.items()
        if one.default is inspect.Parameter.empty and key not in options
    ]
    if missing:
        raise InputError(f"{name} needs {' and '.join(missing)}")


class Head(keras.layers.Layer, abc.ABC):
    """Base of all heads.

    Training uses `losses_and_correct`, classification `logits` and `probabilities`. In a model of
    your own, call the head as a layer. A head computes in float32 under any precision policy.

    Args:
        name: of the layer; give one where a model has several heads.
        **kwargs: of keras.layers.Layer; `dtype` is ignored.
    """

    # Whether all arguments are given by name, which a mistake in them is then told by.
    is_named_only: ClassVar[bool] = False

    def __new__(cls, *arguments: Any, **options: Any) -> "Head":
        if cls.is_named_only:
            check_named(cls.__name__, inspect.signature(cls), arguments, options, _OF_LAYERS)
        return super().__new__(cls, *arguments, **options)

    def __init__(self, name: str = "head", **kwargs: Any):
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})

    @abc.abstractmethod
    def logits(self, embeddings: Tensor) -> Tensor:
        """Returns the scores of all classes, without margin.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_logits].
        """

    @abc.abstractmethod
    def losses_and_correct(
        self,
        embeddings: Tensor,
        labels: Tensor,
        training: bool = False,
        update_state: bool = True,
        sampled: "SampledClasses | None" = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the loss of each example and whether its class has the highest score.

        Args:
            embeddings: float [batch, embedding_size].
            labels: int32 [batch].
            training: whether this is a training step; only then a head updates its state.
            update_state: False for a second pass over a step's batch: it is computed as in
                training, but the state stays.
            sampled: what `sample_classes` returned, to use it for several passes of one step; by
                default a training step samples its own.
        Returns: float32 [batch] losses; float32 [batch] of 0 and 1, judged without margin.
        """

    def sample_classes(self, labels: Tensor) -> "SampledClasses | None":
        """Returns the classes that a training step compares with; None for all.

        Args:
            labels: int32 [n], all that the step will use.
        """
        return None

    @property
    def sparse_variables(self) -> list[keras.Variable]:
        """The variables of which a training step may read some rows only.

        Pass each to `kernels.rows.use_sparse_updates`, so that the optimizer changes only these.
        """
        return []

    @property
    def num_classes(self) -> int | None:
        """The number of classes that labels are below; None for a head without classes."""
        return None

    def check_classifies(self) -> None:
        """Raises InputError: the head has no classes."""

    def probabilities(self, embeddings: Tensor) -> Tensor:
        """Returns the probability of each class.

        Args:
            embeddings: float [batch, embedding_size].
        Returns: float32 [batch, num_classes]; the sum of each row is 1.
        """
        return ops.softmax(self.logits(embeddings), axis=-1)

    def call(
        self, embeddings: Tensor, labels: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        """Returns the logits; heads with a margin apply it to those of the labels."""
        return self.logits(embeddings)


def class_labels(labels: Tensor, num_classes: int | None, name: str) -> Tensor:
    """Returns labels as int32 [batch]; -1, which is no class, for what int32 can't hold.

    Args:
        labels: whole numbers of any type, [batch] or [batch, 1].
        num_classes: that the labels are below; None for any: then they keep their type.
        name: of the head, for messages.

    Raises ValueError: they have another shape, such as that of one-hot labels.
    """
    # Its rank is None on TensorFlow, for one where Keras gives labels [batch, 1].
    is_known = getattr(labels.shape, "rank", 0) is not None
    shape = tuple(labels.shape) if is_known else (None, 1)
    if len(shape) != 1:
        if len(shape) != 2 or shape[1] != 1:
            allowed = "" if num_classes is None else f" from 0 to {num_classes - 1}"
            raise ValueError(
                f"{name}: labels must be whole numbers{allowed}, of shape [batch], got "
                f"{list(shape)}; of one-hot labels, give the argmax"
            )
        labels = ops.reshape(labels, (-1,))
    if num_classes is None or keras.backend.standardize_dtype(labels.dtype) == "int32":
        return labels
    as_int32 = ops.cast(labels, "int32")
    # 1.5 would be class 1, and 2**32 class 0.
    return ops.where(ops.equal(ops.cast(as_int32, labels.dtype), labels), as_int32, -1)


def only_for_classes(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Returns NaN in place of the values of examples whose labels are no class.

    TensorFlow refuses such labels on a CPU; JAX computes something.

    Args:
        values: float [batch] or [batch, n].
        labels: int32 [batch].
        num_classes: labels are from 0 to this, exclusive.
    """
    is_class = ops.logical_and(labels >= 0, labels < num_classes)
    is_class = ops.reshape(is_class, (-1,) + (1,) * (len(values.shape) - 1))
    return ops.where(is_class, values, float("nan"))


def softmax_loss(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, num_classes: int | None = None
) -> Tensor:
    """Returns the cross-entropy of each row of logits [batch, num_logits] with its label: [batch].

    Args:
        num_classes: number of classes, where logits of padding follow theirs.
        label_smoothing: share of the target that is spread evenly over all classes; 0.1 in
            Szegedy et al., arXiv:1512.00567.
    """
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if not label_smoothing:
        return losses
    positions = ops.expand_dims(ops.cast(labels, "int32"), -1)
    target_logits = ops.take_along_axis(logits, positions, axis=-1)[:, 0]
    mean = ops.mean(logits, axis=-1)
    if num_classes is not None and num_classes < logits.shape[-1]:
        is_class = ops.arange(logits.shape[-1]) < num_classes
        mean = ops.sum(ops.where(is_class, logits, 0.0), axis=-1) / num_classes
    # What a smoothed target adds to the cross-entropy, without building that target.
    return losses + label_smoothing * (target_logits - mean)


def top1_correct(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns 1.0 where the label has the highest score, else 0.0: float32 [batch].

    Args:
        scores: float [batch, num_logits].
        labels: int [batch].
    """
    best = ops.argmax(scores, axis=-1)
    return ops.cast(ops.equal(ops.cast(best, labels.dtype), labels), "float32")
