"""The pixels of every augmentation, pinned: a rewrite must not change what a seed gives."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contracts.test_augmentations import LABELS, OPTIONS, SIZE, mixes, uses_labels
from tests.data.small_faces import pixels
from tfface.data.augment import AUGMENTATIONS
from tfface.registry import build_from_config

# The mean of all pixels, and their mean weighted by cosines of their positions. To pin a further
# augmentation, add it with [0, 0] and run the test, which prints the numbers.
PINS = {
    "random_flip": [129.442, -1.227],
    "random_crop": [134.387, -2.447],
    "random_affine": [127.240, -1.096],
    "color_jitter": [119.402, -1.653],
    "random_grayscale": [129.593, -1.458],
    "gaussian_noise": [129.534, -1.420],
    "gaussian_blur": [129.448, -1.452],
    "low_resolution": [130.692, -2.397],
    "random_erasing": [128.090, -1.213],
    "random_crop_erase": [76.872, 0.843],
    "grid_mask": [119.955, -1.392],
    "rand_augment": [116.119, -1.925],
    "one_class_cutmix": [127.828, -2.198],
    "mixup": [130.120, -1.966],
    "cutmix": [128.216, -2.696],
}


@pytest.mark.parametrize("name", PINS)
def test_pixels(name):
    options = OPTIONS.get(name, {})
    stage = build_from_config(AUGMENTATIONS[name], options, None, image_size=(SIZE, SIZE))
    size = getattr(stage, "load_size", (SIZE, SIZE))[0]
    images = tf.constant(np.stack([pixels(i, size) for i in range(8)]), tf.float32)
    arguments = (images, LABELS) if uses_labels(stage) else (images,)
    found = stage(*arguments, tf.constant([1, 2]))
    found = found[0].numpy() if mixes(stage) else found.numpy()
    weights = np.cos(0.01 * np.arange(found.size)).reshape(found.shape)
    means = [float(found.mean(dtype=np.float64)), float((found * weights).mean())]
    assert means == pytest.approx(PINS[name], abs=0.01), f'"{name}": {means},'
