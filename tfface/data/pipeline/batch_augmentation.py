"""The augmentation of whole batches: stages compiled one by one, and the numbers they draw by."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.data.augment import random
from tfface.data.pipeline.batch_sharding import FULL_BATCH, BatchShard
from tfface.errors import InputError


class BatchAugmentation:
    """Stages of augmentation, one after the other.

    Each is compiled by XLA alone. Between them the images are uint8 as long as nothing but whole
    numbers can be in them, and the last one's result is rounded. In one program of several stages
    XLA computes what one gives the next, and the random numbers it draws, anew for each pixel that
    takes them, which costs up to six times as long.

    Args:
        stages: as in `tfface.data.augment`, in the order in which they are applied.
        image_size: (height, width) of the result.
        known_size: that all images of the source have, if that is known.
        seed: int >= 0.
        part: the rows of each batch that are given.
    Attributes:
        load_size: (height, width) at which images are to be decoded.
    Call arguments: images uint8 [batch, height, width, 3]; labels int32 [batch]; a row of `seeds`.
    Returns: images uint8 of `image_size`; labels, as the stages make them.
    Raises InputError: stages that don't go together, or for a part of a batch, stages that make one
        image of several.
    """

    def __init__(
        self,
        stages: Sequence,
        image_size: tuple[int, int],
        *,
        known_size: tuple[int, int] | None = None,
        seed: int = 0,
        part: BatchShard = FULL_BATCH,
    ):
        self.stages = tuple(stages)
        _check_order(self.stages)
        if part.count > 1:
            _check_no_mixing(self.stages)
        self.image_size = image_size
        self.load_size = _load_size(self.stages, image_size, known_size)
        self._seed = seed
        last = len(self.stages) - 1
        # Made once: new functions would be traced and compiled anew in every epoch.
        self._compiled = [
            _compiled(stage, part, is_last=number == last)
            for number, stage in enumerate(self.stages)
        ]

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seeds: tf.Tensor) -> tuple:
        for number, stage in enumerate(self._compiled):
            images, labels = stage(images, labels, seeds[number])
        return images, labels

    def seeds(self, epoch: int, num_steps: int) -> np.ndarray:
        """Returns int32 [steps, stages, 2]; a step's row depends on nothing but its number."""
        keys = [
            seeding.words(seeding.fold(self._seed, epoch, seeding.AUGMENT, stage), num_steps)
            for stage in range(len(self.stages))
        ]
        return np.stack(keys, axis=1).view(np.int32).reshape(num_steps, -1, 2)


def _compiled(stage, part: BatchShard, *, is_last: bool):
    """Returns a compiled function (images, labels, seed) -> (images, labels)."""
    uses_labels, mixes = _uses_labels(stage), _mixes_identities(stage)

    def apply(images: tf.Tensor, labels, seed: tf.Tensor) -> tuple:
        if not getattr(stage, "takes_uint8", False):
            images = tf.cast(images, tf.float32)
        with random.for_batch_shard(part):
            if mixes:
                images, labels = stage(images, labels, seed)
            else:
                images = stage(images, labels, seed) if uses_labels else stage(images, seed)
        if is_last and images.dtype != tf.uint8:
            images = tf.saturate_cast(tf.round(images), tf.uint8)
        return images, labels

    return tf.function(apply, jit_compile=getattr(stage, "uses_xla", True))


def _uses_labels(stage) -> bool:
    return getattr(stage, "uses_labels", False) or _mixes_identities(stage)


def _mixes_identities(stage) -> bool:
    return getattr(stage, "mixes_identities", False)


def _check_order(stages: tuple) -> None:
    """Raises InputError when a stage needs labels that another one before it has mixed."""
    mixing = [number for number, stage in enumerate(stages) if _mixes_identities(stage)]
    if len(mixing) > 1:
        raise InputError("augment: only one stage (mixup or cutmix) may mix identities")
    if mixing and any(_uses_labels(stage) for stage in stages[mixing[0] + 1 :]):
        raise InputError(
            "augment: one_class_cutmix must come before the stage (mixup or cutmix) that mixes "
            "identities"
        )


def _check_no_mixing(stages: tuple) -> None:
    """Raises InputError when a stage takes pieces of other images, which may not be here."""
    if any(_uses_labels(stage) for stage in stages):
        raise InputError(
            "data.augment: mixup, cutmix and one_class_cutmix mix the images of a whole batch, of "
            "which each of several processes has a part; leave them out, or train with one process"
        )


def _load_size(
    stages: tuple, image_size: tuple[int, int], known_size: tuple[int, int] | None
) -> tuple[int, int]:
    """Returns (height, width) at which images are decoded.

    Args:
        known_size: that all images of the source have, if that is known.
    """
    wanting = [stage for stage in stages if hasattr(stage, "load_size")]
    if len(wanting) > 1:
        raise InputError("augment: only one stage (random_crop) may load images at its own size")
    if not wanting:
        return tuple(image_size)
    load_size = tuple(wanting[0].load_size)
    if (
        known_size is not None
        and wanting[0] is stages[0]
        and getattr(stages[0], "enlarges", False)
        and all(0 < known <= wanted for known, wanted in zip(known_size, load_size, strict=True))
    ):
        return tuple(known_size)
    return load_size
