"""Augmentations: what is changed at random in training images.

An augmentation is a class. Its annotated positional-or-keyword arguments are its recipe options,
its keyword-only arguments are given by the program; its objects are called with a whole batch:

    stage(images float32 [batch, height, width, 3] in 0..255, seed int32 [2]) -> the same kind

The seed alone decides what happens, and compiled and eager code draw the same numbers: `draws`
tells how. The pipeline gives every stage another seed for every batch, compiles them, and rounds to
uint8 after the last. What else there is to a stage, it says by its attributes:

    load_size         (height, width) of the images that it wants, if others than it returns
    enlarges          True: where images are smaller than `load_size`, it is given them as they are,
                      if it is the first stage
    takes_uint8       True: it is called with uint8 images, too, and then returns such
    uses_labels       True: it is called with (images, labels int32 [batch], seed)
    mixes_identities  True: it is called so, too, and returns (images, labels): a dict of
                      `identities` (the labels as they were) and `others`, int32 [batch], and
                      `shares`, float32 [batch] in [0, 1]: how much of the image belongs to
                      `identities`; the rest belongs to `others`. There may be one such stage, and
                      none that uses labels after it.

To add one: write a file here and add a line to `AUGMENTATIONS`; tests/contracts then tests it.
"""

from tfface.data.augment.color_jitter import ColorJitter
from tfface.data.augment.cutmix import CutMix
from tfface.data.augment.gaussian_blur import GaussianBlur
from tfface.data.augment.gaussian_noise import GaussianNoise
from tfface.data.augment.grid_mask import GridMask
from tfface.data.augment.low_resolution import LowResolution
from tfface.data.augment.mixup import MixUp
from tfface.data.augment.one_class_cutmix import OneClassCutMix
from tfface.data.augment.rand_augment import RandAugment
from tfface.data.augment.random_affine import RandomAffine
from tfface.data.augment.random_crop import RandomCrop
from tfface.data.augment.random_crop_erase import RandomCropErase
from tfface.data.augment.random_erasing import RandomErasing
from tfface.data.augment.random_flip import RandomFlip
from tfface.data.augment.random_grayscale import RandomGrayscale

AUGMENTATIONS = {
    "random_flip": RandomFlip,
    "random_crop": RandomCrop,
    "random_affine": RandomAffine,
    "color_jitter": ColorJitter,
    "random_grayscale": RandomGrayscale,
    "gaussian_noise": GaussianNoise,
    "gaussian_blur": GaussianBlur,
    "low_resolution": LowResolution,
    "random_erasing": RandomErasing,
    "random_crop_erase": RandomCropErase,
    "grid_mask": GridMask,
    "rand_augment": RandAugment,
    "one_class_cutmix": OneClassCutMix,
    "mixup": MixUp,
    "cutmix": CutMix,
}
