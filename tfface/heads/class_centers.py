"""Class centers: their weights, cosine logits, sampling (Partial FC), and layout over devices."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import keras
from keras import initializers, ops
from pydantic import Field

from tfface.kernels import class_centers as kernels
from tfface.kernels.rows import take_rows
from tfface.registry import check_arguments
from tfface.typing import Tensor

# A logit so low that softmax gives it no probability, and a cosine below all.
PADDING_LOGIT, PADDING_COSINE = -1e9, -2.0

# Names of tensors [batch, embedding_size], [batch, class centers] and [batch], for which a
# keras.distribution may give layouts: see `with_sharding_constraint`.
EMBEDDINGS, LOGITS, LABELS = "head/embeddings", "head/logits", "head/labels"

SampleRate = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class SampledClasses:
    """The classes that a training step compares its embeddings with.

    Attributes:
        classes: int32 [num_sampled], sorted ascending.
        centers: float32 [num_sampled * centers_per_class, embedding_size], class by class.

    Example:
        >>> import numpy as np
        >>> sampled = SampledClasses(np.array([2, 5, 9], "int32"), np.ones((3, 8), "float32"))
        >>> [int(position) for position in sampled.to_local_index(np.array([9, 2], "int32"))]
        [2, 0]
    """

    classes: Tensor
    centers: Tensor

    def to_local_index(self, labels: Tensor) -> Tensor:
        """Returns the position of each label among the sampled classes: int32 [batch].

        Args:
            labels: int [batch], all among the sampled classes.
        """
        return ops.searchsorted(self.classes, ops.cast(labels, "int32"))

    def to_all_classes(self, logits: Tensor, num_classes: int) -> Tensor:
        """Puts logits [batch, num_sampled] at their classes: [batch, num_classes].

        All others are PADDING_LOGIT, so a softmax over all classes is one over the sampled.

        Args:
            logits: float32 [batch, num_sampled].
            num_classes: number of all classes.
        """
        labels = ops.arange(num_classes, dtype="int32")
        positions = ops.minimum(self.to_local_index(labels), logits.shape[-1] - 1)
        is_sampled = ops.equal(ops.take(self.classes, positions), labels)
        return ops.where(is_sampled, ops.take(logits, positions, axis=-1), PADDING_LOGIT)


@keras.saving.register_keras_serializable("tfface")
class ClassCenters(keras.layers.Layer):
    """One or more trainable centers for each class; gives the cosine of an embedding with each.

    Sampling: with a million classes, most of a step is comparing with all of them. With
    `sample_rate` below 1 a training step compares with the classes of its batch and with others
    drawn at random, up to that share of all (Partial FC). Inference compares with all.

    Args:
        num_classes: int > 0.
        centers_per_class: int > 0; of several sub-centers the nearest counts.
        sample_rate: in (0, 1]; 1 compares with all classes.
        num_shards: int > 0; into how many equal parts the rows of `class_centers` can be divided.
            Each has whole classes; rows of zeros pad the last part, and stay zeros.
        name, **kwargs: of keras.layers.Layer; `dtype` is ignored: centers are float32.
    Call arguments:
        embeddings: float [batch, embedding_size], of any norm.
    Returns: float32 cosines [batch, num_classes].
    Weights:
        class_centers: float32 [num_padded_classes * centers_per_class, embedding_size], of any
            norm, class by class.
        The state of a random generator, if `sample_rate` is below 1.
    Raises ValueError: an argument is out of range.
    Reference: An et al., Killing Two Birds with One Stone: Efficient and Robust Training of Face
        Recognition CNNs by Partial FC, CVPR 2022, arXiv:2203.15565.

    Example:
        >>> import numpy as np
        >>> from tfface.heads import ClassCenters
        >>> centers = ClassCenters(num_classes=3)
        >>> tuple(centers(np.ones((2, 8), "float32")).shape)
        (2, 3)
    """

    def __init__(
        self,
        num_classes: Annotated[int, Field(gt=0)],
        centers_per_class: Annotated[int, Field(gt=0)] = 1,
        sample_rate: SampleRate = 1.0,
        num_shards: Annotated[int, Field(gt=0)] = 1,
        name: str = "centers",
        **kwargs: Any,
    ):
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})
        # Also of NumPy's integers.
        self.num_classes = operator.index(num_classes)
        self.centers_per_class = operator.index(centers_per_class)
        self.sample_rate = sample_rate
        self.num_shards = num_shards
        check_arguments(
            ClassCenters,
            num_classes=self.num_classes,
            centers_per_class=self.centers_per_class,
            sample_rate=sample_rate,
            num_shards=num_shards,
        )

    @property
    def num_centers(self) -> int:
        """Number of rows of `class_centers` without padding."""
        return self.num_classes * self.centers_per_class

    @property
    def num_padded_classes(self) -> int:
        """Number of classes, rounded up to a multiple of `num_shards`."""
        return -(-self.num_classes // self.num_shards) * self.num_shards

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        # The norm is normalized away; it sets how fast a center turns at a learning rate.
        initializer = initializers.GlorotUniform()
        if self.num_padded_classes > self.num_classes:
            initializer = PaddedInitializer(initializer, self.num_centers)
        self.class_centers = self.add_weight(
            name="class_centers",
            shape=(self.num_padded_classes * self.centers_per_class, embeddings_shape[-1]),
            initializer=initializer,
        )
        if self.sample_rate < 1:
            # After the centers, so that they start as without sampling from a program's seed.
            # Named, as a name from a counter would differ from process to process.
            self.sampling_seed = keras.random.SeedGenerator(name="seed_generator")

    def call(self, embeddings: Tensor) -> Tensor:
        return self.cosines(embeddings)[:, : self.num_classes]

    def sample(self, labels: Tensor) -> SampledClasses | None:
        """Returns the classes that a training step compares with; None for all.

        Args:
            labels: int32 [n], all that the step will use; n must be known when a step is compiled.
        """
        if self.sample_rate == 1:
            return None
        classes = sample_classes(
            ops.cast(labels, "int32"), self.sample_rate, self.num_classes, self.sampling_seed
        )
        rows = ops.expand_dims(classes, -1) * self.centers_per_class
        rows = ops.reshape(rows + ops.arange(self.centers_per_class, dtype="int32"), (-1,))
        return SampledClasses(classes, take_rows(self.class_centers, rows))

    def cosines(self, embeddings: Tensor, sampled: SampledClasses | None = None) -> Tensor:
        """Returns the cosine with the nearest center of each class.

        Args:
            embeddings: float [batch, embedding_size], of any norm.
            sampled: the classes to compare with; None for all.
        Returns: float32 [batch, num_sampled], or [batch, num_padded_classes] with PADDING_COSINE in
            the columns of padding.
        """
        embeddings = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
        centers = self.class_centers if sampled is None else sampled.centers
        cosines = cosine_logits(embeddings, centers)
        if self.centers_per_class > 1:
            num_classes = cosines.shape[-1] // self.centers_per_class
            shape = (-1, num_classes, self.centers_per_class)
            cosines = ops.max(ops.reshape(cosines, shape), axis=-1)
        return self.mask_padding(cosines, PADDING_COSINE) if sampled is None else cosines

    def mask_padding(self, values: Tensor, fill: float) -> Tensor:
        """Puts a value into the columns of padding of [batch, num_padded_classes]."""
        if self.num_padded_classes == self.num_classes:
            return values
        return ops.where(ops.arange(self.num_padded_classes) < self.num_classes, values, fill)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "centers_per_class": self.centers_per_class,
            "sample_rate": self.sample_rate,
            "num_shards": self.num_shards,
        }


def sample_classes(
    required: Tensor, sample_rate: float, num_classes: int, seed: keras.random.SeedGenerator
) -> Tensor:
    """Samples classes without replacement, each equally likely, the required ones included.

    Args:
        required: int32 [n], labels that have to be in the sample; not necessarily distinct.
        sample_rate: in (0, 1).
    Returns: int32 [num_sampled], sorted ascending, distinct: that share of the classes, or n where
        that is more.
    Raises ValueError: n is not known when the step is compiled (TensorFlow).
    """
    if required.shape[0] is None:
        raise ValueError(
            "sample_rate below 1 needs batches of a fixed size: make them with drop_remainder=True"
        )
    num_sampled = max(round(sample_rate * num_classes), min(required.shape[0], num_classes))
    scores = keras.random.uniform((num_classes,), seed=seed)
    first = ops.full((required.shape[0],), 2.0)
    scores = ops.scatter_update(scores, ops.expand_dims(required, -1), first)
    return kernels.top_k_positions(scores, num_sampled)


def cosine_logits(embeddings: Tensor, centers: Tensor) -> Tensor:
    """Returns the cosine of each embedding with each center.

    With e a unit embedding and w a center: e . w / |w|. The gradient is written by hand, because
    with many classes the centers are the largest array of a training step by far.

    Args:
        embeddings: float32 [batch, embedding_size], of norm 1.
        centers: float32 [num_centers, embedding_size], of any norm.
    Returns: float32 [batch, num_centers].
    """
    # Reshaping makes a tensor of a variable: custom gradients take only tensors.
    return _cosine_logits(embeddings, ops.reshape(centers, (-1, embeddings.shape[-1])))


@ops.custom_gradient
def _cosine_logits(embeddings: Tensor, centers: Tensor) -> tuple[Tensor, Callable]:
    embeddings = with_sharding_constraint(embeddings, EMBEDDINGS)
    # Scaling the product's columns costs a fraction of normalizing the centers themselves.
    inverse_norms = 1.0 / ops.maximum(kernels.l2_norms(centers), 1e-12)
    # The large matrix as it lies in memory: transposed, it takes twice as long on a CPU.
    products = ops.transpose(ops.matmul(centers, ops.transpose(embeddings)))
    cosines = with_sharding_constraint(products * inverse_norms, LOGITS)

    def gradients(*arguments: Tensor, upstream: Tensor = None) -> tuple[Tensor, Tensor]:
        # Backends differ in how they pass it.
        if upstream is None:
            (upstream,) = arguments
        scaled = with_sharding_constraint(upstream, LOGITS) * inverse_norms
        return (
            with_sharding_constraint(ops.matmul(scaled, centers), EMBEDDINGS),
            kernels.cosine_gradient(scaled, embeddings, cosines, inverse_norms, centers),
        )

    return cosines, gradients


def with_sharding_constraint(tensor: Tensor, name: str) -> Tensor:
    """Returns a tensor laid out as the keras.distribution says, if there is one that does.

    Without it, the compiler may choose to send all centers, or all logits, to every device.

    Args:
        name: EMBEDDINGS, LOGITS or LABELS.
    """
    distribution = keras.distribution.distribution()
    layout = distribution and distribution.get_tensor_layout(name)
    return keras.distribution.distribute_tensor(tensor, layout) if layout else tensor


class PaddedInitializer(initializers.Initializer):
    """Initializes the first rows as another initializer does an array of that size; pads with 0.

    Args:
        initializer: keras.initializers.Initializer.
        num_rows: int > 0.

    Example:
        >>> import numpy as np
        >>> initializer = PaddedInitializer(initializers.Ones(), num_rows=2)
        >>> np.asarray(initializer((3, 2))).tolist()
        [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, initializer: initializers.Initializer, num_rows: int):
        self.initializer = initializer
        self.num_rows = num_rows

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        rows = self.initializer((self.num_rows, *shape[1:]), dtype=dtype)
        return ops.pad(rows, [(0, shape[0] - self.num_rows)] + [(0, 0)] * (len(shape) - 1))
