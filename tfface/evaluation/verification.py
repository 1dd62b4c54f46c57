"""Evaluates an embedder on verification pairs: pairs of images, or pairs of templates."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfface.data.pairs import PairSet
from tfface.data.pairs.template_set import TemplateSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder, embed_batches, embed_images
from tfface.images.decoding import decode_batches
from tfface.metrics.templates import TemplatePool, template_verification
from tfface.metrics.verification import VerificationResult, check_pairs, verification
from tfface.reporting import verification_tables
from tfface.reporting.html import notebook_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The image size of most published sets; images of this size are not resized when they are checked.
_USUAL_SIZE = (112, 112)
_CHECK_BATCH = 256


@dataclass(frozen=True, repr=False)
class Verification(VerificationResult):
    """The metrics of a model on a set of pairs, as a table and as a plot.

    Attributes:
        name: of the set.
    """

    name: str = ""

    def plot(self) -> "Figure":
        """Returns a matplotlib figure: the ROC curve, and the similarities of the pairs."""
        # Only here, because Matplotlib takes long to import.
        from tfface.evaluation.verification_plots import verification_figure

        return verification_figure(self, self.name)

    def __repr__(self) -> str:
        return verification_tables.to_text({self.name: self.to_dict()})

    def _repr_html_(self) -> str:
        metrics = self.to_dict()
        return notebook_html(
            [verification_tables.summary_table({self.name: metrics})],
            [verification_tables.threshold_sentence(self.name, metrics)],
        )


def evaluate_verification(embedder: Embedder, pair_set: PairSet) -> Verification:
    """Embeds each distinct image of a pair set once and returns verification metrics.

    Images of another size are resized to the embedder's.

    Args:
        embedder: the model, as `load_embedder` returns it.
        pair_set: the pairs, as `load_pair_set` returns them.

    Returns:
        Accuracy, thresholds, TAR@FAR, EER and AUC.

    Raises:
        InputError: an image can't be decoded, or its embedding is all zeros or not finite.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> from tfface.data.pairs.pair_file import PairOptions, make_pair_set
        >>> from tfface.evaluation.embedders.embedder import load_embedder
        >>> source = SyntheticSource(num_identities=4, images_per_identity=3, size=32)
        >>> pairs, _ = make_pair_set(source, PairOptions(num_folds=2))
        >>> result = evaluate_verification(load_embedder("pixels"), pairs)
        >>> result.num_pairs, 0 <= result.auc <= 1
        (24, True)
    """
    embeddings = embed_images(embedder, pair_set.images, pair_set.image_names, what=pair_set.name)
    return evaluate_pair_embeddings(embeddings, pair_set)


def evaluate_pair_embeddings(embeddings: np.ndarray, pair_set: PairSet) -> Verification:
    """Returns verification metrics of embeddings that have been computed already.

    Args:
        embeddings: float [num_images, embedding_size], of the images of the pair set.
        pair_set: the pairs.

    Returns:
        As `evaluate_verification`.

    Raises:
        InputError: an embedding is all zeros or not finite.
    """
    with _error_context(pair_set.name):
        result = verification(
            embeddings,
            pair_set.first,
            pair_set.second,
            pair_set.is_genuine,
            num_folds=pair_set.num_folds,
            names=pair_set.image_names,
            identities=pair_set.identities,
            groups=pair_set.groups,
        )
    return Verification(**vars(result), name=pair_set.name)


def evaluate_templates(
    embedder: Embedder, template_set: TemplateSet, *, use_scores: bool = True
) -> Verification:
    """Embeds each image once, pools embeddings to templates, and returns verification metrics.

    If the set has landmarks, faces are aligned to the embedder's size; otherwise images of another
    size are resized to it. Embeddings are summed on the fly and not stored.

    Args:
        embedder: the model.
        template_set: the templates and pairs, as `load_template_set` returns them.
        use_scores: weight images by their detection scores, if the set has any.

    Returns:
        As `evaluate_verification`.

    Raises:
        InputError: an image can't be decoded, or an embedding or template is all zeros or not
            finite.
    """
    pool = TemplatePool(
        template_set.entry_image,
        template_set.entry_template,
        template_set.entry_medium,
        scores=template_set.scores if use_scores else None,
        image_names=template_set.image_names,
        template_names=template_set.template_numbers,
    )
    faces = template_set.faces(*embedder.image_size)
    with _error_context(template_set.name):
        for embeddings in embed_batches(
            embedder, faces, template_set.image_names, what=template_set.name
        ):
            pool.add(embeddings)
        templates = pool.templates()
    result = template_verification(
        templates,
        template_set.first,
        template_set.second,
        template_set.is_genuine,
        embedding_norm=pool.embedding_norm,
    )
    return Verification(**vars(result), name=template_set.name)


def check_pair_set(pair_set: PairSet) -> None:
    """Checks a pair set before a long evaluation of several sets.

    Every image is decoded once, which takes about a second for LFW.

    Args:
        pair_set: the pairs.

    Raises:
        InputError: an image can't be decoded, all pairs are genuine or all are impostors, or there
            are too few.
    """
    with _error_context(pair_set.name):
        check_pairs(
            pair_set.first,
            pair_set.second,
            pair_set.is_genuine,
            len(pair_set.images),
            pair_set.num_folds,
        )
    _check_images(pair_set.images, pair_set.image_names)


def check_template_set(template_set: TemplateSet) -> None:
    """Decodes every image of a template set once, before a long evaluation.

    Args:
        template_set: the templates.

    Raises:
        InputError: an image can't be decoded.
    """
    _check_images(template_set.images(), template_set.image_names)


def _check_images(images: Sequence[bytes], names: Sequence[str]) -> None:
    for _ in decode_batches(images, names, _USUAL_SIZE, _CHECK_BATCH):
        pass


@contextmanager
def _error_context(name: str) -> Iterator[None]:
    """Prepends the set's name to errors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
