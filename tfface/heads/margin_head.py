"""What heads with an angular margin share: class centers, cosines, and the margin's warm-up."""

import abc
from typing import Annotated

import keras
from keras import initializers, ops
from pydantic import Field

from tfface.heads.cosine_logits import cosines_to
from tfface.heads.head import NOBODY, Head, is_best, softmax_loss
from tfface.heads.sampled_classes import Candidates, draw_identities
from tfface.heads.sharding import IDENTITIES, LOGITS, lay_out
from tfface.kernels.rows import take_rows
from tfface.typing import Tensor

Scale = Annotated[float, Field(gt=0)]
WarmupEpochs = Annotated[float, Field(ge=0)]
SampledCenters = Annotated[float, Field(gt=0, le=1)]

# Chosen by measurement: docs/RECIPES.md, "If the loss does not fall".
WARMUP_EPOCHS = 5.0


class MarginHead(Head):
    """Softmax over scaled cosines to class centers, with a margin on that of the own center.

    A subclass says in `with_margin` what its margin makes of the cosine.

    Warm-up: from random weights an embedding is at about 90 degrees to all centers; with the full
    margin its own is then the farthest, and a network may never get out of that. So the margin
    rises linearly from 0 to full over the first `warmup_epochs` of training. Steps are counted in
    a weight of the head, which goes into checkpoints. In evaluation (training=False) the margin is
    full from the beginning, so that its losses can be compared from epoch to epoch.

    Sampled centers: with a million identities most of a step is comparing with all of them. With
    `sampled_centers` below 1 a step of training compares with its own identities and with others
    drawn at random, up to that share of all; loss and accuracy of training are then those among the
    candidates, and the optimizer is to change only the centers of these (`kernels.rows`).
    Evaluation compares with all. (Partial-FC: An et al., CVPR 2022, arXiv:2203.15565.)

    Args:
        scale: float > 0; factor on the cosines.
        label_smoothing: in [0, 1); see `softmax_loss`. The margin is in the logits it works on.
        warmup_epochs: float >= 0; 0 for the full margin at once.
        sampled_centers: in (0, 1]; 1 for all.
        num_identities: int > 0.
        steps_per_epoch: int > 0; None, as where nothing is trained, for the full margin at once.
        centers_per_identity: int > 0; the nearest counts.
    Weights:
        class_centers: float32 [num_identities * centers_per_identity, embedding_size], any
            length; those of an identity follow each other. With `center_shards`, rows of zeros
            follow that fill the last part; they are nobody's and stay zeros.
        steps: int32, not trained: steps of training so far; only with a warm-up.
        The state of the random numbers, with sampled centers.

    Attributes:
        center_shards: int > 0, to be set before the head is built: into how many equal parts the
            rows of `class_centers` are to be divided; each has whole identities.
    """

    center_shards = 1

    def __init__(
        self,
        *,
        scale: float,
        label_smoothing: float,
        warmup_epochs: float,
        sampled_centers: float,
        num_identities: int,
        steps_per_epoch: int | None,
        centers_per_identity: int = 1,
    ):
        super().__init__(name="head")
        self.scale = scale
        self.label_smoothing = label_smoothing
        self.warmup_epochs = warmup_epochs
        self.sampled_centers = sampled_centers
        self.num_identities = num_identities
        self.steps_per_epoch = steps_per_epoch
        self.centers_per_identity = centers_per_identity

    @property
    def num_centers(self) -> int:
        """Rows of `class_centers` that are somebody's; the first ones."""
        return self.num_identities * self.centers_per_identity

    def build(self, embeddings_shape: tuple[int | None, ...]) -> None:
        places = -(-self.num_identities // self.center_shards) * self.center_shards
        # The length is normalised away; it sets how fast a center turns at a learning rate.
        initializer = initializers.GlorotUniform()
        if places > self.num_identities:
            initializer = FirstRows(initializer, self.num_centers)
        self.class_centers = self.add_weight(
            name="class_centers",
            shape=(places * self.centers_per_identity, embeddings_shape[-1]),
            initializer=initializer,
        )
        if self.warmup_epochs:
            self.steps = self.add_weight(
                name="steps",
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        if self.sampled_centers < 1:
            # Last, so that with a program's seed the centers start as they do without it.
            self.sampling_seed = keras.random.SeedGenerator()

    @property
    def weights_changed_by_rows(self) -> list[keras.Variable]:
        return [self.class_centers] if self.sampled_centers < 1 else []

    def candidates(self, identities: Tensor) -> Candidates | None:
        if self.sampled_centers == 1:
            return None
        drawn = draw_identities(
            ops.cast(identities, "int32"),
            self.sampled_centers,
            self.num_identities,
            self.sampling_seed,
        )
        rows = ops.expand_dims(drawn, -1) * self.centers_per_identity
        rows = ops.reshape(rows + ops.arange(self.centers_per_identity, dtype="int32"), (-1,))
        return Candidates(drawn, take_rows(self.class_centers, rows))

    def cosines(self, embeddings: Tensor) -> Tensor:
        """Returns the similarity to every identity: float32 [batch, num_identities]."""
        return self._cosines(embeddings, self.class_centers)[:, : self.num_identities]

    def _cosines(self, embeddings: Tensor, centers: Tensor) -> Tensor:
        """The similarity to each identity that the centers are of: float32 [batch, places]."""
        embeddings = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
        cosines = cosines_to(embeddings, centers)
        if self.centers_per_identity == 1:
            return cosines
        num_identities = cosines.shape[-1] // self.centers_per_identity
        shape = (-1, num_identities, self.centers_per_identity)
        return ops.max(ops.reshape(cosines, shape), axis=-1)

    @property
    def _num_places(self) -> int:
        """The identities, and those that the rows would be for that are nobody's."""
        return self.class_centers.shape[0] // self.centers_per_identity

    def _without_nobody(self, values: Tensor, lowest: float) -> Tensor:
        """Puts `lowest` in the places [batch, places] that are nobody's."""
        if self._num_places == self.num_identities:
            return values
        return ops.where(ops.arange(self._num_places) < self.num_identities, values, lowest)

    def logits(self, embeddings: Tensor) -> Tensor:
        return self.scale * self.cosines(embeddings)

    def loss_and_accuracy(
        self,
        embeddings: Tensor,
        identities: Tensor,
        training: bool = False,
        update_state: bool = True,
        candidates: Candidates | None = None,
    ) -> tuple[Tensor, Tensor]:
        embeddings = ops.cast(embeddings, "float32")
        if training and candidates is None:
            candidates = self.candidates(identities)
        if candidates is None:
            num_compared = self.num_identities
            # Below all cosines, so that nobody is never the best.
            cosines = self._without_nobody(self._cosines(embeddings, self.class_centers), -2.0)
        else:
            identities = candidates.columns(identities)
            cosines = self._cosines(embeddings, candidates.centers)
            num_compared = cosines.shape[-1]
        identities = lay_out(identities, IDENTITIES)
        positions = ops.expand_dims(ops.cast(identities, "int32"), -1)
        targets = ops.take_along_axis(cosines, positions, axis=-1)
        strength = self._strength() if training else 1.0
        if training and update_state:
            self.see(targets, embeddings)
            if self.warmup_epochs:
                self.steps.assign(self.steps + 1)
        with_margin = self.with_margin(targets, embeddings, strength)
        logits = self.scale * ops.where(
            ops.equal(ops.arange(cosines.shape[-1], dtype="int32"), positions),
            with_margin,
            self.of_others(cosines, with_margin),
        )
        if candidates is None:
            logits = lay_out(self._without_nobody(logits, NOBODY), LOGITS)
        losses = softmax_loss(logits, identities, self.label_smoothing, num_compared)
        return self.regularised(losses, embeddings, strength), is_best(cosines, identities)

    @abc.abstractmethod
    def with_margin(self, targets: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        """Returns what the cosine to the own center becomes by the margin.

        Args:
            targets: float32 [batch, 1], cosines to the own centers.
            embeddings: float32 [batch, embedding_size], of any length.
            strength: share of the margin, 0 to 1: a float or a scalar tensor.
        Returns: float32 [batch, 1].
        """

    def of_others(self, cosines: Tensor, with_margin: Tensor) -> Tensor:
        """Returns what the cosines [batch, num_identities] to centers of others become."""
        return cosines

    def regularised(self, losses: Tensor, embeddings: Tensor, strength: Tensor | float) -> Tensor:
        """Returns the losses [batch] with what a head adds to them."""
        return losses

    def see(self, targets: Tensor, embeddings: Tensor) -> None:
        """Notes, once in a step of training, what a head keeps of it."""

    def _strength(self) -> Tensor | float:
        num_steps = self.warmup_epochs * (self.steps_per_epoch or 0)
        if not num_steps:
            return 1.0
        return ops.minimum(ops.cast(self.steps, "float32") / num_steps, 1.0)


class FirstRows(initializers.Initializer):
    """Draws the first rows as another initializer draws an array of so many; the rest is zeros.

    Args:
        initializer: keras.initializers.Initializer.
        num_rows: int > 0.
    """

    def __init__(self, initializer: initializers.Initializer, num_rows: int):
        self.initializer = initializer
        self.num_rows = num_rows

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        rows = self.initializer((self.num_rows, *shape[1:]), dtype=dtype)
        return ops.pad(rows, [(0, shape[0] - self.num_rows)] + [(0, 0)] * (len(shape) - 1))


def lengths(embeddings: Tensor) -> Tensor:
    """Returns the lengths of float32 [batch, size] as [batch, 1], with a gradient also at 0."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(embeddings), axis=-1, keepdims=True), 1e-24))
