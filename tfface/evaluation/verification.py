"""Verification of an embedder on a pair set: from images to figures and pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfface.data.images import decode_batches
from tfface.data.pair_sets import PairSet
from tfface.evaluation.embedder import Embedder
from tfface.metrics.verification import VerificationResult, verification
from tfface.progress import progress
from tfface.report.plots import draw_roc, draw_similarities


def verify(embedder: Embedder, pair_set: PairSet) -> VerificationResult:
    """Embeds each distinct image once (with its mirrored copy) and returns the figures.

    Images of another size than the embedder's are resized to it.

    Raises InputError: an image can't be decoded, or its embedding has no direction.
    """
    batches = decode_batches(
        pair_set.images, pair_set.image_names, embedder.image_size, embedder.batch_size
    )
    embeddings = []
    with progress(
        total=len(pair_set.images), description=f"embedding {pair_set.name}", unit="images"
    ) as bar:
        for images in batches:
            embeddings.append(embedder.embed(images))
            bar.update(len(images))
    return verification(
        np.concatenate(embeddings),
        pair_set.first,
        pair_set.second,
        pair_set.is_genuine,
        num_folds=pair_set.num_folds,
        names=pair_set.image_names,
    )


def check_images(pair_set: PairSet) -> None:
    """Decodes every image once, so that a damaged one is found before hours are spent on others.

    Raises InputError: an image can't be decoded; the message names it.
    """
    for _ in decode_batches(pair_set.images, pair_set.image_names, (8, 8), 256):
        pass


def draw_verification(results: Mapping[str, VerificationResult], folder: Path) -> list[Path]:
    """Draws the ROC curves of all sets, and the similarities of each; returns the pictures."""
    curves = {name: (result.roc.far, result.roc.tar) for name, result in results.items()}
    pictures = [folder / "roc.png"]
    draw_roc(pictures[0], curves)
    for name, result in results.items():
        pictures.append(folder / f"similarities_{name}.png")
        draw_similarities(
            pictures[-1],
            genuine=result.similarity[result.is_genuine],
            impostor=result.similarity[~result.is_genuine],
            threshold=result.threshold.cosine,
            title=name,
        )
    return pictures
