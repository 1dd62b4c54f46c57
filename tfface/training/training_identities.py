"""The training images and identities of a finished run, read again from its data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tfface import recipe as recipes
from tfface import seeding
from tfface.data.sources.image_source import ImageSource, SourceFilenames, SourceImages
from tfface.data.sources.opening import paths_in
from tfface.data.sources.synthetic import SyntheticSource
from tfface.errors import InputError
from tfface.evaluation.classification import SeenIdentities, seen_identities
from tfface.evaluation.classifier import read_class_names
from tfface.evaluation.sanity_checks import alignment_warning
from tfface.images.decoding import content_digest
from tfface.images.header import read_header
from tfface.progress import progress
from tfface.training.datasets import RunData, open_training_images
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder

# Of a run's images, read to compare them with those of an evaluation.
_MOST_IMAGES = 100_000
# Heads of tasks that need not be faces.
_CLASSIFIERS = ("softmax", "sigmoid")
# Pixels: photos are larger, and in smaller images the detector is of little use.
_MIN_CHECKED_HEIGHT = 64
# Images whose shape is compared with the model's, and by how much it may differ.
_MOST_SHAPES = 32
_MOST_STRETCH = 1.05


@dataclass(frozen=True)
class TrainingImages:
    """Hashes of the training images of a run.

    Attributes:
        run_dir: the run's folder.
        digests: hashes of the images' bytes.
        is_all: False if they are of a random sample.
    """

    run_dir: Path
    digests: frozenset[bytes]
    is_all: bool

    def warning(self, images: Sequence[bytes], what: str) -> str | None:
        """Returns a warning if the run was trained on some of these images, byte for byte.

        Args:
            images: of an evaluation, encoded.
            what: their name in the line.
        """
        num_same = sum(content_digest(image) in self.digests for image in images)
        if not num_same:
            return None
        least = "" if self.is_all else "at least "
        return (
            f"{what}: {self.run_dir} was trained on {least}{num_same:,} of these {len(images):,} "
            "images: the figures say how well it knows these by heart, not how good it is on others"
        )


def read_training_images(run_dir: Path, data_dir: Path) -> TrainingImages:
    """Reads the training images of a run; of more than 100,000, a random sample of as many.

    Args:
        run_dir, data_dir: as for `read_training_identities`.

    Raises:
        InputError: as `read_training_identities`, or an image can't be read.
    """
    source, indices = _training_images(run_dir, data_dir)
    RunFolder(run_dir).check_unchanged(source)
    digests, is_all = _digests(SourceImages(source, indices))
    return TrainingImages(run_dir, digests, is_all)


def training_images_warnings(
    model: Path,
    data_dir: Path,
    sets: Sequence[tuple[Sequence[bytes], str]],
    *,
    say_if_gone: bool = False,
    read: Callable[[Path, Path], TrainingImages] = read_training_images,
) -> list[str]:
    """Returns warnings of evaluation sets with images that a run was trained on, byte for byte.

    Where the run's files are missing or damaged, a warning says that it isn't known.

    Args:
        model: a run folder; there is no warning for any other model.
        data_dir: where the recipe's relative paths start.
        sets: encoded images, and the set's name in the warning.
        say_if_gone: whether to warn as well where the run's data are gone.
        read: how the run's images are read.
    """
    run = RunFolder(model)
    if not run.recipe.is_file():
        reason: object = f"{run.recipe}: is missing"
        is_silent = not run.model.is_file()
    else:
        try:
            training_images = read(model, data_dir)
            found = (training_images.warning(images, name) for images, name in sets)
            return [warning for warning in found if warning]
        except InputError as error:
            reason = error
            is_silent = not say_if_gone and is_data_gone(model, data_dir)
    if is_silent:
        return []
    why = "; ".join(str(reason).split("\n"))
    return [
        f"{name}: it isn't known whether {model} was trained on these images: {why}"
        for _, name in sets
    ]


def shared_images_warnings(data: RunData) -> list[str]:
    """Returns warnings of held-out images that a run will be trained on: copies or links.

    As `read_training_images`, of samples of many.

    Raises:
        InputError: an image can't be read.
    """
    held_out = {key: images for key, images in data.held_out.items() if not _is_synthetic(images)}
    if not held_out or _is_synthetic(data.training_images):
        return []
    digests, is_all = _digests(data.training_images)
    found = []
    for key, images in held_out.items():
        chosen = _sample(len(images))
        num_same = sum(content_digest(images[index]) in digests for index in chosen)
        if num_same:
            least = "" if is_all and len(chosen) == len(images) else "at least "
            found.append(
                f"{key}: {least}{num_same:,} of its {len(images):,} images are training images, "
                "too (copies or links): its results say how well the run knows these by heart, not "
                "how good it is on others"
            )
    return found


def unaligned_warning(head: str | None, data: RunData) -> str | None:
    """Returns a warning if a run that learns faces is to be trained on unaligned photos.

    A sample is looked at. Small images and synthetic faces are not; nor are the images of a
    classifier with the head `softmax` or `sigmoid`, which need not be faces.

    Args:
        head: name of the run's head, if it has one.
        data: of the run.

    Raises:
        InputError: an image of the sample can't be decoded.
    """
    images = data.training_images
    if head in _CLASSIFIERS or _is_synthetic(images) or find_spec("mtcnn") is None:
        return None
    return alignment_warning(
        images,
        images.filenames(),
        "the training set",
        min_height=_MIN_CHECKED_HEIGHT,
        are_faces=False,
        advice="align the photos with tfface align before training",
    )


def squeezed_warning(head: str | None, data: RunData, image_size: tuple[int, int]) -> str | None:
    """Returns a warning if a run that learns faces is to be trained on squeezed ones.

    Images are resized to the model's size, whatever their shape. A sample is looked at; as by
    `unaligned_warning`, synthetic faces and the images of a classifier are not.

    Args:
        head: name of the run's head, if it has one.
        data: of the run.
        image_size: (height, width) of the model's input.
    """
    images = data.training_images
    if head in _CLASSIFIERS or _is_synthetic(images):
        return None
    chosen = seeding.sample(len(images), _MOST_SHAPES)
    headers = [found for index in chosen if (found := read_header(images[int(index)]))]
    if not headers:
        return None
    sizes = sorted(((h.height, h.width) for h in headers), key=lambda size: size[1] / size[0])
    height, width = sizes[len(sizes) // 2]
    stretch = image_size[1] / image_size[0] * height / width
    if 1 / _MOST_STRETCH < stretch < _MOST_STRETCH:
        return None
    wanted = f"{image_size[0]}x{image_size[1]}"
    return (
        f"the training set: its images have {height}x{width} pixels, and data.image_size is "
        f"{wanted}: faces are {'squeezed' if stretch < 1 else 'stretched'}; align the photos to "
        f"the model's size (tfface align --image-size {wanted})"
    )


def _digests(images: Sequence[bytes]) -> tuple[frozenset[bytes], bool]:
    """Returns hashes of images, or of a random sample of many; and whether they are of all."""
    chosen = _sample(len(images))
    looked_at = progress(chosen, description="training images", unit="images")
    digests = frozenset(content_digest(images[index]) for index in looked_at)
    return digests, len(chosen) == len(images)


def _sample(num_images: int) -> list[int]:
    chosen = seeding.permutation(seeding.fold(0), num_images)[:_MOST_IMAGES]
    # In the order of the files, in which they are read fastest.
    return sorted(chosen.tolist())


def _is_synthetic(images: Sequence[bytes]) -> bool:
    """Whether some images would have to be rendered, and so are no copies."""
    return isinstance(images, SourceImages) and any(
        isinstance(origin, SyntheticSource) for origin, _ in images.origins()
    )


def read_training_identities(run_dir: Path, data_dir: Path, attribute: str) -> SeenIdentities:
    """Returns the identities in the training images of a run, without those that it held out.

    Args:
        run_dir: the run folder, with the recipe.
        data_dir: where the recipe's relative paths start.
        attribute: of the images, the name of the identity.

    Raises:
        InputError: the recipe or its data can't be read, the data have no such attribute, or have
            changed since.
    """
    source, indices = _training_images(run_dir, data_dir)
    return seen_identities(source, attribute, indices, where=f"data.train of {run_dir}")


def is_data_gone(run_dir: Path, data_dir: Path) -> bool:
    """Returns whether a file or folder of a run's training images is not there any more.

    Args:
        run_dir, data_dir: as for `read_training_identities`.
    """
    try:
        recipe = recipes.load(RunFolder(run_dir).recipe, REGISTRIES)
        paths = paths_in(recipe.data.train.options)
    except InputError:
        return False
    return not all((data_dir / path).exists() for path in paths)


def _training_images(run_dir: Path, data_dir: Path) -> tuple[ImageSource, np.ndarray]:
    """Returns the source and the indices of a run's training images."""
    run = RunFolder(run_dir)
    recipe = recipes.load(run.recipe, REGISTRIES)
    source, indices, names = open_training_images(recipe, data_dir)
    # Two sources may have identities of one name.
    if names != read_class_names(run.identities, distinct=False):
        raise InputError(
            f"{run.recipe}: its data.train has not the classes any more that the run was trained on"
        )
    return source, indices


def was_trained_on_unaligned(model: Path, data_dir: Path) -> bool:
    """Returns whether the faces in a model's training images look unaligned.

    Args:
        model: a run folder. For any other model, or if the images are gone, the answer is False.
        data_dir: where the recipe's relative paths start.
    """
    if not RunFolder(model).recipe.is_file():
        return False
    try:
        source, indices = _training_images(model, data_dir)
        images, names = SourceImages(source, indices), SourceFilenames(source, indices)
        return alignment_warning(images, names, "") is not None
    except InputError:
        return False
