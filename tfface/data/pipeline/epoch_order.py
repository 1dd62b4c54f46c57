"""The order of an epoch: which image is at which position, and which rows of a batch to make."""

from typing import Literal, NamedTuple

import numpy as np

from tfface import seeding
from tfface.errors import InputError, warn

# What the numbers of PK sampling are drawn for.
_ROUNDS, _IMAGES = 0, 1


class BatchShard(NamedTuple):
    """One of `count` equal parts of the rows of every batch; the first has index 0.

    Example:
        >>> BatchShard(index=1, count=2).rows(8)
        slice(4, 8, None)
    """

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """Returns the rows of this shard in a batch.

        Args:
            batch_size: Images of the whole batch, of all shards.

        Raises:
            InputError: The batch can't be divided equally.
        """
        if batch_size % self.count:
            raise InputError(
                f"data.batch_size: a batch of {batch_size} can't be divided among {self.count} "
                "processes"
            )
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


FULL_BATCH = BatchShard()


class Order:
    """What all orders have in common: batches of one size, of which a shard makes some rows.

    Attributes:
        num_images: Images to draw from.
        batch_size: Images of a whole batch.
        steps_per_epoch: Number of batches.
        seed: Int >= 0; with the epoch it decides the order.
        shard: The rows of each batch to make.
        rows: The same, as a slice.
        num_rows: Their number.
        shuffle: Whether a stream of images is to be shuffled.
        last_batch: What happens to a last batch that is smaller: `drop`, `keep` or `fill`.
    """

    # Whether images are drawn by their positions, which a stream of records can't give.
    needs_positions = False

    def __init__(
        self, num_images: int, batch_size: int, steps_per_epoch: int, seed: int, shard: BatchShard
    ):
        self.num_images, self.batch_size = num_images, batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed, self.shard = seed, shard
        self.shuffle, self.last_batch = True, "drop"
        self.rows = shard.rows(batch_size)
        self.num_rows = self.rows.stop - self.rows.start

    def key(self, epoch: int) -> int:
        """Returns the key of the random numbers that order an epoch.

        Args:
            epoch: From 0 on.
        """
        return seeding.fold(self.seed, epoch, seeding.ORDER)

    def positions(self, epoch: int) -> np.ndarray:
        """Returns the order of an epoch: int64 [n], positions in the list of images.

        Args:
            epoch: From 0 on.
        """
        raise NotImplementedError

    @property
    def num_filling(self) -> int:
        """How many images fill the last batch."""
        return -self.num_images % self.batch_size if self.last_batch == "fill" else 0

    def shard_positions(self, epoch: int, first_step: int = 0) -> np.ndarray:
        """Returns the shard's part of the order, from batch `first_step` on: int64 [n].

        Args:
            epoch: From 0 on.
            first_step: The batches before it are left out.
        """
        positions = self.positions(epoch)[first_step * self.batch_size :]
        if self.num_filling:
            positions = np.resize(positions, len(positions) + self.num_filling)
        if self.shard.count == 1:
            return positions
        whole = len(positions) - len(positions) % self.batch_size
        return positions[:whole].reshape(-1, self.batch_size)[:, self.rows].ravel()

    def weights(self) -> np.ndarray:
        """Returns the weights of the shard's images: float32 [steps, rows].

        They are 0 for images that fill the last batch, equal for all others, and 1 on average.

        Example:
            >>> EpochOrder(3, batch_size=2, last_batch="fill").weights().round().tolist()
            [[1.0, 1.0], [1.0, 0.0]]
        """
        count = self.num_images + self.num_filling
        weights = np.zeros(count, np.float32)
        weights[: self.num_images] = count / self.num_images
        return weights.reshape(-1, self.batch_size)[:, self.rows]


class EpochOrder(Order):
    """Takes each image once in an epoch, shuffled or in the order given.

    The order is a function of (seed, epoch): resuming at a step is a slice of it.

    Args:
        num_images: Int > 0.
        batch_size: Int > 0; with fewer images than that, all of them are one batch.
        seed: Int >= 0.
        shuffle: False keeps the images in the order given.
        last_batch: `drop` omits a last batch that is smaller; `keep` keeps it; `fill` fills it with
            images of the epoch, to which `weights` gives a weight of 0.
        shard: The rows of each batch to make.

    Raises:
        InputError: There are no images, or the batch can't be divided into shards.

    Example:
        >>> order = EpochOrder(10, batch_size=4, seed=3, last_batch="keep")
        >>> order.steps_per_epoch
        3
        >>> sorted(order.positions(epoch=0).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        >>> bool((order.shard_positions(0, first_step=2) == order.positions(0)[8:]).all())
        True
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        last_batch: Literal["drop", "keep", "fill"] = "drop",
        shard: BatchShard = FULL_BATCH,
    ):
        if not num_images:
            raise InputError("there are no images to make batches of")
        # A last batch that may be smaller is a batch like any other.
        if batch_size > num_images and last_batch == "drop":
            warn(
                f"batch_size {batch_size} is more than the {num_images} images there are: a batch "
                "holds all of them"
            )
        if last_batch != "fill":
            batch_size = min(batch_size, num_images)
        num_steps, rest = divmod(num_images, batch_size)
        num_steps += rest > 0 and last_batch != "drop"
        super().__init__(num_images, batch_size, num_steps, seed, shard)
        self.shuffle, self.last_batch = shuffle, last_batch

    def positions(self, epoch: int) -> np.ndarray:
        if self.shuffle:
            return seeding.permutation(self.key(epoch), self.num_images)
        return np.arange(self.num_images)


class PKOrder(Order):
    """PK sampling: batches of P identities with K images of each, for losses on pairs of images.

    `pk_positions` describes the sampling. With fewer identities than a batch has room for, a batch
    holds all of them. An epoch has as many batches as its images fill, but at least one.

    Args:
        labels: int [num_images], the identity of each image.
        batch_size: Int > 0, P * K.
        samples_per_identity: Int > 0, K.
        seed: Int >= 0.
        shard: The rows of each batch to make.

    Raises:
        InputError: `samples_per_identity` does not divide `batch_size`, there are no images, or the
            batch can't be divided into shards.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
        >>> order = PKOrder(labels, batch_size=4, samples_per_identity=2)
        >>> drawn = labels[order.positions(epoch=0)].reshape(-1, 2, 2)
        >>> bool((drawn[..., 0] == drawn[..., 1]).all())
        True
    """

    needs_positions = True

    def __init__(
        self,
        labels: np.ndarray,
        batch_size: int,
        samples_per_identity: int,
        *,
        seed: int = 0,
        shard: BatchShard = FULL_BATCH,
    ):
        if batch_size % samples_per_identity:
            raise InputError(
                f"batch_size {batch_size} can't be divided by samples_per_identity "
                f"{samples_per_identity}"
            )
        wanted, num_identities = batch_size // samples_per_identity, len(np.unique(labels))
        if wanted > num_identities:
            warn(
                f"batch_size {batch_size} wants {wanted} identities, more than the "
                f"{num_identities} there are: a batch holds all of them"
            )
        if not num_identities:
            raise InputError("there are no images to make batches of")
        self._labels, self._samples_per_identity = labels, samples_per_identity
        self._num_identities = min(wanted, num_identities)
        batch_size = self._num_identities * samples_per_identity
        num_steps = max(len(labels) // batch_size, 1)
        super().__init__(len(labels), batch_size, num_steps, seed, shard)

    def positions(self, epoch: int) -> np.ndarray:
        return pk_positions(
            self._labels,
            self._num_identities,
            self._samples_per_identity,
            self.steps_per_epoch,
            self.key(epoch),
        )


def pk_positions(
    labels: np.ndarray, num_identities: int, samples_per_identity: int, num_batches: int, key: int
) -> np.ndarray:
    """Draws the images of an epoch's batches for PK sampling.

    The identities come in rounds. In a round, each is used at most once: they are put in a random
    order that is cut into batches, and those that would make a smaller last batch wait for the next
    round. So no identity is in a batch twice, and all are drawn equally often, however many images
    they have.

    The images of an identity are put in a random order for the epoch, and each time it is in a
    batch it gives the next `samples_per_identity` of them, starting again after the last: no image
    is repeated before all were used, and an identity with fewer images repeats them.

    Args:
        labels: int [num_images].
        num_identities: In a batch; at most the number of different labels.
        samples_per_identity: Int > 0.
        num_batches: Of the epoch.
        key: Int in [0, 2**64) that decides everything; a longer epoch starts with the batches of a
            shorter one.

    Returns:
        int64 [num_batches * num_identities * samples_per_identity], positions in `labels`; the
        images of an identity are adjacent.

    Example:
        >>> labels = np.array([5, 5, 5, 7, 7, 7])
        >>> drawn = pk_positions(labels, 2, 2, num_batches=1, key=1)
        >>> sorted(labels[drawn].tolist())
        [5, 5, 7, 7]
    """
    _, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
    drawn = _draw_identities(len(counts), num_identities, num_batches, key)
    # By identity, and in a random order within it.
    order = np.lexsort((seeding.words(seeding.fold(key, _IMAGES), len(labels)), labels))
    starts = np.cumsum(counts) - counts
    used = _times_before(drawn)[:, None] * samples_per_identity + np.arange(samples_per_identity)
    return order[starts[drawn][:, None] + used % counts[drawn][:, None]].ravel()


def _draw_identities(
    num_available: int, num_identities: int, num_batches: int, key: int
) -> np.ndarray:
    """Returns the identities of all batches: int64 [num_batches * num_identities]."""
    batches_per_round = num_available // num_identities
    rounds = [
        seeding.permutation(seeding.fold(key, _ROUNDS, number), num_available)[
            : batches_per_round * num_identities
        ]
        for number in range(-(-num_batches // batches_per_round))
    ]
    return np.concatenate(rounds)[: num_batches * num_identities]


def _times_before(values: np.ndarray) -> np.ndarray:
    """Returns how often each value has come before: [1, 2, 1, 1] -> [0, 0, 1, 2]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    times = np.empty(len(values), np.int64)
    times[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return times
