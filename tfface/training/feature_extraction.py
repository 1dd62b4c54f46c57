"""What a frozen backbone makes of images, and batches of that."""

import math

import keras
import numpy as np

from tfface.data.pairs import PairSet
from tfface.data.pipeline.epoch_cache import Replay
from tfface.data.pipeline.pipeline import Pipeline
from tfface.evaluation.embedders.embedding import embed_images
from tfface.evaluation.verification import verify_embeddings
from tfface.metrics.verification import VerificationResult
from tfface.progress import progress

# Images of one pass.
_BATCH = 64


def split(embedder: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts an embedder, as `build_embedder` makes it, where training begins to matter.

    Returns: images -> features, and features -> embeddings; they share the embedder's layers.
    """
    # In the order of the graph. Behind the backbone, every layer that has weights takes all that
    # there is at that point, so the graph can be cut before it.
    _, *chain = embedder.operations
    cut = 1 + [operation.name for operation in chain].index("backbone")
    # Random layers have no weights but a seed, which is a variable. The last layer stays behind the
    # cut: there has to be one.
    while cut < len(chain) - 1 and not getattr(chain[cut], "variables", ()):
        cut += 1
    features = chain[cut].input
    return (
        keras.Model(embedder.input, features, name="frozen"),
        keras.Model(features, embedder.output, name="tail"),
    )


class Extractor:
    """Images -> features, in inference mode, compiled for one size of batch.

    Args:
        frozen: the first half that `split` returns.

    Attributes:
        image_size: (height, width).
        shape: of the features of one image.
        num_bytes: of these.
    """

    def __init__(self, frozen: keras.Model):
        self._frozen = frozen
        self.image_size = frozen.input_shape[1:3]
        self.shape = frozen.output_shape[1:]
        self.num_bytes = math.prod(self.shape) * np.dtype(np.float32).itemsize

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 [n, ...] of uint8 images [n, height, width, 3]."""
        return _outputs(self._frozen, images)


class Features:
    """The batches of a Pipeline, not augmented, with features in place of images."""

    def __init__(self, pipeline: Pipeline, extractor: Extractor):
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
            self._holding = self._pipeline.holding(self._features())
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


class AugmentedFeatures:
    """The batches of a Pipeline's first epochs, with features in place of images, again and again.

    Epoch `first_epoch` + i holds those of epoch `first_epoch` + i mod copies, each computed when it
    is first asked for.
    """

    def __init__(self, pipeline: Pipeline, extractor: Extractor, copies: int, first_epoch: int):
        self._pipeline = pipeline
        self._extractor = extractor
        self._first_epoch = first_epoch
        self._copies: list[Replay | None] = [None] * copies
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

    def _replay(self, epoch: int) -> Replay:
        size = (self.steps_per_epoch, self.batch_size)
        replay = Replay((*size, *self._extractor.shape))
        with _bar(math.prod(size)) as bar:
            for images, labels in self._pipeline.epoch(epoch).as_numpy_iterator():
                replay.add(self._extractor(images), labels)
                bar.update(len(images))
        return replay


class PairFeatures:
    """The features of a pair set's images and of their mirrored copies, computed at first use."""

    keeps_aspect = False
    batch_size = _BATCH

    def __init__(self, pair_set: PairSet, extractor: Extractor):
        self._pair_set = pair_set
        self._extractor = extractor
        self.image_size = extractor.image_size
        self._features: np.ndarray | None = None

    def verify(self, tail: keras.Model) -> VerificationResult:
        """Returns what `verify` gives for the whole embedder."""
        if self._features is None:
            pairs = self._pair_set
            self._features = embed_images(self, pairs.images, pairs.image_names, what=pairs.name)
        straight, mirrored = (
            _outputs(tail, features) for features in np.swapaxes(self._features, 0, 1)
        )
        return verify_embeddings(straight + mirrored, self._pair_set)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 [n, 2, ...]: of each image, and of it mirrored."""
        return np.stack([self._extractor(images), self._extractor(images[:, :, ::-1])], axis=1)


def _outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Returns what a model makes of inputs [n, ...], in inference mode, in batches of one size."""
    outputs = np.empty((len(inputs), *model.output_shape[1:]), np.float32)
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        filled = np.pad(batch, [(0, _BATCH - len(batch))] + [(0, 0)] * (batch.ndim - 1))
        outputs[start : start + _BATCH] = model.predict_on_batch(filled)[: len(batch)]
    return outputs


def _bar(total: int):
    return progress(total=total, description="features", unit="images")
