"""A small dataset of TensorFlow Datasets, known to it by the name tiny_people."""

import io

import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data.small_faces import encoded

NAMES = ["ann", "bob", "cleo"]
POSES = ["left", "right"]


class TinyPeople(tfds.core.GeneratorBasedBuilder):
    """12 images of 3 people to train, 3 of 2 of them to test; with all kinds of features."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1), dtype=tf.uint16),
            "name": tfds.features.Text(),
            "pose": tfds.features.ClassLabel(names=POSES),
            "year": tf.int32,
            "is_old": tf.bool,
            "box": tfds.features.BBoxFeature(),
            "points": tfds.features.Sequence(tf.int64),
            "more": {"text": tfds.features.Text()},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("name", "image"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(12, 3), "test": self._generate_examples(3, 2)}

    def _generate_examples(self, num_images, num_people):
        for number in range(num_images):
            yield (
                number,
                {
                    "image": io.BytesIO(encoded(number)),
                    "mask": tf.zeros((2, 2, 1), tf.uint16).numpy(),
                    "name": NAMES[number % num_people],
                    # A class that isn't known is -1.
                    "pose": number % 2 if number else -1,
                    "year": 1980 + number,
                    "is_old": True,
                    "box": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
                    "points": [1, 2],
                    "more": {"text": "x"},
                },
            )


def prepare_people(folder, file_format: str | None = None):
    """Prepares it below `folder`; returns the folder that holds its files."""
    builder = TinyPeople(data_dir=folder, file_format=file_format)
    builder.download_and_prepare()
    return folder / "tiny_people/1.0.0"
