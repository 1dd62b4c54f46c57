"""Verification of an embedder on a pair set: from images to figures."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tfface.data.pairs import PairSet
from tfface.data.pairs.template_set import TemplateSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder, embed_batches, embed_images
from tfface.images.decoding import decode_batches
from tfface.metrics.templates import TemplatePool, template_verification
from tfface.metrics.verification import VerificationResult, check_pairs, verification


def verify(embedder: Embedder, pair_set: PairSet) -> VerificationResult:
    """Embeds each distinct image once (with its mirrored copy) and returns the figures.

    Images of another size than the embedder's are resized to it.

    Raises InputError: an image can't be decoded, or its embedding has no direction.
    """
    embeddings = embed_images(embedder, pair_set.images, pair_set.image_names, what=pair_set.name)
    return verify_embeddings(embeddings, pair_set)


def verify_embeddings(embeddings: np.ndarray, pair_set: PairSet) -> VerificationResult:
    """Returns the figures of embeddings of the images of a pair set, float [n, embedding_size].

    Raises InputError: an embedding has no direction.
    """
    with _naming(pair_set):
        return verification(
            embeddings,
            pair_set.first,
            pair_set.second,
            pair_set.is_genuine,
            num_folds=pair_set.num_folds,
            names=pair_set.image_names,
            identities=pair_set.identities,
            groups=pair_set.groups,
        )


def check_pair_set(pair_set: PairSet) -> None:
    """Finds before hours are spent on other sets what would make `verify` fail on this one.

    Decodes every image once, which takes about a second for LFW.

    Raises InputError: an image can't be decoded (the message names it), or the pairs are of one
        kind, or too few.
    """
    with _naming(pair_set):
        check_pairs(
            pair_set.first,
            pair_set.second,
            pair_set.is_genuine,
            len(pair_set.images),
            pair_set.num_folds,
        )
    # The size that published sets have, so that most images needn't be resized for nothing.
    for _ in decode_batches(pair_set.images, pair_set.image_names, (112, 112), 256):
        pass


@contextmanager
def _naming(pair_set: PairSet) -> Iterator[None]:
    """Says which set an error is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{pair_set.name}: {error}") from error


def verify_templates(
    embedder: Embedder, template_set: TemplateSet, *, use_scores: bool = True
) -> VerificationResult:
    """Embeds each image once, pools embeddings to templates, and returns the figures of the pairs.

    Where the set has landmarks, faces are aligned to the embedder's size; where not, images of
    another size are resized to it. Embeddings are summed up as they come and not kept.

    Args:
        use_scores: weigh images by their detection scores, where the set has any.
    Raises InputError: an image can't be decoded, or an embedding or a template has no direction.
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
    try:
        for embeddings in embed_batches(
            embedder, faces, template_set.image_names, what=template_set.name
        ):
            pool.add(embeddings)
        templates = pool.templates()
    except InputError as error:
        raise InputError(f"{template_set.name}: {error}") from error
    return template_verification(
        templates,
        template_set.first,
        template_set.second,
        template_set.is_genuine,
        embedding_norm=pool.embedding_norm,
    )


def check_template_set(template_set: TemplateSet) -> None:
    """Decodes every image once, so that none that can't be is found after hours.

    Raises InputError: an image can't be decoded (the message names it).
    """
    # The size that aligned faces have, so that most of these needn't be resized for nothing.
    for _ in decode_batches(template_set.images(), template_set.image_names, (112, 112), 256):
        pass
