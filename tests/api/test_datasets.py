"""`open_source` and `image_dataset`: labeled images, and batches as Keras takes them."""

import numpy as np
import pytest

import tfface
from tests.evaluation.people import write_people

FACES = {"source": "synthetic", "num_identities": 3, "images_per_identity": 4, "size": 32}


def labels_of(dataset) -> list[int]:
    return [int(label) for _, labels in dataset for label in labels]


def test_sources(tmp_path):
    folder = write_people(tmp_path / "people", {0: range(2), 1: range(3)})
    for given in (folder, str(folder), {"source": "folder", "path": str(folder)}):
        source = tfface.open_source(given)
        assert (source.num_images, source.num_identities) == (5, 2)
        assert source.labels.tolist() == [0, 0, 1, 1, 1]
    assert tfface.open_source(source) is source
    relative = tfface.open_source({"source": "folder", "path": "people"}, data_dir=tmp_path)
    assert relative.num_images == 5
    with pytest.raises(tfface.InputError, match="gone: no such file or folder"):
        tfface.open_source(tmp_path / "gone")
    with pytest.raises(tfface.InputError, match="source: size: -1 is not allowed"):
        tfface.open_source({**FACES, "size": -1})


def test_batches_in_order():
    dataset = tfface.image_dataset(FACES, image_size=(32, 24), batch_size=5, shuffle=False)
    shapes = [tuple(images.shape) for images, _ in dataset]
    assert shapes == [(5, 32, 24, 3), (5, 32, 24, 3), (2, 32, 24, 3)]
    assert labels_of(dataset) == np.repeat([0, 1, 2], 4).tolist()


def test_epochs_are_shuffled_each_by_itself():
    two = tfface.image_dataset(FACES, image_size=32, batch_size=4, seed=3, epochs=2)
    assert len(two) == 6
    labels = labels_of(two)
    assert sorted(labels[:12]) == sorted(labels[12:])
    assert labels[:12] != labels[12:]
    assert (
        labels_of(tfface.image_dataset(FACES, image_size=32, batch_size=4, seed=3)) == labels[:12]
    )


def test_pk_sampling_and_augmentation():
    dataset = tfface.image_dataset(
        FACES,
        image_size=32,
        batch_size=4,
        samples_per_identity=2,
        augment=["random_flip", {"color_jitter": {"brightness": 0.1}}],
        cache="memory",
    )
    for images, labels in dataset:
        assert images.dtype == "uint8"
        assert labels[0] == labels[1] != labels[2] == labels[3]


def test_options_that_are_none():
    with pytest.raises(tfface.InputError, match="augment: unknown augmentation 'flip'; did you"):
        tfface.image_dataset(FACES, image_size=32, augment=["flip"])
    with pytest.raises(tfface.InputError, match="batch_size must be a whole number of 1 or more"):
        tfface.image_dataset(FACES, image_size=32, batch_size=0)
