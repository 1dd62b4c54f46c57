"""Features of a frozen backbone, which then sees each image once, not in every epoch.

The embedder is split after the backbone and the layers behind it that have no variables (the
pooling). The first part computes the features. The second part is trained on them, with the
weights, random seeds and optimizer of the whole recognizer: a checkpoint is the same with and
without the cache.
"""

import math

import keras
import numpy as np

from tfface.data.pairs import PairSet
from tfface.data.pipeline.cache import EpochCache, check_memory
from tfface.data.pipeline.pipeline import Pipeline
from tfface.evaluation.embedders.embedder import embed_images
from tfface.evaluation.verification import evaluate_pair_embeddings
from tfface.metrics.verification import VerificationResult
from tfface.progress import progress
from tfface.training.datasets import RunData
from tfface.training.recognizer import Recognizer

# Those of Keras' metrics that an epoch reports, where the recognizer has them.
from tfface.training.stage_task import StageTask, image_metrics, pair_metrics

# Images of one pass.
_BATCH = 64


def split_at_frozen(embedder: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Splits an embedder, as `build_embedder` makes it, before its first trainable layer.

    Args:
        embedder: with a frozen backbone.

    Returns:
        Two models, images -> features and features -> embeddings; they share the embedder's layers.
    """
    # In the order of the graph, which is a chain behind the backbone.
    _, *chain = embedder.operations
    cut = 1 + [operation.name for operation in chain].index("backbone")
    # Random layers have a variable, too: their seed. The second part needs at least one layer.
    while cut < len(chain) - 1 and not getattr(chain[cut], "variables", ()):
        cut += 1
    features = chain[cut].input
    return (
        keras.Model(embedder.input, features, name="frozen"),
        keras.Model(features, embedder.output, name="tail"),
    )


class FeatureExtractor:
    """Images -> features, in inference mode, compiled for one size of batch.

    Args:
        frozen: the first half that `split_at_frozen` returns.

    Attributes:
        image_size: (height, width).
        shape: of the features of one image.
        num_bytes: size of these in memory.
    """

    def __init__(self, frozen: keras.Model):
        self._frozen = frozen
        self.image_size = frozen.input_shape[1:3]
        self.shape = frozen.output_shape[1:]
        self.num_bytes = math.prod(self.shape) * np.dtype(np.float32).itemsize

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 [n, ...] of uint8 images [n, height, width, 3]."""
        return _outputs(self._frozen, images)


class CachedFeatures:
    """The batches of a Pipeline without augmentation, with features in place of images."""

    def __init__(self, pipeline: Pipeline, extractor: FeatureExtractor):
        self._pipeline = pipeline
        self._extractor = extractor
        self._holding: Pipeline | None = None
        self.batch_size = pipeline.batch_size
        self.steps_per_epoch = pipeline.steps_per_epoch
        self.naming_bad_images = pipeline.naming_bad_images

    def epoch(self, epoch: int, first_step: int = 0):
        """Returns (features float32 [batch, ...], labels) as Pipeline.epoch does (images, labels).

        The first call computes the features.
        """
        if self._holding is None:
            self._holding = self._pipeline.with_features(self._features())
        return self._holding.epoch(epoch, first_step)

    def file_names(self, epoch: int, step: int) -> list[str]:
        return (self._holding or self._pipeline).file_names(epoch, step)

    def _features(self) -> np.ndarray:
        features = np.empty((self._pipeline.num_images, *self._extractor.shape), np.float32)
        with _bar(len(features)) as bar:
            for places, images in self._pipeline.each_image(_BATCH):
                features[places] = self._extractor(images)
                bar.update(len(places))
        return features


class CachedAugmentedFeatures:
    """The batches of the first epochs of a Pipeline, repeated, with features in place of images.

    Epoch `first_epoch` + i holds those of epoch `first_epoch` + i mod copies, each computed when it
    is first asked for.
    """

    def __init__(
        self, pipeline: Pipeline, extractor: FeatureExtractor, copies: int, first_epoch: int
    ):
        self._pipeline = pipeline
        self._extractor = extractor
        self._first_epoch = first_epoch
        self._copies: list[EpochCache | None] = [None] * copies
        self.batch_size = pipeline.batch_size
        self.steps_per_epoch = pipeline.steps_per_epoch
        self.naming_bad_images = pipeline.naming_bad_images

    def epoch(self, epoch: int, first_step: int = 0):
        number = self._number(epoch)
        if self._copies[number] is None:
            self._copies[number] = self._replay(self._first_epoch + number)
        return self._copies[number].epoch(first_step)

    def file_names(self, epoch: int, step: int) -> list[str]:
        return self._pipeline.file_names(self._first_epoch + self._number(epoch), step)

    def _number(self, epoch: int) -> int:
        return (epoch - self._first_epoch) % len(self._copies)

    def _replay(self, epoch: int) -> EpochCache:
        size = (self.steps_per_epoch, self.batch_size)
        replay = EpochCache((*size, *self._extractor.shape))
        with _bar(math.prod(size)) as bar:
            for images, labels in self._pipeline.epoch(epoch).as_numpy_iterator():
                replay.add(self._extractor(images), labels)
                bar.update(len(images))
        return replay


class CachedPairFeatures:
    """The features of a pair set's images and of their flipped copies, computed at first use."""

    keeps_aspect = False
    batch_size = _BATCH

    def __init__(self, pair_set: PairSet, extractor: FeatureExtractor):
        self._pair_set = pair_set
        self._extractor = extractor
        self.image_size = extractor.image_size
        self._features: np.ndarray | None = None

    def verify(self, tail: keras.Model) -> VerificationResult:
        """Returns what `evaluate_verification` gives for the whole embedder."""
        if self._features is None:
            pairs = self._pair_set
            self._features = embed_images(self, pairs.images, pairs.image_names, what=pairs.name)
        straight, mirrored = (
            _outputs(tail, features) for features in np.swapaxes(self._features, 0, 1)
        )
        return evaluate_pair_embeddings(straight + mirrored, self._pair_set)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 [n, 2, ...]: of each image, and of it mirrored."""
        return np.stack([self._extractor(images), self._extractor(images[:, :, ::-1])], axis=1)


def _outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Returns a model's outputs for inputs [n, ...], in inference mode, in batches of one size."""
    outputs = np.empty((len(inputs), *model.output_shape[1:]), np.float32)
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        filled = np.pad(batch, [(0, _BATCH - len(batch))] + [(0, 0)] * (batch.ndim - 1))
        outputs[start : start + _BATCH] = model.predict_on_batch(filled)[: len(batch)]
    return outputs


def _bar(total: int):
    return progress(total=total, description="features", unit="images")


class FeatureCache:
    """The features of a run's images, computed when they are first needed and kept in memory.

    Without augmentation, a batch holds the features of the images that it would hold with `cache:
    memory`, and stages that follow each other with a frozen backbone share them. With augmentation,
    epoch e of a stage is its epoch e mod `copies` again, which is exact for the first `copies`.

    The backbone is in inference mode: its own dropout layers, if any, do nothing.

    Args:
        recognizer: built.
        copies: number of augmented epochs that are kept; None if images are not augmented.
    Raises InputError: the features need more memory than there is.
    """

    def __init__(self, recognizer: Recognizer, data: RunData, copies: int | None):
        self._recognizer = recognizer
        self._data = data
        self._copies = copies
        frozen, self._tail = split_at_frozen(recognizer.embedder)
        self._extractor = FeatureExtractor(frozen)
        num_bytes = self._num_vectors() * self._extractor.num_bytes
        self.description = (
            f"features: {self._num_vectors():,} x {math.prod(self._extractor.shape):,} numbers, "
            f"{num_bytes / 2**20:,.1f} MiB of memory"
        )
        check_memory(num_bytes, f"cache: {self.description}", self._instead())
        self.clear()

    def clear(self) -> None:
        """Drops the features, because the backbone is about to change."""
        self._train = CachedFeatures(self._data.train, self._extractor)
        self._validation = None
        if self._data.validation_pairs is not None:
            self._validation = CachedPairFeatures(self._data.validation_pairs, self._extractor)
        elif self._data.validation is not None:
            self._validation = CachedFeatures(self._data.validation, self._extractor)

    def task(self, first_epoch: int) -> StageTask:
        """Returns the task of training the second part, with the recognizer's optimizer.

        Args:
            first_epoch: number of epochs that were trained before this stage.
        """
        model = Recognizer(self._tail, self._recognizer.head, self._recognizer.distillation)
        model.reports_steps = True
        model.compile(optimizer=self._recognizer.optimizer, jit_compile="auto")
        train = self._train
        if self._copies is not None:
            train = CachedAugmentedFeatures(
                self._data.train, self._extractor, self._copies, first_epoch
            )

        validate = None
        if self._data.validation_pairs is not None:

            def validate() -> dict[str, float]:
                return pair_metrics(self._validation.verify(self._tail))

        elif self._data.validation is not None:

            def validate() -> dict[str, float]:
                return image_metrics(model, self._validation)

        return StageTask(model, train, validate)

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
            return "use cache: memory, fewer num_cached_augmentations or neck.pooling: average"
        return "use cache: memory or neck.pooling: average"
