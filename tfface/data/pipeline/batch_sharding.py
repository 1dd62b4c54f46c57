"""Which rows of every batch are made here, where several processes make a batch together."""

from typing import NamedTuple

from tfface.errors import InputError


class BatchShard(NamedTuple):
    """One of `count` equal parts of the rows of every batch, the first being number 0."""

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """Returns where this part is in a batch.

        Raises InputError: a batch can't be divided so.
        """
        if batch_size % self.count:
            raise InputError(
                f"data.batch_size: a batch of {batch_size} can't be divided among {self.count} "
                "processes"
            )
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


FULL_BATCH = BatchShard()
