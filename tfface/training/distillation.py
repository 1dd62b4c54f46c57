"""Knowledge distillation: a student learns the embeddings that a trained model, the teacher, makes.

The teacher embeds each image once, before training, with flip test-time augmentation. Its
embeddings are cached by the content of the images, and batches carry them beside the labels: a step
costs what the student costs. (`keras.distillation.Distiller` runs the teacher in every step, and
needs it as a Keras model.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from keras import ops

from tfface.data.pairs import PairSet
from tfface.data.pipeline.cache import check_memory
from tfface.data.pipeline.pipeline import Pipeline
from tfface.data.sources.image_source import SourceImages
from tfface.errors import InputError, warn
from tfface.evaluation.embedders import embedder as embedders
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.options import PixelInput, parse_range
from tfface.evaluation.sanity_checks import preprocessing_warning
from tfface.paths import expanded
from tfface.recipe.schema import TeacherConfig
from tfface.typing import Tensor

# Where the recipe names the teacher.
PLACE = "training.distillation.teacher"
# Below the folder of caches, beside the runs.
_CACHE_FOLDER = "teacher_embeddings"


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns how far each embedding is from the teacher's: 1 - cosine.

    For embeddings s_i and t_i of image i, with unit norm:
        loss_i = 1 - s_i . t_i

    Args:
        student, teacher: float [batch, embedding_size], any norm.
    Returns: float32 [batch], in [0, 2].

    Example:
        >>> found = cosine_loss(ops.array([[2.0, 0.0], [0.0, 1.0]]), ops.array([[1.0, 0.0]] * 2))
        >>> ops.convert_to_numpy(found).tolist()
        [0.0, 1.0]
    """
    return 1 - ops.sum(_unit(student) * _unit(teacher), axis=-1)


def relational_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns how far the cosines of each image with the others of its batch are the teacher's.

    For embeddings s_i and t_i of image i, with unit norm, in a batch of n:
        loss_i = sum over j != i of (s_i . s_j - t_i . t_j)^2 / (n - 1)

    With several devices on TensorFlow, the others are those on the same device.

    Args:
        student: float [batch, embedding_size], any norm.
        teacher: float [batch, any size], any norm.
    Returns: float32 [batch], in [0, 4]; 0 for a batch of one image.

    Example:
        >>> embeddings = ops.array([[1.0, 0.0], [0.0, 1.0]])
        >>> ops.convert_to_numpy(relational_loss(embeddings, ops.ones((2, 3)))).round(3).tolist()
        [1.0, 1.0]

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, arXiv:1904.05068, from
        which the comparison of pairs is; cosines in place of distances are what faces are compared
        by.
    """
    student, teacher = _unit(student), _unit(teacher)
    differences = _cosines(student) - _cosines(teacher)
    num_images = ops.shape(differences)[0]
    # An image's cosine with itself is 1 for both.
    others = 1 - ops.eye(num_images, dtype="float32")
    count = ops.cast(ops.maximum(num_images - 1, 1), "float32")
    return ops.sum(ops.square(differences) * others, axis=-1) / count


def _unit(embeddings: Tensor) -> Tensor:
    return ops.normalize(ops.cast(embeddings, "float32"), axis=-1)


def _cosines(units: Tensor) -> Tensor:
    return ops.matmul(units, ops.transpose(units))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": cosine_loss,
    "relational": relational_loss,
}


@dataclass(frozen=True)
class Distillation:
    """What a `Recognizer` does with the embeddings of a teacher.

    Args:
        loss: `cosine` compares an embedding with the teacher's, so both have one size;
            `relational` compares the cosines between the images of a batch.
        weight: float > 0, of this loss beside that of the head.

    Raises:
        ValueError: the loss is unknown, or the weight isn't positive.

    Example:
        >>> import keras, tfface
        >>> embedder = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=16)
        >>> student = tfface.Recognizer(embedder, None, Distillation("cosine"))
        >>> student.compile("adam")
        >>> images, teacher = np.ones((4, 32, 32, 3), "uint8"), np.ones((4, 16), "float32")
        >>> sorted(student.fit(images, {"teacher": teacher}, verbose=0).history)
        ['distillation_loss', 'loss']
    """

    loss: Literal["cosine", "relational"] = "cosine"
    weight: float = 1.0

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {self.loss!r}")
        if not self.weight > 0:
            raise ValueError(f"weight must be positive, got {self.weight!r}")

    def losses(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Returns the loss of each image, without the weight: float32 [batch].

        Args:
            student: float [batch, embedding_size].
            teacher: float [batch, embedding size of the teacher].
        """
        return LOSSES[self.loss](student, teacher)

    def check_sizes(self, student: int, teacher: int) -> None:
        """Checks that embeddings of these sizes can be compared.

        Args:
            student, teacher: sizes of embeddings.
        Raises InputError: they can't.
        """
        # A projection between them, trained and then dropped, would leave directions of the
        # student's embedding that no loss has seen in the cosines that it is used with.
        if self.loss == "cosine" and student != teacher:
            raise InputError(
                f"training.distillation: the teacher's embeddings have {teacher} values and the "
                f"student's {student}, which the loss cosine can't compare: use "
                f"model.embedding_size: {teacher}, or loss: relational"
            )


class Teacher:
    """The model that a student learns from, with its embeddings of a run's images.

    Args:
        config: of the recipe.
        data_dir: where its relative paths start.
        cache_dir: folder of caches; embeddings are in a folder of their own in it.

    Attributes:
        embedding_size: of the embeddings that were computed; None before the first.

    Raises:
        InputError: the model is missing, can't be loaded, or an option doesn't apply to it.
    """

    def __init__(self, config: TeacherConfig, data_dir: Path, cache_dir: Path):
        # The word is a model without a file.
        is_word = str(config.path) == "pixels"
        path = "pixels" if is_word else str(data_dir / expanded(config.path))
        try:
            embedder = embedders.load_embedder(
                path, pixels=_pixels(config), image_size=config.image_size, output=config.output
            )
            self._embedder = CachedEmbedder(embedder, cache_dir / _CACHE_FOLDER, say=warn)
        except InputError as error:
            raise InputError(f"{PLACE}: {error}") from error
        self.embedding_size: int | None = None

    def describe(self) -> dict[str, object]:
        """Returns what identifies the model, as JSON can hold it."""
        return {"model": self._embedder.fingerprint}

    def check_pixels(self, pair_set: PairSet) -> None:
        """Warns if other pixels than the recipe gives suit a model of another project better.

        Args:
            pair_set: of photos, as `preprocessing_warning` takes it.

        Raises:
            InputError: an image of a sample can't be decoded, or the model can't be run.
        """
        found = preprocessing_warning(self._embedder, pair_set)
        if found is not None:
            warn(f"{PLACE}: {found}; its keys color_order and input_range say what it takes")

    def teach(self, pipeline: Pipeline, what: str) -> Pipeline:
        """Returns the same batches, with the teacher's embeddings of their images in the labels.

        Args:
            pipeline: of images.
            what: the images' name on the progress bar.

        Raises:
            InputError: an image can't be read, or the model fails on it; there is not enough
                memory.
        """
        reader = pipeline.reader
        images = SourceImages(reader.source, reader.indices)
        names = images.filenames()
        rows: np.ndarray | None = None
        start = 0
        for batch in embedders.embed_batches(self._embedder, images, names, what=what):
            units = embedders.unit_embeddings(batch, names, start)
            if rows is None:
                shape = (len(images), units.shape[1])
                check_memory(
                    4 * len(images) * units.shape[1],
                    f"training.distillation: {shape[0]:,} embeddings of {shape[1]} values need "
                    "memory",
                    "train on fewer images, or use a teacher with smaller embeddings",
                )
                rows = np.empty(shape, np.float32)
            rows[start : start + len(units)] = units
            start += len(units)
        if rows is None:
            raise InputError(f"training.distillation: {what}: there are no images")
        self.embedding_size = rows.shape[1]
        return pipeline.with_teacher(rows)


def _pixels(config: TeacherConfig) -> PixelInput | None:
    """Returns the pixel format that the recipe gives; None for the default."""
    if config.color_order is None and config.input_range is None:
        return None
    order = config.color_order or "rgb"
    if config.input_range is None:
        return PixelInput(order)
    return PixelInput(order, *parse_range(config.input_range))
