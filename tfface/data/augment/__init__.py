"""Augmentations: random changes of training images.

An augmentation is a class. Its annotated positional-or-keyword arguments are its recipe options,
its keyword-only arguments are filled in by the program. An instance is called with a whole batch:

    stage(images float32 [batch, height, width, 3] in 0..255, seed int32 [2]) -> images

It returns images of the same kind. The seed alone decides the result, and compiled and eager code
draw the same numbers (`random.py`). The pipeline gives every stage a different seed for every
batch, compiles the stages, and rounds to uint8 after the last. A stage may have these attributes:

    load_size         (height, width) at which it wants images to be loaded, if not at the size that
                      it returns
    enlarges          True: as the first stage, it takes images smaller than `load_size` and
                      enlarges them itself
    uses_xla          False: TensorFlow compiles it without XLA
    takes_uint8       True: it also takes uint8 images, and then returns uint8
    steps             it works on pixels as words, too, which is faster: `words.py` says how
    uses_labels       True: it is called with (images, labels int32 [batch], seed)
    mixes_identities  True: it is called with labels, too, and returns (images, labels). The labels
                      are then a dict of `identities` (the labels it was given) and `others`,
                      int32 [batch], and `shares`, float32 [batch] in [0, 1]: how much of the image
                      belongs to `identities`; the rest belongs to `others`. Only one such stage is
                      allowed, and no stage that uses labels after it.

To add one, write a class in the file of its subject, add a line to `AUGMENTATIONS` and run
`python tools/update_reference.py`; `tests/contracts/test_augmentations.py` then tests it.
"""

from tfface.data.augment.color import ColorJitter, RandomGrayscale
from tfface.data.augment.geometric import RandomAffine, RandomCrop, RandomFlip
from tfface.data.augment.keras_layer import KerasLayer
from tfface.data.augment.mixing import CutMix, MixUp, OneClassCutMix
from tfface.data.augment.occlusion import GridMask, RandomCropErase, RandomErasing
from tfface.data.augment.quality import GaussianBlur, GaussianNoise, LowResolution
from tfface.data.augment.rand_augment import RandAugment

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
    "keras_layer": KerasLayer,
}
