"""Verification of an embedder on a pair set: from images to figures."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tfface.data.pairs import PairSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding import embed_images
from tfface.images.decoding import decode_batches
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
