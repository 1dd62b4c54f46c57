"""What is done to a batch of images: decoding, and augmentation stage by stage."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.data.augment import random, words
from tfface.data.pipeline.epoch_order import FULL_BATCH, BatchShard
from tfface.errors import InputError
from tfface.images.decoding import decode_all


@cache
def decoder(image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function of string [batch] -> uint8 [batch, height, width, 3].

    There is one for each size: TensorFlow traces every new function, which takes 0.1 s.

    Args:
        image_size: (height, width) of the images that come out.
    """
    decode = tf.function(lambda encoded: decode_all(encoded, *image_size), autograph=False)

    def with_size(encoded: tf.Tensor) -> tf.Tensor:
        # What was traced for batches of any size is used for those of a known size, too.
        return tf.ensure_shape(decode(encoded), (encoded.shape[0], *image_size, 3))

    return with_size


class BatchAugmentation:
    """Applies stages of augmentation to a batch, one after the other.

    XLA compiles each stage by itself. Between them the images are uint8 as long as they hold whole
    numbers only, and the result of the last is rounded. In one program of several stages XLA would
    compute the results of a stage, and its random numbers, again for each pixel that needs them,
    which takes up to six times as long. Stages that can work on pixels as words do so, one after
    the other, while images hold whole numbers (`augment/words.py`); the result is the same.

    Args:
        stages: Instances of `tfface.data.augment`, in the order in which they are applied.
        image_size: (height, width) of the result.
        known_size: (height, width) of all images of the source, if they have one size.
        seed: Int >= 0.
        shard: The rows of each batch that are augmented.

    Attributes:
        load_size: (height, width) at which images have to be decoded.

    Raises:
        InputError: The stages can't be combined; or, for one shard of several, a stage mixes
            images.

    Example:
        >>> from tfface.data.augment import AUGMENTATIONS
        >>> flip = AUGMENTATIONS["random_flip"](probability=1.0)
        >>> augmentation = BatchAugmentation([flip], image_size=(2, 2))
        >>> images = tf.cast(tf.reshape(tf.range(12), [1, 2, 2, 3]), tf.uint8)
        >>> seeds = tf.constant(augmentation.seeds(epoch=0, num_steps=1)[0])
        >>> flipped, labels = augmentation(images, tf.constant([5]), seeds)
        >>> flipped[0, :, :, 0].numpy().tolist()
        [[3, 0], [9, 6]]
    """

    def __init__(
        self,
        stages: Sequence,
        image_size: tuple[int, int],
        *,
        known_size: tuple[int, int] | None = None,
        seed: int = 0,
        shard: BatchShard = FULL_BATCH,
    ):
        self.stages = tuple(stages)
        _check_order(self.stages)
        if shard.count > 1:
            _check_no_mixing(self.stages)
        self.load_size = _load_size(self.stages, image_size, known_size)
        self._seed = seed
        self._compiled = _compiled_stages(self.stages, shard)

    @property
    def uses_xla(self) -> bool:
        """Whether XLA can compile all stages."""
        return all(_uses_xla(stage) for stage in self.stages)

    @property
    def mixes_images(self) -> bool:
        """Whether a stage puts parts of several images into one."""
        return any(_uses_labels(stage) for stage in self.stages)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seeds: tf.Tensor) -> tuple:
        """Augments a batch.

        Args:
            images: uint8 [batch, height, width, 3] of `load_size`.
            labels: int32 [batch].
            seeds: int32 [stages, 2], a row of `seeds`.

        Returns:
            images uint8 [batch, height, width, 3] of `image_size`; labels, or the dict into which a
            stage mixes them.
        """
        start = 0
        for count, apply in self._compiled:
            images, labels = apply(images, labels, seeds[start : start + count])
            start += count
        return images, labels

    def seeds(self, epoch: int, num_steps: int) -> np.ndarray:
        """Returns the seeds of an epoch: int32 [steps, stages, 2], each a function of its step.

        Args:
            epoch: from 0 on.
            num_steps: batches of the epoch.
        """
        keys = [
            seeding.words(seeding.fold(self._seed, epoch, seeding.AUGMENT, stage), num_steps)
            for stage in range(len(self.stages))
        ]
        return np.stack(keys, axis=1).view(np.int32).reshape(num_steps, -1, 2)


# New functions would be traced and compiled again, for each pipeline and in every epoch.
@lru_cache(maxsize=32)
def _compiled_stages(stages: tuple, shard: BatchShard) -> list[tuple[int, Callable]]:
    """Returns compiled functions (images, labels, seeds) -> (images, labels).

    Returns:
        The number of consecutive stages that a function applies, and the function.
    """
    compiled: list[tuple[int, Callable]] = []
    first, are_whole = 0, True
    while first < len(stages):
        last = first
        while are_whole and last < len(stages) and _works_on_words(stages, last):
            last += 1
        if last > first:
            compiled.append((last - first, _OnWords(stages[first:last], shard)))
        else:
            last = first + 1
            is_last = last == len(stages)
            compiled.append((1, _compiled(stages[first], shard, is_last=is_last)))
            are_whole &= _takes_uint8(stages[first])
        first = last
    return compiled


def _works_on_words(stages: tuple, number: int) -> bool:
    """Whether a stage gives whole numbers there, and has steps for words."""
    is_whole = _takes_uint8(stages[number]) or number == len(stages) - 1
    return is_whole and hasattr(stages[number], "steps")


class _OnWords:
    """Applies stages to pixels as words, in as many compiled programs as take the least time.

    Args:
        stages: Those to apply, all with steps for words.
        shard: The rows of each batch that are augmented.
    """

    def __init__(self, stages: tuple, shard: BatchShard):
        self._stages, self._shard = stages, shard
        self._begin = tf.function(self._pack, jit_compile=True, autograph=False)
        # What a program does: functions of (words, numbers), and whose numbers these are.
        programs: list[list[tuple[Callable, int]]] = []
        is_open = False
        for number, stage in enumerate(stages):
            for position, step in enumerate(stage.steps):
                if not (is_open and position == 0 and stage.is_local):
                    programs.append([])
                programs[-1].append((step, number))
                is_open = stage.is_local
        if not is_open:
            programs.append([])
        self._programs = [
            tf.function(
                partial(_run, steps=steps, is_last=position == len(programs) - 1),
                jit_compile=True,
                autograph=False,
            )
            for position, steps in enumerate(programs)
        ]

    def __call__(self, images: tf.Tensor, labels, seeds: tf.Tensor) -> tuple:
        pixels, numbers = self._begin(images, seeds)
        for program in self._programs:
            changed, more = program(pixels, numbers)
            pixels = pixels if changed is None else changed
            numbers = [old + new for old, new in zip(numbers, more, strict=True)]
        return pixels, labels

    def _pack(self, images: tf.Tensor, seeds: tf.Tensor) -> tuple:
        pixels = words.pack(images)
        with random.for_batch_shard(self._shard):
            numbers = [
                stage.draw(pixels, seeds[number]) for number, stage in enumerate(self._stages)
            ]
        return pixels, numbers


def _run(pixels: tf.Tensor, numbers: list, *, steps: list, is_last: bool) -> tuple:
    """Applies steps and returns what is new: nothing that is given, which would double the time."""
    given, more = pixels, [()] * len(numbers)
    for step, number in steps:
        pixels, more[number] = step(pixels, numbers[number])
    if is_last:
        pixels = words.unpack(pixels)
    return None if pixels is given else pixels, more


def _compiled(stage, shard: BatchShard, *, is_last: bool) -> Callable:
    """Returns a compiled function (images, labels, seeds int32 [1, 2]) -> (images, labels)."""
    uses_labels, mixes = _uses_labels(stage), _mixes_identities(stage)

    def apply(images: tf.Tensor, labels, seeds: tf.Tensor) -> tuple:
        seed = seeds[0]
        if not _takes_uint8(stage):
            images = tf.cast(images, tf.float32)
        with random.for_batch_shard(shard):
            if mixes:
                images, labels = stage(images, labels, seed)
            else:
                images = stage(images, labels, seed) if uses_labels else stage(images, seed)
        if is_last and images.dtype != tf.uint8:
            images = tf.saturate_cast(tf.round(images), tf.uint8)
        return images, labels

    return tf.function(apply, jit_compile=_uses_xla(stage), autograph=False)


def _takes_uint8(stage) -> bool:
    return getattr(stage, "takes_uint8", False)


def _uses_xla(stage) -> bool:
    return getattr(stage, "uses_xla", True)


def _uses_labels(stage) -> bool:
    return getattr(stage, "uses_labels", False) or _mixes_identities(stage)


def _mixes_identities(stage) -> bool:
    return getattr(stage, "mixes_identities", False)


def _check_order(stages: tuple) -> None:
    """Raises InputError if a stage needs labels that a stage before it has mixed."""
    mixing = [number for number, stage in enumerate(stages) if _mixes_identities(stage)]
    if len(mixing) > 1:
        raise InputError("augment: only one stage (mixup or cutmix) may mix identities")
    if mixing and any(_uses_labels(stage) for stage in stages[mixing[0] + 1 :]):
        raise InputError(
            "augment: one_class_cutmix must come before the stage (mixup or cutmix) that mixes "
            "identities"
        )


def _check_no_mixing(stages: tuple) -> None:
    """Raises InputError if a stage needs other images, which may be in another shard."""
    if any(_uses_labels(stage) for stage in stages):
        raise InputError(
            "data.augment: mixup, cutmix and one_class_cutmix mix the images of a whole batch, of "
            "which each of several processes has a part; leave them out, or train with one process"
        )


def _load_size(
    stages: tuple, image_size: tuple[int, int], known_size: tuple[int, int] | None
) -> tuple[int, int]:
    """Returns (height, width) at which images are decoded."""
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
