"""Augmentations: what is changed at random in training images.

An augmentation is a class. Its annotated positional-or-keyword arguments are its recipe options,
its keyword-only arguments are given by the program; its objects are called with a whole batch:

    stage(images float32 [batch, height, width, 3] in 0..255, seed int32 [2]) -> the same kind

The seed alone decides what happens, and compiled and eager code draw the same numbers: `draws`
tells how. The pipeline gives every stage another seed for every batch, compiles each, and rounds to
uint8 after the last. A stage that wants images of another size than it returns says so in
`load_size` (height, width).

To add one: write a file here and add a line to `AUGMENTATIONS`; tests/contracts then tests it.
"""

from tfface.data.augment.color_jitter import ColorJitter
from tfface.data.augment.gaussian_noise import GaussianNoise
from tfface.data.augment.random_crop import RandomCrop
from tfface.data.augment.random_flip import RandomFlip

AUGMENTATIONS = {
    "random_flip": RandomFlip,
    "random_crop": RandomCrop,
    "color_jitter": ColorJitter,
    "gaussian_noise": GaussianNoise,
}
