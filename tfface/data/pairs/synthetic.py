"""The verification set `synthetic`: synthetic faces of people that are in no training set."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data.pairs.pair_sampling import deduplicate_images, make_pairs
from tfface.data.pairs.pair_set import PairSet
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.synthetic import TEST_IDENTITIES_FROM, render_faces

DESCRIPTION = "the word `synthetic` (synthetic faces, no files needed)"

NAME = "synthetic"
_NUM_PAIRS = 3000
_NUM_IDENTITIES = 300
_IMAGES_PER_IDENTITY = 4
_SIZE = 112
# Of the pairs; the faces are of the renderer's first population.
_SEED = 1


def matches(source: str) -> bool:
    return source == NAME


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Renders the set: 1,500 genuine and 1,500 impostor pairs, which are always the same."""
    identities = TEST_IDENTITIES_FROM + np.repeat(np.arange(_NUM_IDENTITIES), _IMAGES_PER_IDENTITY)
    numbers = np.tile(np.arange(_IMAGES_PER_IDENTITY), _NUM_IDENTITIES)
    first, second, is_genuine = make_pairs(identities, _NUM_PAIRS, _SEED)
    images, first, second = deduplicate_images(first, second)
    identities, numbers = identities[images], numbers[images].tolist()
    faces = render_faces(identities.tolist(), numbers, _SIZE)
    return PairSet(
        name=name,
        images=[tf.io.encode_png(face).numpy() for face in faces],
        image_names=[
            f"synthetic face {number} of identity {identity}"
            for identity, number in zip(identities, numbers, strict=True)
        ],
        first=first,
        second=second,
        is_genuine=is_genuine,
        num_folds=NUM_FOLDS,
        identities=identities,
    )
