"""Training on features: a frozen backbone sees each image once, not in every epoch.

The embedder is cut behind the backbone and whatever follows it that neither learns nor draws random
numbers (the pooling). What is before the cut makes the features. What is behind it is trained on
them, with the very weights, random seeds and optimizer of the whole recognizer: a checkpoint is the
same with and without a cache.
"""

import math

from tfface.data.pipeline.cache import check_memory
from tfface.training.datasets import RunData
from tfface.training.feature_extraction import (
    AugmentedFeatures,
    Extractor,
    Features,
    PairFeatures,
    split,
)
from tfface.training.recognizer import Recognizer
from tfface.training.stage_task import Learner, image_figures, pair_figures


class FeatureCache:
    """The features of a run's images, in memory from when they are first needed.

    Without augmentation, a batch holds the features of the images that it would hold with `cache:
    memory`, and stages that follow each other with a frozen backbone share them. With augmentation,
    epoch e of a stage is its epoch e mod `copies` again, which is exact for the first `copies`.

    The backbone is in inference mode: where it has dropout of its own, nothing is dropped.

    Args:
        recognizer: built.
        copies: number of augmented epochs that are kept; None if images are not augmented.
    Raises InputError: the features need more memory than there is.
    """

    def __init__(self, recognizer: Recognizer, data: RunData, copies: int | None):
        self._recognizer = recognizer
        self._data = data
        self._copies = copies
        frozen, self._tail = split(recognizer.embedder)
        self._extractor = Extractor(frozen)
        num_bytes = self._num_vectors() * self._extractor.num_bytes
        self.description = (
            f"features: {self._num_vectors():,} x {math.prod(self._extractor.shape):,} numbers, "
            f"{num_bytes / 2**20:,.1f} MiB of memory"
        )
        check_memory(num_bytes, f"cache: {self.description}", self._instead())
        self.forget()

    def forget(self) -> None:
        """Drops the features, because the backbone is about to change."""
        self._train = Features(self._data.train, self._extractor)
        self._validation = None
        if self._data.validation_pairs is not None:
            self._validation = PairFeatures(self._data.validation_pairs, self._extractor)
        elif self._data.validation is not None:
            self._validation = Features(self._data.validation, self._extractor)

    def learner(self, first_epoch: int) -> Learner:
        """Returns what a stage trains: the tail, by the optimizer that the recognizer is compiled
        with.

        Args:
            first_epoch: number of epochs that were trained before this stage.
        """
        model = Recognizer(self._tail, self._recognizer.head)
        model.compile(optimizer=self._recognizer.optimizer, jit_compile="auto")
        train = self._train
        if self._copies is not None:
            train = AugmentedFeatures(self._data.train, self._extractor, self._copies, first_epoch)

        def validate() -> dict[str, float]:
            if self._data.validation_pairs is not None:
                return pair_figures(self._validation.verify(self._tail))
            if self._data.validation is not None:
                return image_figures(model, self._validation)
            return {}

        return Learner(model, train, validate)

    def _num_vectors(self) -> int:
        train = self._data.train
        number = train.num_images
        if self._copies is not None:
            number = train.steps_per_epoch * train.batch_size * self._copies
        if self._data.validation_pairs is not None:
            # Each image and its mirrored copy.
            number += 2 * len(self._data.validation_pairs.images)
        elif self._data.validation is not None:
            number += self._data.validation.num_images
        return number

    def _instead(self) -> str:
        if self._copies is not None and self._copies > 1:
            return "use cache: memory, fewer augmented_copies or neck.pooling: average"
        return "use cache: memory or neck.pooling: average"
